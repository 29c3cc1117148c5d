//! Brokers that end, stop or cannot be reached, while records are sent and handled.
//!
//! Whatever happens, each record that was acknowledged is in the topic, once; each send has one span, which says where
//! the record is or why it failed; and each record that was handled has a span below its sender's.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use futures::future::join_all;
use rdkafka::consumer::{BaseConsumer as BareConsumer, CommitMode, Consumer};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::FutureRecord;
use throughline::core::{SpanId, Status};
use throughline::rdkafka::{FutureProducer, StreamConsumer};
use throughline::testing::{Capture, Fault, ReceivedSpan, Value};
use throughline::{Context, FutureExt};
use throughline_tests::support::kafka::{PATIENCE, Place, config, receive};
use tokio::sync::watch;
use tokio::task;
use tokio::time::timeout;

use super::{Broker, Topic, consumer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "installs and starts Kafka"]
async fn a_broker_that_is_killed_and_started_again_loses_nothing() {
    let mut broker = Broker::own();
    let killed = (
        (|broker| broker.server.end("KILL")) as Act,
        (|broker| broker.server.start_again()) as Act,
    );
    send_and_handle_through(&mut broker, "restarts", &[killed]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "installs and starts Kafka"]
async fn a_broker_that_stops_for_a_while_loses_nothing() {
    let mut broker = Broker::own();
    let stopped = (
        (|broker| broker.server.signal("STOP")) as Act,
        (|broker| broker.server.signal("CONT")) as Act,
    );
    send_and_handle_through(&mut broker, "pauses", &[stopped]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "installs and starts Kafka"]
async fn connections_that_are_cut_lose_nothing() {
    let mut broker = Broker::behind_a_proxy();
    let mended = (|broker| broker.network(Fault::None)) as Act;
    let faults = [
        ((|broker| broker.network(Fault::Reset)) as Act, mended),
        ((|broker| broker.network(Fault::CutAnswers)) as Act, mended),
        ((|broker| broker.network(Fault::Stall)) as Act, mended),
    ];
    send_and_handle_through(&mut broker, "cuts", &faults).await;
}

/// What is done to a broker.
type Act = fn(&mut Broker);

/// How many records are sent before, while and after something is wrong.
const BEFORE: u32 = 50;
const PATIENT: u32 = 50;
const IMPATIENT: u32 = 5;
const AFTER: u32 = 50;

/// Sends and handles records while the faults begin and end, one after the other, and checks what is left of it.
async fn send_and_handle_through(broker: &mut Broker, name: &'static str, faults: &[(Act, Act)]) {
    let topic = broker.topic(name, 1).await;
    let capture = Capture::start();
    let patient = producer(&topic, "enable.idempotence", "true");
    // It gives up while the fault lasts.
    let impatient = producer(&topic, "message.timeout.ms", "1000");
    let (stop, stopped) = watch::channel(false);
    let (handled, mut seen) = watch::channel(Vec::new());
    let handling = handle(consumer(&topic), handled, stopped);
    let handling = tokio::spawn(handling.with_context(capture.context()));

    let mut sent = Sent::default();
    let mut numbers = 0..;
    let mut next = |count| {
        let first = numbers.start;
        numbers.start += count;
        first..first + count
    };
    for (begin, end) in faults {
        sent.add(capture.run(send(&patient, name, next(BEFORE))).await);
        let last = sent.last_acknowledged();
        let is_handled = |all: &Vec<Handled>| all.iter().any(|one| one.number == last);
        wait_for(&mut seen, is_handled).await;
        task::block_in_place(|| begin(broker));
        let waits = capture.run(send(&patient, name, next(PATIENT)));
        let gives_up = capture.run(send(&impatient, name, next(IMPATIENT)));
        let until_it_ends = async {
            let given_up = gives_up.await;
            assert!(given_up.iter().all(|(_, result)| result.is_err()));
            task::block_in_place(|| end(broker));
            given_up
        };
        let (acknowledged, given_up) = futures::join!(waits, until_it_ends);
        sent.add(acknowledged);
        sent.add(given_up);
        sent.add(capture.run(send(&patient, name, next(AFTER))).await);
    }
    assert_eq!(sent.failed.len(), faults.len() * IMPATIENT as usize);
    let all_are_handled = |all: &Vec<Handled>| {
        let mut acknowledged = sent.acknowledged.keys();
        acknowledged.all(|number| all.iter().any(|one| one.number == *number))
    };
    wait_for(&mut seen, all_are_handled).await;
    stop.send(true).expect("somebody handles");
    let handled = handling.await.expect("no panic");

    let stored = stored(&topic);
    sent.check_stored(&stored);
    assert_eq!(capture.stats().live(), 0, "every span ended");
    let spans = capture.spans();
    let senders = sent.check_spans(&spans);
    check_handlers(&spans, &handled, &stored, &senders);
}

async fn wait_for(
    handled: &mut watch::Receiver<Vec<Handled>>,
    condition: impl FnMut(&Vec<Handled>) -> bool,
) {
    let waited = timeout(2 * PATIENCE, handled.wait_for(condition)).await;
    let seen = waited.expect("it is handled in time");
    seen.expect("somebody handles");
}

fn producer(topic: &Topic, key: &str, value: &str) -> FutureProducer {
    config(topic).set(key, value).create().expect("a producer")
}

/// Where a record was put, or why it was not.
type Result = std::result::Result<i64, String>;

/// Sends records whose keys and payloads are numbers, all at once.
async fn send(producer: &FutureProducer, topic: &str, numbers: Range<u32>) -> Vec<(u32, Result)> {
    let sends = numbers.map(|number| async move {
        let text = number.to_string();
        let record = FutureRecord::to(topic).key(&text).payload(&text);
        let sent = producer.send(record, PATIENCE).await;
        let offset = sent.map(|delivery| delivery.offset);
        (number, offset.map_err(|(error, _)| error.to_string()))
    });
    join_all(sends).await
}

/// What became of all sends.
#[derive(Default)]
struct Sent {
    acknowledged: BTreeMap<u32, i64>,
    failed: BTreeMap<u32, String>,
}

impl Sent {
    fn add(&mut self, results: Vec<(u32, Result)>) {
        for (number, result) in results {
            match result {
                Ok(offset) => _ = self.acknowledged.insert(number, offset),
                Err(error) => _ = self.failed.insert(number, error),
            }
        }
    }

    fn last_acknowledged(&self) -> u32 {
        let last = self.acknowledged.last_key_value();
        *last.expect("some are acknowledged").0
    }

    /// Each record is where its acknowledgement says, and nowhere else. One that failed may be there all the same: its
    /// sender does not know.
    fn check_stored(&self, stored: &HashMap<i64, u32>) {
        for (number, offset) in &self.acknowledged {
            assert_eq!(stored.get(offset), Some(number), "at {offset}");
        }
        let others = stored.iter().filter(|(offset, number)| {
            self.acknowledged.get(number) != Some(offset) && !self.failed.contains_key(number)
        });
        assert_eq!(others.collect::<Vec<_>>(), []);
    }

    /// Each send has one span, which tells the truth. The spans' ids, by their records' numbers.
    fn check_spans(&self, spans: &[ReceivedSpan]) -> HashMap<u32, SpanId> {
        let mut senders = HashMap::new();
        for span in spans.iter().filter(|span| span.name.starts_with("send ")) {
            let number = span.attribute("messaging.kafka.message.key");
            let number = number.and_then(Value::as_str).expect("a key");
            let number: u32 = number.parse().expect("a number");
            let twice = senders.insert(number, span.span_id);
            assert_eq!(twice, None, "{number} has one span");
            let offset = span.attribute("messaging.kafka.offset");
            let error = span.attribute("error.type").and_then(Value::as_str);
            match self.acknowledged.get(&number) {
                Some(&acknowledged) => {
                    assert_eq!(offset, Some(&Value::Int(acknowledged)), "{span:#?}");
                    assert_eq!((error, span.status), (None, Status::Unset), "{span:#?}");
                }
                None => {
                    assert_eq!(
                        (offset, error),
                        (None, Some("MessageTimedOut")),
                        "{span:#?}"
                    );
                    assert_eq!(span.status, Status::Error, "{span:#?}");
                    assert_eq!(span.status_message, self.failed[&number]);
                }
            }
        }
        assert_eq!(senders.len(), self.acknowledged.len() + self.failed.len());
        senders
    }
}

/// A record that was handled, and the span that was current then.
#[derive(Clone, Copy, Debug)]
struct Handled {
    number: u32,
    offset: i64,
    span: SpanId,
}

/// Handles and commits what comes, until it is told to stop.
async fn handle(
    consumer: StreamConsumer,
    handled: watch::Sender<Vec<Handled>>,
    mut stopped: watch::Receiver<bool>,
) -> Vec<Handled> {
    loop {
        let received = tokio::select! {
            received = consumer.recv() => received,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        // What the consumer tells of a broker that is away is no record.
        let Ok(message) = received else { continue };
        let handler = async { Context::current().span_context().span_id() };
        let span = consumer.record(&message).process(handler).await;
        let payload = message.payload().map(String::from_utf8_lossy);
        let number = payload.expect("a payload").parse().expect("a number");
        // It fails while the broker is away; the records come again then.
        let _ = consumer.commit_message(&message, CommitMode::Async);
        let offset = message.offset();
        let one = Handled {
            number,
            offset,
            span,
        };
        handled.send_modify(|all| all.push(one));
    }
    handled.borrow().clone()
}

/// Each handler had a span of its own, of its own record, below the record's sender.
fn check_handlers(
    spans: &[ReceivedSpan],
    handled: &[Handled],
    stored: &HashMap<i64, u32>,
    senders: &HashMap<u32, SpanId>,
) {
    let spans = spans
        .iter()
        .filter(|span| span.name.starts_with("process "));
    let spans: HashMap<_, _> = spans.map(|span| (span.span_id, span)).collect();
    assert_eq!(spans.len(), handled.len());
    for one in handled {
        assert_eq!(stored[&one.offset], one.number);
        let span = spans[&one.span];
        let offset = span.attribute("messaging.kafka.offset");
        assert_eq!(offset, Some(&Value::Int(one.offset)), "{span:#?}");
        assert_eq!(span.parent, senders.get(&one.number).copied(), "{span:#?}");
        assert_eq!(span.links.len(), 1, "{span:#?}");
        assert_eq!(span.status, Status::Unset, "{span:#?}");
    }
}

/// The numbers of all records in the topic, by their offsets.
fn stored(topic: &Topic) -> HashMap<i64, u32> {
    let consumer: BareConsumer = config(topic).create().expect("a consumer");
    let (low, high) = consumer
        .fetch_watermarks(topic.topic(), 0, PATIENCE)
        .expect("an answer");
    assert_eq!(low, 0);
    let messages = receive(topic, high as usize);
    let number = |message: &OwnedMessage| {
        let payload = message.payload().map(String::from_utf8_lossy);
        payload.expect("a payload").parse().expect("a number")
    };
    messages
        .iter()
        .map(|message| (message.offset(), number(message)))
        .collect()
}
