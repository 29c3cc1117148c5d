//! What the user sends is what arrives: headers, keys, payloads, timestamps and their order, beside the bare client.

use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use throughline::testing::Capture;
use throughline::{FutureExt, span};
use throughline_tests::support::kafka::same_as_through_the_bare_client;

use super::{PATIENCE, TOPIC, cluster, future_producer, receive, send, text};

#[tokio::test]
async fn a_record_that_is_sent_on_has_one_context() {
    let capture = Capture::start();
    let cluster = cluster();
    let producer = future_producer(&cluster);
    capture.run(send(&producer, "book")).await;
    let first = receive(&cluster, 1).remove(0);
    let with = |headers: OwnedHeaders, key, value| {
        headers.insert(Header {
            key,
            value: Some(value),
        })
    };
    let headers = first.headers().expect("headers").as_borrowed().detach();
    let headers = with(headers, "tenant", "blue");
    let headers = with(headers, "baggage", "user=me");
    let headers = with(headers, "tenant", "green");
    let mut record = FutureRecord::to(TOPIC).headers(headers);
    record.key = first.key();
    record.payload = first.payload();
    let forward = async { producer.send(record, PATIENCE).await.expect("delivered") };
    forward
        .in_span(span!(parent: capture.context(), "forward"))
        .await;
    let messages = receive(&cluster, 2);
    let headers = messages[1].headers().expect("headers");
    let names: Vec<_> = headers.iter().map(|header| header.key).collect();
    assert_eq!(names, ["tenant", "tenant", "traceparent"]);
    assert_eq!(text(headers, "tenant"), ["blue", "green"]);
    let sent = capture.spans();
    let sent = sent.iter().rfind(|span| span.name == "send orders");
    let sent = sent.expect("the second send").span_id.to_string();
    assert!(text(headers, "traceparent")[0].contains(&sent));
}

#[test]
fn ten_thousand_records_are_those_of_the_bare_client() {
    same_as_through_the_bare_client(&cluster(), &cluster(), 1);
}
