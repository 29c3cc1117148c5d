//! What a consumer says of receiving, where it is asked to: spans of polls, how far behind it is, and why a record comes.

use std::sync::Arc;

use futures::{StreamExt as _, poll};
use throughline::testing::TreeOptions;

use super::*;

const FORWARDED: &str = "orders-retry";

#[tokio::test]
async fn receiving_has_spans_where_they_are_wanted() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    capture.run(send(&producer, "book")).await;
    let consumer = stream_consumer(&cluster).with_receive_spans();
    let loop_once = async {
        let message = consumer.recv().await.expect("a record");
        consumer.record(&message).process(async {}).await;
    };
    in_request(&capture, loop_once).await;
    let base: BaseConsumer = config(&cluster).create().expect("a consumer");
    let base = base.with_receive_spans();
    read_all(&cluster, &*base);
    let _here = capture.attach();
    let message = loop {
        // Most of these bring nothing.
        if let Some(message) = base.poll(Duration::from_millis(1)) {
            break message;
        }
    };
    drop(message.expect("a record"));
    for _ in 0..10 {
        assert!(base.poll(Duration::from_millis(1)).is_none());
    }
    drop(_here);
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    request
    ├─ poll orders [client] {messaging.system="kafka", messaging.operation.name="poll", messaging.operation.type="receive", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    │     → send orders (another trace)
    └─ process orders [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="ambient", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7"}
          → send orders (another trace)
    poll orders [client] {messaging.system="kafka", messaging.operation.name="poll", messaging.operation.type="receive", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
       → send orders (another trace)
    "#);
}

#[tokio::test]
async fn records_of_a_stream_have_what_others_have() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    let consumer = stream_consumer(&cluster).with_receive_spans();
    {
        let mut stream = consumer.stream();
        // There is nothing yet, and whoever gives up leaves nothing.
        assert!(poll!(stream.next()).is_pending());
        for title in ["book", "pen"] {
            capture.run(send(&producer, title)).await;
        }
        let loop_twice = async {
            for _ in 0..2 {
                let message = stream.next().await.expect("no end").expect("a record");
                consumer.record(&message).process(async {}).await;
            }
        };
        in_request(&capture, loop_twice).await;
        assert!(poll!(stream.next()).is_pending());
    }
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ poll orders [client] {messaging.system="kafka", messaging.operation.name="poll", messaging.operation.type="receive", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    │     → send orders (another trace)
    ├─ process orders [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="ambient", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7"}
    │     → send orders (another trace)
    ├─ poll orders [client] {messaging.system="kafka", messaging.operation.name="poll", messaging.operation.type="receive", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=1}
    │     → send orders (another trace)
    └─ process orders [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="ambient", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=1, messaging.kafka.message.key="7"}
          → send orders (another trace)
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=1}
    "#);
}

#[tokio::test]
async fn records_of_a_partition_that_was_split_off_and_of_an_iterator() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    capture.run(send(&producer, "book")).await;
    let bare: rdkafka::consumer::StreamConsumer = config(&cluster).create().expect("a consumer");
    let bare = Arc::new(bare);
    let queue = bare.split_partition_queue(TOPIC, 0).expect("a partition");
    read_all(&cluster, &*bare);
    let observer = Observer::from_config(&config(&cluster)).receive_spans(true);
    let main = async { bare.recv().await.map(drop) };
    let split = async {
        let message = observer.stream(queue.stream()).next().await;
        drop(message.expect("no end").expect("a record"));
    };
    tokio::select! {
        received = main => panic!("in the main queue: {received:?}"),
        () = capture.run(split) => {}
    }
    let base: BaseConsumer = config(&cluster).create().expect("a consumer");
    let base = base.with_receive_spans();
    read_all(&cluster, &*base);
    {
        let _here = capture.attach();
        let message = base.iter().next().expect("no end");
        drop(message.expect("a record"));
    }
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    poll orders [client] {messaging.system="kafka", messaging.operation.name="poll", messaging.operation.type="receive", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
       → send orders (another trace)
    poll orders [client] {messaging.system="kafka", messaging.operation.name="poll", messaging.operation.type="receive", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
       → send orders (another trace)
    "#);
}

#[tokio::test]
async fn a_poll_that_fails_says_why_and_the_end_of_a_partition_is_no_failure() {
    let capture = Capture::start();
    let cluster = cluster();
    let consumer = |setting, value| {
        let mut config = config(&cluster);
        let consumer: BaseConsumer = config.set(setting, value).create().expect("a consumer");
        consumer.with_receive_spans()
    };
    let [failing, ending] = [
        consumer("auto.offset.reset", "error"),
        consumer("enable.partition.eof", "true"),
    ];
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset(TOPIC, 0, Offset::Offset(100))
        .expect("an offset");
    failing.assign(&partitions).expect("assigned");
    read_all(&cluster, &*ending);
    {
        let _here = capture.attach();
        for consumer in [failing, ending] {
            let error = consumer.poll(PATIENCE).expect("an answer in time");
            error.expect_err("there is no record");
        }
    }
    insta::assert_snapshot!(tree(&capture), @r#"poll [client] {messaging.system="kafka", messaging.operation.name="poll", messaging.operation.type="receive", messaging.consumer.group.name="billing", messaging.client.id="shop-1", error.type="AutoOffsetReset"} error: Message consumption error: AutoOffsetReset (Local: No offset to automatically reset to)"#);
}

#[tokio::test]
async fn a_record_says_how_many_are_behind_it() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    for title in ["one", "two", "three"] {
        send(&producer, title).await;
    }
    let consumer: BaseConsumer = config(&cluster)
        .set("statistics.interval.ms", "10")
        .create()
        .expect("a consumer");
    read_all(&cluster, &*consumer);
    let mut messages = Vec::new();
    while messages.len() < 3 {
        let message = consumer.poll(PATIENCE).expect("a record in time");
        messages.push(message.expect("a record").detach());
    }
    // The statistics come with the polls.
    let told = (0..10_000).any(|_| {
        assert!(consumer.poll(Duration::from_millis(3)).is_none());
        consumer.context().watermarks().high(TOPIC, 0) == Some(3)
    });
    assert!(told);
    {
        let _here = capture.attach();
        for message in &messages {
            consumer.record(message).span().end();
        }
        consumer.batch(&messages[..2]).span().end();
    }
    let options = TreeOptions::new().hide("messaging.*").hide("trace.*");
    let tree = capture.tree_with(&options.redact("queue.wait"));
    insta::assert_snapshot!(tree, @r"
    process orders [consumer] {queue.wait=…, queue.lag.messages=2}
    process orders [consumer] {queue.wait=…, queue.lag.messages=1}
    process orders [consumer] {queue.wait=…, queue.lag.messages=0}
    process orders [consumer] {queue.wait=…, queue.lag.messages=1}
    ");
}

#[tokio::test]
async fn nothing_is_said_of_what_nobody_told() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    send(&producer, "book").await;
    let consumer = stream_consumer(&cluster);
    let message = consumer.stream().next().await.expect("no end");
    let message = message.expect("a record");
    let _here = capture.attach();
    consumer.record(&message).span().end();
    let spans = capture.spans();
    assert_eq!(spans[0].attribute("queue.lag.messages"), None);
}

#[tokio::test]
async fn topics_say_why_a_record_comes_again_and_its_send_where_it_came_from() {
    let capture = Capture::start();
    let cluster = cluster();
    for topic in [FORWARDED, "orders-dlt", "orders-later"] {
        cluster.create_topic(topic, 1, 1).expect("a topic");
    }
    let producer = future_producer(&cluster);
    capture.run(send(&producer, "book")).await;
    let redeliveries = |topic: &str| match topic {
        "orders-later" => Some(Redelivery::Delayed),
        topic if topic.ends_with("-retry") => Some(Redelivery::Retry),
        topic if topic.ends_with("-dlt") => Some(Redelivery::DeadLetter),
        _ => None,
    };
    let mut topic = TOPIC;
    let route = async {
        // Each handler fails, and sends its record on as it came, headers included.
        for next in [FORWARDED, "orders-dlt", "orders-later"] {
            let consumer: StreamConsumer = config(&cluster).create().expect("a consumer");
            let consumer = consumer.with_redeliveries(redeliveries);
            let mut partitions = TopicPartitionList::new();
            partitions
                .add_partition_offset(topic, 0, Offset::Beginning)
                .expect("an offset");
            consumer.assign(&partitions).expect("assigned");
            let message = consumer.recv().await.expect("a record").detach();
            let handler = async {
                let mut record = FutureRecord::<str, [u8]>::to(next);
                record.payload = message.payload();
                record.headers = message.headers().cloned();
                producer.send(record, PATIENCE).await.expect("delivered");
            };
            consumer.record(&message).process(handler).await;
            topic = next;
        }
        let consumer: StreamConsumer = config(&cluster).create().expect("a consumer");
        let consumer = consumer.with_redeliveries(redeliveries);
        let mut partitions = TopicPartitionList::new();
        partitions
            .add_partition_offset(topic, 0, Offset::Beginning)
            .expect("an offset");
        consumer.assign(&partitions).expect("assigned");
        let message = consumer.recv().await.expect("a record").detach();
        let batch = [message];
        consumer.batch(&batch).process(async {}).await;
    };
    capture.run(route).await;
    let options = TreeOptions::new().hide("messaging.*");
    let tree = capture.tree_with(&options.redact("queue.wait"));
    insta::assert_snapshot!(tree, @r#"
    send orders [producer]
    └─ process orders [consumer] {queue.wait=…, trace.relation="child", trace.relation.reason="record"}
       │  → send orders
       └─ send orders-retry [producer]
             → send orders
    process orders-retry [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="retry"}
    │  → send orders-retry (another trace)
    └─ send orders-dlt [producer]
          → send orders-retry (another trace)
    process orders-dlt [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="dead_letter"}
    │  → send orders-dlt (another trace)
    └─ send orders-later [producer]
          → send orders-dlt (another trace)
    process orders-later [consumer] {queue.wait=…, trace.relation="link", trace.relation.reason="delayed"}
       → send orders-later (another trace)
    "#);
}
