//! A handler that has the attribute as well.

use throughline::{consumer, current};

use super::*;

#[consumer(system = "kafka", destination = %message.topic(), attrs(order.title = title(message)))]
async fn store(message: &impl Message) -> Result<(), &'static str> {
    tokio::task::yield_now().await;
    current().set_attribute("stored", title(message) == "book");
    if title(message) == "book" {
        Ok(())
    } else {
        Err("no room")
    }
}

fn title(message: &impl Message) -> String {
    let payload = message.payload().unwrap_or_default();
    String::from_utf8_lossy(payload).into_owned()
}

#[consumer(system = "kafka", destination = "orders", batch)]
async fn store_all(messages: &[OwnedMessage]) {
    current().set_attribute("stored", i64::try_from(messages.len()).expect("few"));
}

#[tokio::test]
async fn the_attribute_and_the_record_make_one_span() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    for title in ["book", "pen"] {
        capture.run(send(&producer, title)).await;
    }
    let consumer = stream_consumer(&cluster);
    let work = async {
        for fails in [false, true] {
            let message = consumer.recv().await.expect("a record");
            let record = consumer.record(&message);
            let stored = record.try_process(store(&message)).await;
            assert_eq!(stored.is_err(), fails);
        }
        let messages = receive(&cluster, 2);
        let batch = consumer.batch(&messages);
        batch.process(store_all(&messages)).await;
        // Without the integration around it, the attribute has a span by itself.
        store(&messages[0]).await.expect("room");
    };
    capture.run(work).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=0}
    └─ process orders [consumer] {messaging.operation.name="process", messaging.operation.type="process", messaging.system="kafka", queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=0, messaging.kafka.message.key="7", messaging.destination.name="orders", order.title="book", stored=true}
          → send orders
    send orders [producer] {messaging.system="kafka", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.kafka.message.key="7", messaging.destination.partition.id="0", messaging.kafka.offset=1}
    └─ process orders [consumer] {messaging.operation.name="process", messaging.operation.type="process", messaging.system="kafka", queue.wait=…, trace.relation="child", trace.relation.reason="record", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.kafka.offset=1, messaging.kafka.message.key="7", messaging.destination.name="orders", order.title="pen", stored=false, error.type="&str"} error: no room
          • exception {exception.type="&str", exception.message="no room"}
          → send orders
    process orders [consumer] {messaging.operation.name="process", messaging.operation.type="process", messaging.system="kafka", messaging.destination.name="orders", queue.wait=…, trace.relation="link", trace.relation.reason="batch", messaging.consumer.group.name="billing", messaging.client.id="shop-1", messaging.destination.partition.id="0", messaging.batch.message_count=2, stored=2}
       → send orders (another trace) {messaging.kafka.offset=0, messaging.kafka.message.key="7"}
       → send orders (another trace) {messaging.kafka.offset=1, messaging.kafka.message.key="7"}
    process orders [consumer] {messaging.operation.name="process", messaging.operation.type="process", messaging.system="kafka", messaging.destination.name="orders", order.title="book", stored=true}
    "#);
}
