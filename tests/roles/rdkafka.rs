//! Records of Kafka: whole trees on librdkafka's mock cluster, which listens in this process.

mod attribute; // `#[consumer]` on the handler of a record
mod endings; // panics, cancellations, stops, dead letters, fan-outs
mod groups; // rebalances, transactions, producers with a thread
mod measured; // what is counted and timed of records
mod receiving; // spans of polls, lag, and why a record comes again
mod untouched; // what the user sends is what arrives, beside the bare client

use std::future::pending;
use std::time::Duration;

use futures::FutureExt as _;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::message::{DeliveryResult, Message, OwnedMessage};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, FutureRecord, Producer, ProducerContext};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use throughline::channel::{Policy, Redelivery, Relation};
use throughline::core::{RecorderConfig, Sampler, Span, SpanContext};
use throughline::rdkafka::{
    BaseConsumer, BaseProducer, FutureProducer, Observer, StreamConsumer, ThreadedProducer,
};
use throughline::testing::{Capture, ReceivedSpan, Value};
use throughline::{Context, FutureExt, span};
use throughline_tests::support::kafka::{
    self, Cluster, PATIENCE, config, future_producer, read_all, receive, send_under, text, tree,
};

use crate::in_request;

const TOPIC: &str = "orders";

/// A broker with the topic `orders` of one partition.
fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    cluster
}

fn stream_consumer(cluster: &Cluster) -> StreamConsumer {
    let consumer: StreamConsumer = config(cluster).create().expect("a consumer");
    read_all(cluster, &*consumer);
    consumer
}

async fn send(producer: &FutureProducer, payload: &str) {
    kafka::send(producer, TOPIC, payload).await;
}

#[tokio::test]
async fn a_record_is_processed_as_the_child_of_its_send() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    in_request(&capture, send(&producer, "book")).await;
    assert_eq!(capture.stats().live(), 0, "the sender's span has ended");
    let consumer = stream_consumer(&cluster);
    let receive = async {
        let message = consumer.recv().await.expect("a record");
        let store = async { span!("store").in_scope(|| message.payload().map(<[u8]>::to_vec)) };
        assert_eq!(
            consumer.record(&message).process(store).await.as_deref(),
            Some(&b"book"[..])
        );
        consumer
            .commit_message(&message, CommitMode::Sync)
            .expect("committed");
    };
    capture.run(receive).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=0}
       └─ process orders [consumer] {queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7"}
          │  → send orders
          └─ store
    commit orders [client] {messaging.system="kafka", messaging.operation.name="commit", messaging.operation.type="settle", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
       → send orders (another trace)
    "#);
}

#[tokio::test]
async fn a_current_span_goes_before_the_sender() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    capture.run(send(&producer, "book")).await;
    let consumer = stream_consumer(&cluster);
    let work = async {
        let message = consumer.recv().await.expect("a record");
        let store = async { Err::<(), _>("no room") };
        consumer
            .record(&message)
            .try_process(store)
            .await
            .expect_err("no room");
        consumer
            .record(&message)
            .process(pending::<()>())
            .now_or_never();
    };
    work.in_span(span!(parent: capture.context(), "worker"))
        .await;
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    worker
    ├─ process orders [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="ambient", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7", error.type="&str"} error: no room
    │     • exception {exception.type="&str", exception.message="no room"}
    │     → send orders (another trace)
    └─ process orders [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="ambient", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7", span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
          → send orders (another trace)
    "#);
}

#[tokio::test]
async fn a_batch_links_each_sender_once() {
    let capture = Capture::start();
    let cluster = cluster();
    let senders = ["red", "green", "blue"].map(|name| {
        let mut span = span!(parent: capture.context(), "sender");
        span.update_name(name);
        span
    });
    let contexts: Vec<_> = senders.iter().map(Span::context).collect();
    // The first record comes from somebody who sends no context.
    let nobody = [Context::default()];
    let contexts = nobody
        .into_iter()
        .chain((0..499).map(|at| contexts[at % 3].clone()));
    send_under(&cluster, contexts).await;
    drop(senders);
    let messages = receive(&cluster, 500);
    let observer = Observer::from_config(&config(&cluster));
    capture
        .run(async { observer.batch(&messages).process(async {}).await })
        .await;
    insta::assert_snapshot!(tree(&capture), @r#"
    red
    green
    blue
    process orders [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="batch", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.batch.message_count=500, messaging.destination.partition.id="0"}
       → red (another trace) {messaging.kafka.offset=1}
       → green (another trace) {messaging.kafka.offset=2}
       → blue (another trace) {messaging.kafka.offset=3}
    "#);
}

#[tokio::test]
async fn a_batch_counts_the_links_that_have_no_room() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    let sends = (0..500).map(|_| send(&producer, "book"));
    capture.run(futures::future::join_all(sends)).await;
    let messages = receive(&cluster, 500);
    let observer = Observer::new();
    capture
        .run(async { observer.batch(&messages).process(async {}).await })
        .await;
    let spans = capture.spans();
    let [batch] = &spans[500..] else {
        panic!("one span for all of them: {}", spans.len());
    };
    assert_eq!(
        (batch.name.as_str(), batch.links.len(), batch.dropped_links),
        ("process orders", 128, 372)
    );
}

#[tokio::test]
async fn what_comes_again_is_linked_to_the_attempt_before() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    capture.run(send(&producer, "book")).await;
    let consumer = stream_consumer(&cluster);
    let work = async {
        let mut previous = SpanContext::INVALID;
        for attempt in 1..=2 {
            let message = consumer.recv().await.expect("a record");
            let record = consumer.record(&message).attempt(attempt).after(previous);
            let handler = async {
                previous = Context::current().span_context();
                Err::<(), _>("no room")
            };
            record.try_process(handler).await.expect_err("no room");
            consumer
                .seek(TOPIC, 0, Offset::Beginning, PATIENCE)
                .expect("back");
        }
        let message = consumer.recv().await.expect("a record");
        let record = consumer
            .record(&message)
            .redelivered(Redelivery::DeadLetter);
        record.after(previous).process(async {}).await;
    };
    capture.run(work).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    └─ process orders [consumer] {queue.wait=…, queue.attempt=1, trace.relation="child", trace.relation.reason="record", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7", error.type="&str"} error: no room
          • exception {exception.type="&str", exception.message="no room"}
          → send orders
    process orders [consumer] {queue.wait=…, queue.attempt=2, trace.relation="link", trace.relation.reason="retry", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7", error.type="&str"} error: no room
       • exception {exception.type="&str", exception.message="no room"}
       → send orders (another trace)
       → process orders (another trace)
    process orders [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="dead_letter", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7"}
       → send orders (another trace)
       → process orders (another trace)
    "#);
}

#[tokio::test]
async fn empty_polls_and_empty_batches_make_nothing() {
    let capture = Capture::start();
    let cluster = cluster();
    let _here = capture.attach();
    let base: BaseConsumer = config(&cluster).create().expect("a consumer");
    read_all(&cluster, &*base);
    for _ in 0..10 {
        assert!(base.poll(Duration::from_millis(1)).is_none());
    }
    assert!(base.batch::<OwnedMessage>(&[]).span().is_disabled());
    let stream = stream_consumer(&cluster);
    assert!(stream.recv().now_or_never().is_none());
    assert_eq!(tree(&capture), "");
}

#[tokio::test]
async fn what_is_not_sampled_is_propagated() {
    let mut recording = RecorderConfig::default();
    recording.sampler = Sampler::always_off();
    let capture = Capture::with_config(recording);
    let cluster = cluster();
    let producer = future_producer(&cluster);
    let request = span!(parent: capture.context(), "request");
    let trace = request.context().span_context().trace_id();
    send(&producer, "book").in_span(request).await;
    let messages = receive(&cluster, 1);
    let headers = messages[0].headers().expect("headers");
    let [traceparent] = &text(headers, "traceparent")[..] else {
        panic!("one header");
    };
    assert!(
        traceparent.starts_with(&format!("00-{trace}-")),
        "{traceparent}"
    );
    let context = throughline::rdkafka::extract(headers);
    assert!(!context.span_context().is_sampled(), "{traceparent}");
    // The receiver's recorder takes every trace, and heeds what the sender decided.
    let receiver = Capture::start();
    let observer = Observer::new();
    let here = async { Context::current().span_context() };
    let there = receiver
        .run(async { observer.record(&messages[0]).process(here).await })
        .await;
    assert_eq!((there.trace_id(), there.is_sampled()), (trace, false));
    assert_eq!(format!("{}{}", tree(&capture), tree(&receiver)), "");
}

#[tokio::test]
async fn a_send_that_fails_says_why() {
    let capture = Capture::start();
    let cluster = cluster();
    let refuse = || {
        let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
        cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
    };
    let producer = future_producer(&cluster);
    let work = async {
        refuse();
        let record = FutureRecord::<str, str>::to(TOPIC).payload("book");
        let refused = producer.send(record, PATIENCE).await;
        let (_, message) = refused.expect_err("refused by the broker");
        assert_eq!(message.payload(), Some(&b"book"[..]), "it is not lost");

        refuse();
        let record = FutureRecord::<str, str>::to(TOPIC).payload("book");
        let report = producer.send_result(record).map_err(|(error, _)| error);
        let report = report.expect("enqueued").await.expect("a report");
        report.expect_err("refused by the broker");

        let record = FutureRecord::<str, str>::to("no\0topic").payload("book");
        let Err((_, record)) = producer.send_result(record) else {
            panic!("a topic like that cannot be");
        };
        assert_eq!(record.payload, Some("book"), "it is not lost");
    };
    capture.run(work).await;
    let threaded: ThreadedProducer = config(&cluster).create().expect("a producer");
    refuse();
    {
        let _here = capture.attach();
        let record = BaseRecord::<str, str>::to(TOPIC).payload("book");
        threaded
            .send(record)
            .map_err(|(error, _)| error)
            .expect("enqueued");
    }
    threaded.flush(PATIENCE).expect("a report");
    drop(threaded);
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", error.type="MessageSizeTooLarge"} error: Message production error: MessageSizeTooLarge (Broker: Message size too large)
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", error.type="MessageSizeTooLarge"} error: Message production error: MessageSizeTooLarge (Broker: Message size too large)
    send no\u{0}topic [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="no\0topic", messaging.client.id="shop-1", error.type="KafkaError"} error: FFI nul error
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", error.type="MessageSizeTooLarge"} error: Message production error: MessageSizeTooLarge (Broker: Message size too large)
    "#);
}

/// Counts the reports of even and odd records, and says which context they are reported under.
#[derive(Default)]
struct Reports(std::sync::Mutex<Vec<(usize, bool, SpanContext)>>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let here = Context::current().span_context();
        let mut reports = self.0.lock().expect("no test panicked");
        reports.push((number, result.is_ok(), here));
    }
}

#[test]
fn a_producer_s_own_context_gets_its_reports() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer: BaseProducer<Reports> = config(&cluster)
        .create_with_context(Reports::default())
        .expect("a producer");
    {
        let _here = capture.attach();
        for number in 1..=2 {
            let record = BaseRecord::<[u8], str, _>::with_opaque_to(TOPIC, number);
            // No text, and nothing at all: a key that is not told, and a tombstone.
            let record = record.key(&[0xFF]).partition(0);
            let sent = producer.send(record).map_err(|(error, _)| error);
            sent.expect("enqueued");
        }
    }
    assert_eq!(capture.stats().live(), 2, "nobody polled for reports");
    producer.flush(PATIENCE).expect("reports");
    let spans = capture.spans();
    let reports = producer.context().0.lock().expect("no test panicked");
    let expected = spans.iter().enumerate();
    let expected = expected.map(|(at, span)| (at + 1, true, span.span_id));
    let reports = reports.iter();
    let reports = reports.map(|(number, is_ok, here)| (*number, *is_ok, here.span_id()));
    assert!(reports.eq(expected));
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.tombstone=true, messaging.destination.partition.id="0", messaging.kafka.offset=0}
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.tombstone=true, messaging.destination.partition.id="0", messaging.kafka.offset=1}
    "#);
}

#[tokio::test]
async fn a_record_that_waited_too_long_starts_a_trace() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    let sent = rdkafka::Timestamp::now().to_millis().expect("now") - 3_600_000;
    let later = sent + 7_200_000;
    let work = async {
        for timestamp in [sent, later] {
            let record = FutureRecord::<str, str>::to(TOPIC).timestamp(timestamp);
            producer.send(record, PATIENCE).await.expect("delivered");
        }
        let messages = receive(&cluster, 2);
        let observer = Observer::new();
        for message in &messages {
            observer.record(message).process(async {}).await;
        }
        let observer = observer.policy(Policy::from(Relation::Root));
        observer.record(&messages[1]).process(async {}).await;
    };
    capture.run(work).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.tombstone=true, messaging.destination.partition.id="0", messaging.kafka.offset=0}
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.tombstone=true, messaging.destination.partition.id="0", messaging.kafka.offset=1}
    └─ process orders [consumer] {queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.destination.partition.id="0", messaging.kafka.offset=1, messaging.kafka.message.tombstone=true}
          → send orders
    process orders [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="age", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.tombstone=true}
       → send orders (another trace)
    process orders [consumer] {queue.wait=…, trace.relation="root", trace.relation.reason="receiver", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.destination.partition.id="0", messaging.kafka.offset=1, messaging.kafka.message.tombstone=true}
    "#);
    // A clock that is behind the sender's makes no negative waits.
    let waits: Vec<_> = capture.spans().iter().filter_map(wait).collect();
    assert!(waits[0] >= 3_600.0 && waits[1..] == [0.0, 0.0], "{waits:?}");
}

fn wait(span: &ReceivedSpan) -> Option<f64> {
    match span.attribute("queue.wait")? {
        Value::Double(wait) => Some(*wait),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rebalances_are_events_and_commits_are_spans() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    send(&producer, "book").await;
    let consumer: StreamConsumer = config(&cluster).create().expect("a consumer");
    consumer.subscribe(&[TOPIC]).expect("subscribed");
    let work = async {
        consumer.recv().await.expect("a record");
        consumer
            .commit_consumer_state(CommitMode::Sync)
            .expect("committed");
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(TOPIC, 0, Offset::Offset(1))
            .expect("an offset");
        consumer
            .commit(&offsets, CommitMode::Sync)
            .expect("committed");
        let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[error]);
        consumer
            .commit(&offsets, CommitMode::Sync)
            .expect_err("refused by the broker");
    };
    work.in_span(span!(parent: capture.context(), "worker"))
        .await;
    insta::assert_snapshot!(tree(&capture), @r#"
    worker
    │  • kafka.rebalance {messaging.system="kafka", queue.rebalance.kind="assign", queue.rebalance.partition_count=1, queue.rebalance.topics=["orders"]}
    ├─ commit [client] {messaging.system="kafka", messaging.operation.name="commit", messaging.operation.type="settle", messaging.consumer.group.name="billing", messaging.client.id="shop-1"}
    ├─ commit orders [client] {messaging.system="kafka", messaging.operation.name="commit", messaging.operation.type="settle", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0"}
    └─ commit orders [client] {messaging.system="kafka", messaging.operation.name="commit", messaging.operation.type="settle", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", error.type="TopicAuthorizationFailed"} error: Consumer commit error: TopicAuthorizationFailed (Broker: Topic authorization failed)
    "#);
}

#[tokio::test]
async fn who_drops_a_report_says_nothing_of_it() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    {
        let _here = capture.attach();
        let record = FutureRecord::<str, str>::to(TOPIC).payload("book");
        let report = producer.send_result(record).map_err(|(error, _)| error);
        drop(report.expect("enqueued"));
    }
    insta::assert_snapshot!(tree(&capture), @r#"send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1"}"#);
    assert_eq!(receive(&cluster, 1)[0].payload(), Some(&b"book"[..]));
}

/// An order that waits to be billed: the consumer that takes it, and the producer whose transactions bill it.
async fn billing(capture: &Capture) -> (Cluster, StreamConsumer, FutureProducer) {
    let cluster = cluster();
    cluster.create_topic("invoices", 1, 1).expect("a topic");
    let orders = future_producer(&cluster);
    capture.run(send(&orders, "book")).await;
    let producer: FutureProducer = config(&cluster)
        .set("transactional.id", "billing-1")
        .create()
        .expect("a producer");
    producer.init_transactions(PATIENCE).expect("initialised");
    let consumer = stream_consumer(&cluster);
    (cluster, consumer, producer)
}

/// Begins a transaction and sends the invoice in it.
async fn send_invoice(producer: &FutureProducer) {
    producer.begin_transaction().expect("begun");
    let invoice = FutureRecord::<str, str>::to("invoices").payload("invoice");
    producer.send(invoice, PATIENCE).await.expect("delivered");
}

#[tokio::test]
async fn a_transaction_is_part_of_the_handler() {
    let capture = Capture::start();
    let (_cluster, consumer, producer) = billing(&capture).await;
    let message = consumer.recv().await.expect("a record");
    let handler = async {
        send_invoice(&producer).await;
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(TOPIC, 0, Offset::Offset(1))
            .expect("an offset");
        let group = consumer.group_metadata().expect("a group");
        producer
            .send_offsets_to_transaction(&offsets, &group, PATIENCE)
            .expect("part of the transaction");
        producer.commit_transaction(PATIENCE).expect("committed");
        producer
            .abort_transaction(PATIENCE)
            .expect_err("there is none any more");
    };
    capture
        .run(async { consumer.record(&message).process(handler).await })
        .await;
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    └─ process orders [consumer] {queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7"}
       │  → send orders
       ├─ send invoices [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="invoices", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
       ├─ send_offsets_to_transaction orders [client] {messaging.system="kafka", messaging.operation.name="send_offsets_to_transaction", messaging.operation.type="settle", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.destination.partition.id="0"}
       ├─ commit_transaction [client] {messaging.system="kafka", messaging.operation.name="commit_transaction", messaging.operation.type="settle", messaging.client.id="shop-1"}
       └─ abort_transaction [client] {messaging.system="kafka", messaging.operation.name="abort_transaction", messaging.operation.type="settle", messaging.client.id="shop-1", error.type="State"} error: Transaction error: Operation not valid in state Ready
    "#);
}

#[test]
fn a_handler_that_is_no_future_runs_in_the_span() {
    let capture = Capture::start();
    let cluster = cluster();
    let _here = capture.attach();
    let producer: BaseProducer = config(&cluster).create().expect("a producer");
    let record = BaseRecord::<str, str>::to(TOPIC).payload("book");
    let sent = producer.send(record).map_err(|(error, _)| error);
    sent.expect("enqueued");
    producer.flush(PATIENCE).expect("delivered");
    let consumer: BaseConsumer = config(&cluster).create().expect("a consumer");
    let consumer = consumer.with_policy(Policy::from(Relation::Link));
    read_all(&cluster, &*consumer);
    let message = consumer.poll(PATIENCE).expect("a record in time");
    let message = message.expect("a record");
    let store = || {
        span!("store").end();
        consumer
            .commit_message(&message, CommitMode::Sync)
            .expect("committed");
    };
    consumer.record(&message).span().in_scope(store);
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    process orders [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="receiver", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    │  → send orders (another trace)
    ├─ store
    └─ commit orders [client] {messaging.system="kafka", messaging.operation.name="commit", messaging.operation.type="settle", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
          → send orders (another trace)
    "#);
}
