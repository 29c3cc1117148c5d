//! What a consumer group and a transaction do beside the records: partitions that are taken away, work that is undone, and
//! a producer that polls by itself.

use rdkafka::producer::PurgeConfig;

use super::*;

#[tokio::test]
async fn partitions_that_are_taken_away_are_an_event() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    send(&producer, "book").await;
    let consumer: BaseConsumer = config(&cluster).create().expect("a consumer");
    let assigned = || consumer.assignment().expect("an assignment").count();
    {
        let _joins = span!(parent: capture.context(), "joins").enter();
        consumer.subscribe(&[TOPIC]).expect("subscribed");
        let message = consumer.iter().next().expect("no end");
        message.expect("a record");
        assert_eq!(assigned(), 1);
    }
    {
        let _leaves = span!(parent: capture.context(), "leaves").enter();
        consumer.unsubscribe();
        while assigned() > 0 {
            assert!(consumer.poll(Duration::from_millis(1)).is_none());
        }
    }
    insta::assert_snapshot!(tree(&capture), @r#"
    joins
       • kafka.rebalance {messaging.system="kafka", queue.rebalance.kind="assign", queue.rebalance.partition_count=1, queue.rebalance.topics=["orders"]}
    leaves
       • kafka.rebalance {messaging.system="kafka", queue.rebalance.kind="revoke", queue.rebalance.partition_count=1, queue.rebalance.topics=["orders"]}
    "#);
}

#[tokio::test]
async fn a_transaction_that_is_undone_is_part_of_the_handler_that_failed() {
    let capture = Capture::start();
    let (_cluster, consumer, producer) = billing(&capture).await;
    let message = consumer.recv().await.expect("a record");
    let handler = async {
        send_invoice(&producer).await;
        producer.abort_transaction(PATIENCE).expect("undone");
        Err::<(), _>("no stock")
    };
    let handled = capture.run(async { consumer.record(&message).try_process(handler).await });
    handled.await.expect_err("no stock");
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    └─ process orders [consumer] {queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7", error.type="&str"} error: no stock
       │  • exception {exception.type="&str", exception.message="no stock"}
       │  → send orders
       ├─ send invoices [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="invoices", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
       └─ abort_transaction [client] {messaging.system="kafka", messaging.operation.name="abort_transaction", messaging.operation.type="settle", messaging.client.id="shop-1"}
    "#);
}

#[tokio::test]
async fn a_threaded_producer_s_spans_end_with_their_reports() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer: ThreadedProducer = config(&cluster).create().expect("a producer");
    {
        let _request = span!(parent: capture.context(), "request").enter();
        for title in ["book", "pen"] {
            let record = BaseRecord::<str, str>::to(TOPIC).payload(title);
            let sent = producer.send(record).map_err(|(error, _)| error);
            sent.expect("enqueued");
        }
    }
    producer.flush(PATIENCE).expect("reports");
    let messages = receive(&cluster, 2);
    let observer = Observer::from_config(&config(&cluster));
    let handle = async {
        for message in &messages {
            observer.record(message).process(async {}).await;
        }
    };
    capture.run(handle).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    │  └─ process orders [consumer] {queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    │        → send orders
    └─ send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=1}
       └─ process orders [consumer] {queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.system="kafka", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=1}
             → send orders
    "#);
}

#[tokio::test]
async fn what_is_never_sent_is_an_error_of_its_span() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer: BaseProducer = config(&cluster)
        .set("queue.buffering.max.messages", "1")
        .set("linger.ms", "60000")
        .create()
        .expect("a producer");
    {
        let _here = capture.attach();
        let record = |title| BaseRecord::<str, str>::to(TOPIC).payload(title);
        let sent = producer.send(record("book")).map_err(|(error, _)| error);
        sent.expect("room for one");
        let (_, refused) = producer.send(record("pen")).expect_err("no room for two");
        assert_eq!(refused.payload, Some("pen"), "it is not lost");
    }
    assert_eq!(capture.stats().live(), 1, "the other one waits");
    producer.purge(PurgeConfig::default().queue());
    producer.flush(PATIENCE).expect("a report");
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", error.type="PurgeQueue"} error: Message production error: PurgeQueue (Local: Purged in queue)
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", error.type="QueueFull"} error: Message production error: QueueFull (Local: Queue full)
    "#);
}
