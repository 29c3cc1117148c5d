//! What the user sends is what arrives: headers, keys, payloads, timestamps and their order, beside the bare client.

use std::collections::HashSet;

use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{
    BaseRecord, DefaultProducerContext, FutureRecord, Producer,
    ThreadedProducer as BareThreadedProducer,
};
use throughline::rdkafka::{ThreadedProducer, extract};
use throughline::testing::Capture;
use throughline::{FutureExt, span};

use super::{PATIENCE, TOPIC, cluster, config, future_producer, receive, send, text};

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

/// What makes one record equal to another.
type Told = (
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<i64>,
    Vec<(String, Option<Vec<u8>>)>,
);

fn told(message: &OwnedMessage) -> Told {
    let headers = message.headers().into_iter().flat_map(|headers| {
        headers
            .iter()
            .filter(|header| header.key != "traceparent")
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
    });
    (
        message.payload().map(<[u8]>::to_vec),
        message.key().map(<[u8]>::to_vec),
        message.timestamp().to_millis(),
        headers.collect(),
    )
}

/// The records of a stream: some without key, payload or headers, some with headers of one name.
fn stream_record<'a>(
    payload: &'a Option<String>,
    key: &'a Option<String>,
    number: usize,
) -> BaseRecord<'a, str, str> {
    let mut record = BaseRecord::to(TOPIC).timestamp(1_700_000_000_000 + number as i64);
    record.payload = payload.as_deref();
    record.key = key.as_deref();
    record.headers = (!number.is_multiple_of(3)).then(|| {
        let headers = OwnedHeaders::new().insert(Header {
            key: "n",
            value: Some(&number.to_string()),
        });
        let headers = headers.insert(Header::<&str> {
            key: "n",
            value: None,
        });
        headers.insert(Header {
            key: "",
            value: Some(""),
        })
    });
    record
}

#[test]
fn ten_thousand_records_are_those_of_the_bare_client() {
    const COUNT: usize = 10_000;
    let capture = Capture::start();
    let [bare, traced] = [(); 2].map(|()| cluster());
    let one: BareThreadedProducer<DefaultProducerContext> =
        config(&bare).create().expect("a producer");
    let other: ThreadedProducer = config(&traced).create().expect("a producer");
    {
        let _here = capture.attach();
        for number in 0..COUNT {
            let payload = (!number.is_multiple_of(5)).then(|| format!("payload {number}"));
            let key = (!number.is_multiple_of(7)).then(|| format!("key {}", number % 11));
            let record = || stream_record(&payload, &key, number);
            one.send(record())
                .map_err(|(error, _)| error)
                .expect("enqueued");
            other
                .send(record())
                .map_err(|(error, _)| error)
                .expect("enqueued");
        }
    }
    one.flush(PATIENCE).expect("delivered");
    other.flush(PATIENCE).expect("delivered");
    drop(other);
    let messages = receive(&traced, COUNT);
    let plain = receive(&bare, COUNT);
    assert!(plain.iter().map(told).eq(messages.iter().map(told)));
    assert!(plain.iter().all(|message| {
        message
            .headers()
            .is_none_or(|headers| text(headers, "traceparent").is_empty())
    }));
    // Each has one context, the one of its own send.
    assert_eq!(capture.stats().live(), 0, "every span ended");
    let sent: HashSet<_> = capture
        .spans()
        .iter()
        .map(|span| (span.trace_id, span.span_id))
        .collect();
    let received: HashSet<_> = messages
        .iter()
        .map(|message| {
            let headers = message.headers().expect("headers");
            assert_eq!(text(headers, "traceparent").len(), 1);
            let sender = extract(headers).span_context();
            (sender.trace_id(), sender.span_id())
        })
        .collect();
    assert_eq!((sent.len(), sent == received), (COUNT, true));
}
