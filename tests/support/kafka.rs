//! Records of Kafka, sent and read in the same way on the mock cluster and on a real broker.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer as BareConsumer, Consumer, ConsumerContext};
use rdkafka::message::{DeliveryResult, Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{
    BaseRecord, DefaultProducerContext, FutureProducer as BareProducer, FutureRecord, Producer,
    ProducerContext, ThreadedProducer as BareThreadedProducer,
};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use throughline::Context;
use throughline::rdkafka::{FutureProducer, ThreadedProducer, extract, inject};
use throughline::testing::{Capture, TreeOptions};

/// How long a client may take; what is tested takes less, or the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where the records of a test go.
pub trait Place {
    /// The value for `bootstrap.servers`.
    fn servers(&self) -> String;
    /// The topic.
    fn topic(&self) -> &str;
    /// The group that consumers are in.
    fn group(&self) -> &str;
}

/// librdkafka's mock cluster.
pub type Cluster = MockCluster<'static, DefaultProducerContext>;

impl Place for Cluster {
    fn servers(&self) -> String {
        self.bootstrap_servers()
    }

    fn topic(&self) -> &str {
        "orders"
    }

    fn group(&self) -> &str {
        "billing"
    }
}

/// What all clients are configured with: no commits but those of the test, no waiting for more records, and not long for
/// a broker that is away.
#[must_use]
pub fn config(place: &impl Place) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", place.servers())
        .set("client.id", "shop-1")
        .set("group.id", place.group())
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "5")
        .set("reconnect.backoff.max.ms", "500");
    config
}

/// Lets a consumer read the first partition from the start, without the group's ceremony.
///
/// # Panics
///
/// If the client refuses.
pub fn read_all<C: ConsumerContext>(place: &impl Place, consumer: &impl Consumer<C>) {
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset(place.topic(), 0, Offset::Beginning)
        .expect("an offset");
    consumer.assign(&partitions).expect("assigned");
}

/// A producer of ours.
///
/// # Panics
///
/// If it cannot be made.
pub fn future_producer(place: &impl Place) -> FutureProducer {
    config(place).create().expect("a producer")
}

/// Sends a record with a producer of ours, and waits for its delivery.
///
/// # Panics
///
/// If it is not delivered.
pub async fn send(producer: &FutureProducer, topic: &str, payload: &str) {
    let record = FutureRecord::to(topic).key("7").payload(payload);
    producer.send(record, PATIENCE).await.expect("delivered");
}

/// Sends with rdkafka's own producer, under contexts that somebody else made.
///
/// # Panics
///
/// If a record is not delivered.
pub async fn send_under(place: &impl Place, contexts: impl IntoIterator<Item = Context>) {
    let producer: BareProducer = config(place).create().expect("a producer");
    let mut reports = Vec::new();
    for context in contexts {
        let mut record = FutureRecord::<str, str>::to(place.topic()).payload("book");
        record.headers = inject(&context, None);
        let sent = producer.send_result(record).map_err(|(error, _)| error);
        reports.push(sent.expect("enqueued"));
    }
    for report in reports {
        report.await.expect("a report").expect("delivered");
    }
}

/// Reads from the start of the first partition until there are `count` records.
///
/// # Panics
///
/// If they do not come in time.
#[must_use]
pub fn receive(place: &impl Place, count: usize) -> Vec<OwnedMessage> {
    let consumer: BareConsumer = config(place).create().expect("a consumer");
    read_all(place, &consumer);
    next(&consumer, count)
}

fn next(consumer: &BareConsumer, count: usize) -> Vec<OwnedMessage> {
    let mut messages = Vec::with_capacity(count);
    while messages.len() < count {
        let message = consumer.poll(PATIENCE).expect("a record in time");
        messages.push(message.expect("a record").detach());
    }
    messages
}

/// The picture, without how long records waited.
///
/// # Panics
///
/// If a span has not ended.
#[must_use]
pub fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    capture.tree_with(&TreeOptions::new().redact("queue.wait"))
}

/// The values of all headers of a name.
#[must_use]
pub fn text(headers: &impl Headers, name: &str) -> Vec<String> {
    (0..headers.count())
        .map(|at| headers.get(at))
        .filter(|header| header.key == name)
        .map(|header| String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned())
        .collect()
}

/// Sends the same stream of records through rdkafka's own client to one place and through ours to another, in rounds
/// that are read back before the next one begins, and holds against each other what arrived and what was acknowledged.
///
/// # Panics
///
/// If anything differs but the one header of ours, or if that header is not that of the record's own span.
pub fn same_as_through_the_bare_client(bare: &impl Place, traced: &impl Place, rounds: usize) {
    let one = Acknowledgements::default();
    let plain: BareThreadedProducer<Acknowledgements> = config(bare)
        .create_with_context(one.clone())
        .expect("a producer");
    let other = Acknowledgements::default();
    let ours: ThreadedProducer<Acknowledgements> = config(traced)
        .create_with_context(other.clone())
        .expect("a producer");
    let plainly: BareConsumer = config(bare).create().expect("a consumer");
    let traces: BareConsumer = config(traced).create().expect("a consumer");
    read_all(bare, &plainly);
    read_all(traced, &traces);
    for round in 0..rounds {
        let capture = Capture::start();
        let here = capture.attach();
        for number in round * ROUND..(round + 1) * ROUND {
            let payload = (!number.is_multiple_of(5)).then(|| format!("payload {number}"));
            let key = (!number.is_multiple_of(7)).then(|| format!("key {}", number % 11));
            let record = |topic| record_of_stream(topic, &payload, &key, number);
            let sent = plain.send(record(bare.topic())).map_err(|(error, _)| error);
            sent.expect("enqueued");
            let sent = ours
                .send(record(traced.topic()))
                .map_err(|(error, _)| error);
            sent.expect("enqueued");
        }
        drop(here);
        plain.flush(PATIENCE).expect("delivered");
        ours.flush(PATIENCE).expect("delivered");
        let messages = next(&traces, ROUND);
        let expected = next(&plainly, ROUND);
        assert!(expected.iter().map(told).eq(messages.iter().map(told)));
        assert!(
            expected
                .iter()
                .all(|message| context_headers(message).is_empty())
        );
        check_contexts(&capture, &messages);
        let (one, other) = (one.take(), other.take());
        assert_eq!((one.len(), one == other), (ROUND, true));
    }
}

/// Records of a round.
pub const ROUND: usize = 10_000;

/// Each record has one context, the one of its own send.
fn check_contexts(capture: &Capture, messages: &[OwnedMessage]) {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    let sent: HashSet<_> = capture
        .spans()
        .iter()
        .map(|span| (span.trace_id, span.span_id))
        .collect();
    let received: HashSet<_> = messages
        .iter()
        .map(|message| {
            assert_eq!(context_headers(message).len(), 1);
            let headers = message.headers().expect("headers");
            let sender = extract(headers).span_context();
            (sender.trace_id(), sender.span_id())
        })
        .collect();
    assert_eq!((sent.len(), sent == received), (messages.len(), true));
}

fn context_headers(message: &OwnedMessage) -> Vec<String> {
    message
        .headers()
        .map_or_else(Vec::new, |headers| text(headers, "traceparent"))
}

/// The records of a stream: some without key, payload or headers, some with headers of one name.
fn record_of_stream<'a>(
    topic: &'a str,
    payload: &'a Option<String>,
    key: &'a Option<String>,
    number: usize,
) -> BaseRecord<'a, str, str, usize> {
    let mut record =
        BaseRecord::with_opaque_to(topic, number).timestamp(1_700_000_000_000 + number as i64);
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

/// What makes one record equal to another: where it lies, payload, key, timestamp, and the headers that are not ours.
type Told = (
    i64,
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
        message.offset(),
        message.payload().map(<[u8]>::to_vec),
        message.key().map(<[u8]>::to_vec),
        message.timestamp().to_millis(),
        headers.collect(),
    )
}

/// Which record was put where.
#[derive(Clone, Debug, Default)]
struct Acknowledgements(Arc<Mutex<Vec<(usize, i32, i64)>>>);

impl Acknowledgements {
    /// By the records' numbers: two threads hand out reports while one flushes.
    fn take(&self) -> Vec<(usize, i32, i64)> {
        let mut all = std::mem::take(&mut *self.0.lock().expect("no test panicked"));
        all.sort_unstable();
        all
    }
}

impl ClientContext for Acknowledgements {}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        if let Ok(record) = result {
            let mut all = self.0.lock().expect("no test panicked");
            all.push((number, record.partition(), record.offset()));
        }
    }
}
