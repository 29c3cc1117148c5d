//! How records end: handlers that panic or are dropped at any poll, sends that are given up, consumers that stop with
//! records fetched, a topic of dead letters, records that make records.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use futures::stream::{FuturesUnordered, StreamExt};
use rdkafka::Offset;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::message::{Headers, Message, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use throughline::channel::Redelivery;
use throughline::rdkafka::{Observer, StreamConsumer};
use throughline::testing::{Capture, TreeOptions};
use throughline::{Context, FutureExt, span};

use super::{PATIENCE, TOPIC, cluster, config, future_producer, receive, send, stream_consumer};

use crate::in_request;

/// The picture without what the names of the spans say.
fn outline(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    let options = TreeOptions::new().hide("*").show("span.outcome");
    capture.tree_with(
        &options
            .show("trace.relation.reason")
            .show("queue.attempt")
            .show("messaging.kafka.offset"),
    )
}

#[tokio::test]
async fn a_consumer_goes_on_after_a_panic() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    let sends = async {
        send(&producer, "torn").await;
        send(&producer, "book").await;
    };
    in_request(&capture, sends).await;
    let consumer = stream_consumer(&cluster);
    let work = async {
        for fine in [false, true] {
            let message = consumer.recv().await.expect("a record");
            let store = async {
                tokio::task::yield_now().await;
                let payload = message.payload().expect("a payload");
                assert_ne!(payload, b"torn", "it cannot be stored");
            };
            let stored = consumer.record(&message).process(store);
            let stored = AssertUnwindSafe(stored).catch_unwind().await;
            assert_eq!(stored.is_ok(), fine);
        }
    };
    capture.run(work).await;
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    ├─ send orders [producer] {messaging.kafka.offset=0}
    │  └─ process orders [consumer] {trace.relation.reason="record", messaging.kafka.offset=0, span.outcome="panicked"} error: panicked
    │        → send orders
    └─ send orders [producer] {messaging.kafka.offset=1}
       └─ process orders [consumer] {trace.relation.reason="record", messaging.kafka.offset=1}
             → send orders
    "#);
}

#[tokio::test]
async fn a_handler_may_be_dropped_at_each_of_its_polls() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    in_request(&capture, send(&producer, "book")).await;
    let message = receive(&cluster, 1).remove(0);
    let observer = Observer::new();
    let _here = capture.attach();
    for polls in 0..=3 {
        let store = async {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        };
        let mut stored = Box::pin(observer.record(&message).process(store));
        let ready = (0..polls)
            .filter(|_| (&mut stored).now_or_never().is_some())
            .count();
        assert_eq!(ready, usize::from(polls == 3));
        drop(stored);
        assert_eq!(capture.stats().live(), 0, "after {polls} polls");
    }
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    └─ send orders [producer] {messaging.kafka.offset=0}
       ├─ process orders [consumer] {trace.relation.reason="record", messaging.kafka.offset=0, span.outcome="cancelled"} error: dropped before it was ready
       │     → send orders
       ├─ process orders [consumer] {trace.relation.reason="record", messaging.kafka.offset=0, span.outcome="cancelled"} error: dropped before it was ready
       │     → send orders
       ├─ process orders [consumer] {trace.relation.reason="record", messaging.kafka.offset=0, span.outcome="cancelled"} error: dropped before it was ready
       │     → send orders
       └─ process orders [consumer] {trace.relation.reason="record", messaging.kafka.offset=0}
             → send orders
    "#);
}

#[tokio::test]
async fn a_send_that_is_given_up_arrives_all_the_same() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    let give_up = async {
        let record = FutureRecord::<str, str>::to(TOPIC).payload("unsent");
        drop(producer.send(record, PATIENCE));
        let record = FutureRecord::<str, str>::to(TOPIC).payload("book");
        assert!(producer.send(record, PATIENCE).now_or_never().is_none());
    };
    in_request(&capture, give_up).await;
    // What was never polled was never sent.
    let message = receive(&cluster, 1).remove(0);
    assert_eq!(message.payload(), Some(&b"book"[..]));
    let store = async { Observer::new().record(&message).process(async {}).await };
    capture.run(store).await;
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    └─ send orders [producer] {span.outcome="cancelled"} error: dropped before it was ready
       └─ process orders [consumer] {trace.relation.reason="record", messaging.kafka.offset=0}
             → send orders
    "#);
}

#[tokio::test]
async fn records_that_a_consumer_fetched_and_left_are_the_next_ones() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    let sends = async {
        for book in ["one", "two", "three"] {
            send(&producer, book).await;
        }
    };
    in_request(&capture, sends).await;
    for handled in [1, 2] {
        let consumer: StreamConsumer = config(&cluster).create().expect("a consumer");
        let mut partitions = rdkafka::TopicPartitionList::new();
        partitions
            .add_partition_offset(TOPIC, 0, Offset::Stored)
            .expect("an offset");
        consumer.assign(&partitions).expect("assigned");
        let work = async {
            for _ in 0..handled {
                let message = consumer.recv().await.expect("a record");
                consumer.record(&message).process(async {}).await;
                consumer
                    .commit_message(&message, CommitMode::Sync)
                    .expect("committed");
            }
            if handled == 1 {
                // It is fetched and handed out, and the consumer stops before anybody handles it.
                drop(consumer.recv().await.expect("a record"));
            }
        };
        work.in_span(span!(parent: capture.context(), "worker"))
            .await;
    }
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    ├─ send orders [producer] {messaging.kafka.offset=0}
    ├─ send orders [producer] {messaging.kafka.offset=1}
    └─ send orders [producer] {messaging.kafka.offset=2}
    worker
    ├─ process orders [consumer] {trace.relation.reason="ambient", messaging.kafka.offset=0}
    │     → send orders (another trace)
    └─ commit orders [client] {messaging.kafka.offset=0}
          → send orders (another trace)
    worker
    ├─ process orders [consumer] {trace.relation.reason="ambient", messaging.kafka.offset=1}
    │     → send orders (another trace)
    ├─ commit orders [client] {messaging.kafka.offset=1}
    │     → send orders (another trace)
    ├─ process orders [consumer] {trace.relation.reason="ambient", messaging.kafka.offset=2}
    │     → send orders (another trace)
    └─ commit orders [client] {messaging.kafka.offset=2}
          → send orders (another trace)
    "#);
}

#[tokio::test]
async fn a_dead_letter_goes_from_topic_to_topic() {
    let capture = Capture::start();
    let cluster = cluster();
    cluster.create_topic("orders-dead", 1, 1).expect("a topic");
    let producer = future_producer(&cluster);
    in_request(&capture, send(&producer, "torn")).await;
    let consumer = stream_consumer(&cluster);
    let dead = Observer::new().group("undertakers");
    let work = async {
        let message = consumer.recv().await.expect("a record");
        let mut failed = Context::default();
        for attempt in 1..=2 {
            let record = consumer.record(&message).attempt(attempt);
            let record = record.after(failed.span_context());
            let store = async {
                failed = Context::current();
                tokio::task::yield_now().await;
                Err::<(), _>("it cannot be stored")
            };
            record.try_process(store).await.expect_err("each time");
        }
        // It goes on as it is: what it says of its sender is replaced, the rest stays.
        let headers = message.headers().map(|headers| headers.detach());
        let headers = headers.unwrap_or_else(OwnedHeaders::new);
        let mut letter = FutureRecord::to("orders-dead").headers(headers);
        letter.key = message.key();
        letter.payload = message.payload();
        let bury = async { producer.send(letter, PATIENCE).await.expect("delivered") };
        bury.with_context(failed.clone()).await;

        let undertaker: StreamConsumer = config(&cluster).create().expect("a consumer");
        let mut partitions = rdkafka::TopicPartitionList::new();
        partitions
            .add_partition_offset("orders-dead", 0, Offset::Beginning)
            .expect("an offset");
        undertaker.assign(&partitions).expect("assigned");
        let letter = undertaker.recv().await.expect("a record");
        assert_eq!(letter.payload(), Some(&b"torn"[..]));
        let names = letter.headers().expect("headers").iter();
        let names: Vec<_> = names.map(|header| header.key.to_owned()).collect();
        assert_eq!(names, ["traceparent"]);
        let record = dead.record(&letter).redelivered(Redelivery::DeadLetter);
        record.after(failed.span_context()).process(async {}).await;
    };
    capture.run(work).await;
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    └─ send orders [producer] {messaging.kafka.offset=0}
       └─ process orders [consumer] {queue.attempt=1, trace.relation.reason="record", messaging.kafka.offset=0} error: it cannot be stored
             • exception
             → send orders
    process orders [consumer] {queue.attempt=2, trace.relation.reason="retry", messaging.kafka.offset=0} error: it cannot be stored
    │  • exception
    │  → send orders (another trace)
    │  → process orders (another trace)
    └─ send orders-dead [producer] {messaging.kafka.offset=0}
          → send orders (another trace)
    process orders-dead [consumer] {trace.relation.reason="dead_letter", messaging.kafka.offset=0}
       → send orders-dead (another trace)
       → process orders (another trace)
    "#);
}

#[tokio::test]
async fn a_fan_out_of_depth_twelve_is_in_traces_of_the_size_that_is_allowed() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    let consumer = stream_consumer(&cluster);
    let records = (1 << 13) - 1;
    let reports = FuturesUnordered::new();
    let split = |depth: u8| {
        let record = FutureRecord::<str, [u8]>::to(TOPIC).payload(std::slice::from_ref(&depth));
        let sent = producer.send_result(record).map_err(|(error, _)| error);
        reports.push(sent.expect("enqueued"));
    };
    in_request(&capture, async { split(12) }).await;
    let work = async {
        for _ in 0..records {
            let message = consumer.recv().await.expect("a record");
            let depth = message.payload().expect("a payload")[0];
            let handler = async {
                if let Some(left) = depth.checked_sub(1) {
                    split(left);
                    split(left);
                }
            };
            consumer.record(&message).process(handler).await;
        }
    };
    capture.run(work).await;
    let reports: Vec<_> = reports.collect().await;
    let delivered = reports.iter().filter(|report| matches!(report, Ok(Ok(_))));
    assert_eq!(delivered.count(), records);
    let stats = capture.stats();
    assert_eq!((stats.live(), stats.dropped_full), (0, 0));
    let spans = capture.spans();
    assert_eq!(
        spans.len(),
        1 + 2 * records,
        "a send and a handler for each"
    );
    let handlers = |trace: &throughline::testing::Trace| {
        let spans = trace.spans().iter();
        spans.filter(|span| span.name == "process orders").count()
    };
    let traces = capture.traces();
    // Its count may have begun again while it was small, for the traces of the tests beside this one.
    let largest = traces.iter().map(handlers).max();
    assert!(largest <= Some(5_200), "{largest:?}");
    for span in spans.iter().filter(|span| span.parent.is_none()) {
        match span.attribute("trace.relation.reason") {
            Some(reason) => {
                assert_eq!(reason.to_string(), "\"spans\"");
                assert_eq!(span.links.len(), 1, "it says what it goes on from");
            }
            None => assert_eq!(span.name, "request"),
        }
    }
}
