//! Records through a real broker of Kafka: the trees that librdkafka's mock cluster shows, and what it cannot show.

mod broker; // a broker, and topics of it
mod faults; // brokers that end, stop or cannot be reached

use std::iter;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use throughline::core::{Span, SpanContext};
use throughline::rdkafka::{BaseConsumer, FutureProducer, Observer, StreamConsumer};
use throughline::testing::{Capture, ReceivedSpan, Value};
use throughline::{Context, FutureExt, span};
use throughline_tests::support::kafka::{
    PATIENCE, Place, config, future_producer, receive, same_as_through_the_bare_client, send,
    send_under, tree,
};
use throughline_tests::support::size::size;
use tokio::sync::oneshot;
use tokio::task;

pub(crate) use broker::{Broker, Topic};

/// A consumer of the topic's group.
fn consumer(topic: &Topic) -> StreamConsumer {
    let consumer: StreamConsumer = config(topic).create().expect("a consumer");
    consumer.subscribe(&[topic.topic()]).expect("subscribed");
    consumer
}

#[tokio::test]
#[ignore = "installs and starts Kafka"]
async fn a_record_is_one_trace_from_its_sender_to_its_handler() {
    let broker = Broker::shared();
    let topic = broker.topic("one-trace", 1).await;
    let capture = Capture::start();
    let producer = future_producer(&topic);
    let before = Instant::now();
    send(&producer, topic.topic(), "book")
        .in_span(span!(parent: capture.context(), "request"))
        .await;
    assert_eq!(capture.stats().live(), 0, "the sender's span has ended");
    let consumer = consumer(&topic);
    let receive = async {
        let message = consumer.recv().await.expect("a record");
        let store = async { span!("store").in_scope(|| message.payload().map(<[u8]>::to_vec)) };
        let stored = consumer.record(&message).process(store).await;
        assert_eq!(stored.as_deref(), Some(&b"book"[..]));
        consumer
            .commit_message(&message, CommitMode::Sync)
            .expect("committed");
    };
    capture.run(receive).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ send one-trace [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="one-trace", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=0}
       └─ process one-trace [consumer] {queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="one-trace", messaging.consumer.group.name="one-trace", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7"}
          │  → send one-trace
          └─ store
    commit one-trace [client] {messaging.system="kafka", messaging.operation.name="commit", messaging.operation.type="settle", messaging.destination.name="one-trace", messaging.consumer.group.name="one-trace", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
       → send one-trace (another trace)
    "#);
    // It waited no longer than there was time for; Kafka's timestamps are milliseconds.
    let all = before.elapsed().as_secs_f64();
    let spans = capture.spans();
    let waits: Vec<_> = spans.iter().filter_map(wait).collect();
    assert!(
        waits.len() == 1 && waits[0] <= all + 0.001,
        "{waits:?} of {all}"
    );
    let committed = consumer.committed(PATIENCE).expect("offsets");
    assert_eq!(
        committed.elements_for_topic(topic.topic())[0].offset(),
        Offset::Offset(1)
    );
}

fn wait(span: &ReceivedSpan) -> Option<f64> {
    match span.attribute("queue.wait")? {
        Value::Double(wait) => Some(*wait),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[ignore = "installs and starts Kafka"]
async fn a_batch_links_each_sender_once_and_counts_those_without_room() {
    let broker = Broker::shared();
    let topic = broker.topic("batches", 1).await;
    let capture = Capture::start();
    let senders = ["red", "green", "blue"].map(|name| {
        let mut span = span!(parent: capture.context(), "sender");
        span.update_name(name);
        span
    });
    let contexts: Vec<_> = senders.iter().map(Span::context).collect();
    // The first record comes from somebody who sends no context.
    let nobody = iter::once(Context::default());
    let known = (0..499).map(|at| contexts[at % 3].clone());
    send_under(&topic, nobody.chain(known)).await;
    drop(senders);
    let messages = receive(&topic, 500);
    let observer = Observer::from_config(&config(&topic));
    let batch = async { observer.batch(&messages).process(async {}).await };
    capture.run(batch).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    red
    green
    blue
    process batches [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="batch", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="batches", messaging.consumer.group.name="batches", messaging.client.id="shop-1", messaging.batch.message_count=500, messaging.destination.partition.id="0"}
       → red (another trace) {messaging.kafka.offset=1}
       → green (another trace) {messaging.kafka.offset=2}
       → blue (another trace) {messaging.kafka.offset=3}
    "#);

    let capture = Capture::start();
    let producer = future_producer(&topic);
    let sends = (0..500).map(|_| send(&producer, topic.topic(), "book"));
    capture.run(futures::future::join_all(sends)).await;
    let messages = receive(&topic, 1_000);
    let batch = async { observer.batch(&messages[500..]).process(async {}).await };
    capture.run(batch).await;
    let spans = capture.spans();
    let [batch] = &spans[500..] else {
        panic!("one span for all of them: {}", spans.len());
    };
    assert_eq!((batch.links.len(), batch.dropped_links), (128, 372));
}

#[tokio::test]
#[ignore = "installs and starts Kafka"]
async fn a_transaction_is_part_of_the_handler_and_only_what_it_committed_is_read() {
    let broker = Broker::shared();
    let topic = broker.topic("orders-in-transactions", 1).await;
    let invoices = broker.topic("invoices", 1).await;
    let capture = Capture::start();
    let orders = future_producer(&topic);
    capture.run(send(&orders, topic.topic(), "book")).await;
    let producer: FutureProducer = config(&topic)
        .set("transactional.id", "billing-1")
        .create()
        .expect("a producer");
    producer.init_transactions(PATIENCE).expect("initialised");
    let consumer = consumer(&topic);
    let message = consumer.recv().await.expect("a record");
    let invoice = |payload| FutureRecord::<str, str>::to(invoices.topic()).payload(payload);
    let handler = async {
        producer.begin_transaction().expect("begun");
        let sent = producer.send(invoice("first try"), PATIENCE).await;
        sent.expect("delivered");
        producer.abort_transaction(PATIENCE).expect("aborted");

        producer.begin_transaction().expect("begun");
        let sent = producer.send(invoice("invoice"), PATIENCE).await;
        sent.expect("delivered");
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic.topic(), 0, Offset::Offset(1))
            .expect("an offset");
        let group = consumer.group_metadata().expect("a group");
        producer
            .send_offsets_to_transaction(&offsets, &group, PATIENCE)
            .expect("part of the transaction");
        producer.commit_transaction(PATIENCE).expect("committed");
    };
    let handled = async { consumer.record(&message).process(handler).await };
    capture.run(handled).await;
    let read = receive(&invoices, 1);
    let observer = Observer::from_config(&config(&invoices));
    let read = async {
        observer.record(&read[0]).process(async {}).await;
        read[0].payload().map(<[u8]>::to_vec)
    };
    let read = capture.run(read).await;
    assert_eq!(read.as_deref(), Some(&b"invoice"[..]));
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders-in-transactions [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders-in-transactions", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    └─ process orders-in-transactions [consumer] {queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders-in-transactions", messaging.consumer.group.name="orders-in-transactions", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7"}
       │  → send orders-in-transactions
       ├─ send invoices [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="invoices", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
       ├─ abort_transaction [client] {messaging.system="kafka", messaging.operation.name="abort_transaction", messaging.operation.type="settle", messaging.client.id="shop-1"}
       ├─ send invoices [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="invoices", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=2}
       │  └─ process invoices [consumer] {queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="invoices", messaging.consumer.group.name="invoices", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=2}
       │        → send invoices
       ├─ send_offsets_to_transaction orders-in-transactions [client] {messaging.system="kafka", messaging.operation.name="send_offsets_to_transaction", messaging.operation.type="settle", messaging.destination.name="orders-in-transactions", messaging.client.id="shop-1", messaging.destination.partition.id="0"}
       └─ commit_transaction [client] {messaging.system="kafka", messaging.operation.name="commit_transaction", messaging.operation.type="settle", messaging.client.id="shop-1"}
    "#);
    let committed = consumer.committed(PATIENCE).expect("offsets");
    assert_eq!(
        committed.elements_for_topic(topic.topic())[0].offset(),
        Offset::Offset(1)
    );
}

/// Polls until the group's ceremony gave the consumer so many partitions; there is nothing to read.
async fn share(consumer: &BaseConsumer, partitions: usize) {
    while consumer.assignment().expect("a list").count() != partitions {
        assert!(consumer.poll(Duration::from_millis(10)).is_none());
        task::yield_now().await;
    }
}

#[tokio::test]
#[ignore = "installs and starts Kafka"]
async fn a_consumer_that_joins_or_leaves_is_seen_by_the_one_that_stays() {
    let broker = Broker::shared();
    let topic = broker.topic("shared-work", 2).await;
    let capture = Capture::start();
    let consumer = || {
        let consumer: BaseConsumer = config(&topic).create().expect("a consumer");
        consumer.subscribe(&[topic.topic()]).expect("subscribed");
        consumer
    };
    let (has_all, other_may_join) = oneshot::channel();
    let (has_half, mut other_may_leave) = oneshot::channel();
    let stays = async {
        let consumer = consumer();
        share(&consumer, 2).await;
        has_all.send(()).expect("somebody waits to join");
        share(&consumer, 1).await;
        has_half.send(()).expect("somebody waits to leave");
        share(&consumer, 2).await;
    };
    let comes_and_goes = async {
        other_may_join.await.expect("to be told");
        let consumer = consumer();
        share(&consumer, 1).await;
        while other_may_leave.try_recv().is_err() {
            assert!(consumer.poll(Duration::from_millis(10)).is_none());
            task::yield_now().await;
        }
    };
    futures::join!(
        stays.in_span(span!(parent: capture.context(), "stays")),
        comes_and_goes.in_span(span!(parent: capture.context(), "comes and goes")),
    );
    insta::assert_snapshot!(tree(&capture), @r#"
    stays
       • kafka.rebalance {messaging.system="kafka", queue.rebalance.kind="assign", queue.rebalance.partition_count=2, queue.rebalance.topics=["shared-work"]}
       • kafka.rebalance {messaging.system="kafka", queue.rebalance.kind="revoke", queue.rebalance.partition_count=2, queue.rebalance.topics=["shared-work"]}
       • kafka.rebalance {messaging.system="kafka", queue.rebalance.kind="assign", queue.rebalance.partition_count=1, queue.rebalance.topics=["shared-work"]}
       • kafka.rebalance {messaging.system="kafka", queue.rebalance.kind="revoke", queue.rebalance.partition_count=1, queue.rebalance.topics=["shared-work"]}
       • kafka.rebalance {messaging.system="kafka", queue.rebalance.kind="assign", queue.rebalance.partition_count=2, queue.rebalance.topics=["shared-work"]}
       • kafka.rebalance {messaging.system="kafka", queue.rebalance.kind="revoke", queue.rebalance.partition_count=2, queue.rebalance.topics=["shared-work"]}
    comes and goes
       • kafka.rebalance {messaging.system="kafka", queue.rebalance.kind="assign", queue.rebalance.partition_count=1, queue.rebalance.topics=["shared-work"]}
       • kafka.rebalance {messaging.system="kafka", queue.rebalance.kind="revoke", queue.rebalance.partition_count=1, queue.rebalance.topics=["shared-work"]}
    "#);
}

#[tokio::test]
#[ignore = "installs and starts Kafka"]
async fn what_was_not_committed_comes_again() {
    let broker = Broker::shared();
    let topic = broker.topic("redelivery", 1).await;
    let capture = Capture::start();
    let producer = future_producer(&topic);
    capture.run(send(&producer, topic.topic(), "book")).await;
    let work = async {
        // What a worker that ends before it commits leaves behind.
        let handled = |attempt: u32, previous: SpanContext| {
            let consumer = consumer(&topic);
            async move {
                let message = consumer.recv().await.expect("a record");
                // Kafka tells nobody that it sent a record before: who noted it knows.
                let record = consumer.record(&message);
                let record = if attempt == 1 {
                    record
                } else {
                    record.attempt(attempt).after(previous)
                };
                let handler = async { Err::<(), _>(Context::current().span_context()) };
                let span = record
                    .process(handler)
                    .await
                    .expect_err("the handler's span");
                (message.offset(), span)
            }
        };
        let (offset, first) = handled(1, SpanContext::INVALID).await;
        let (again, second) = handled(1, SpanContext::INVALID).await;
        assert_eq!(offset, again, "the same record");
        assert_ne!(first, second);
        handled(3, second).await;

        let consumer = consumer(&topic);
        let message = consumer.recv().await.expect("a record");
        consumer
            .commit_message(&message, CommitMode::Sync)
            .expect("committed");
    };
    capture.run(work).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    send redelivery [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="redelivery", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    ├─ process redelivery [consumer] {queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="redelivery", messaging.consumer.group.name="redelivery", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7"}
    │     → send redelivery
    └─ process redelivery [consumer] {queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="redelivery", messaging.consumer.group.name="redelivery", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7"}
          → send redelivery
    process redelivery [consumer] {queue.wait=…, queue.attempt=3, trace.relation="link", trace.relation.reason="retry", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="redelivery", messaging.consumer.group.name="redelivery", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7"}
       → send redelivery (another trace)
       → process redelivery (another trace)
    commit redelivery [client] {messaging.system="kafka", messaging.operation.name="commit", messaging.operation.type="settle", messaging.destination.name="redelivery", messaging.consumer.group.name="redelivery", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
       → send redelivery (another trace)
    "#);
}

#[test]
#[ignore = "installs and starts Kafka"]
fn a_stream_of_records_is_that_of_the_bare_client() {
    let broker = Broker::shared();
    let topics = async {
        (
            broker.topic("plain", 1).await,
            broker.topic("traced", 1).await,
        )
    };
    let (plain, traced) = futures::executor::block_on(topics);
    let rounds = size(1, 10, 100);
    same_as_through_the_bare_client(&plain, &traced, rounds as usize);
}
