//! What a reader of an SDK collects.

mod support;

use std::time::Duration;

use throughline_core::{Callsite, Context};
use throughline_core::{FutureExt, RecorderConfig, Sampler, Span, callsite};
use throughline_messaging::queue::{Destination, Poll};
use throughline_messaging::{
    Arrival, Head, Operation, Policy, Projection, StoredEvent, mpsc, observe, try_observe,
};
use throughline_metrics::Metrics;
use throughline_testing::Capture;

use support::{Kept, Series};

static REQUEST: Callsite = callsite!("request", Server);

fn capture(sampler: Sampler) -> Capture {
    let mut config = RecorderConfig::default();
    config.sampler = sampler;
    Capture::with_config(config)
}

/// The series of which something in the attributes says that they are this test's.
fn of<'a>(series: &'a [Series], word: &str) -> Vec<&'a Series> {
    let has = |series: &&Series| series.attributes.iter().any(|text| text.contains(word));
    series.iter().filter(has).collect()
}

/// Name, attributes and counts; times are what they are.
fn picture(series: &[&Series]) -> String {
    let lines: Vec<_> = series
        .iter()
        .map(|series| {
            let attributes = series.attributes.join(", ");
            format!("{} {{{attributes}}} {}", series.name, series.count)
        })
        .collect();
    lines.join("\n")
}

async fn in_request<F: Future>(capture: &Capture, work: F) -> F::Output {
    let _here = capture.attach();
    let span = Span::start(&REQUEST);
    work.in_span(span).await
}

#[tokio::test]
async fn actors_are_counted_sampled_or_not_and_timed_as_their_spans() {
    for sampler in [Sampler::always_on(), Sampler::always_off()] {
        let kept = Kept::new();
        let capture = capture(sampler);
        let metrics = Metrics::start(capture.recorder(), &kept.meter()).expect("a thread");
        let (tx, mut rx) = mpsc::named("timed", 256);
        for number in 0..120 {
            in_request(&capture, tx.send(number)).await.expect("open");
            let delivery = rx.recv().await.expect("sent");
            let _ = delivery
                .try_handle(|number: u32| async move {
                    tokio::task::yield_now().await;
                    if number < 20 {
                        Err("too small")
                    } else {
                        Ok(())
                    }
                })
                .await;
        }
        let series = kept.collect();
        let timed = of(&series, "timed");
        insta::allow_duplicates! {
            insta::assert_snapshot!(picture(&timed), @r"
            actor.ask.timeouts {actor.mailbox.name=timed} 0
            actor.mailbox.size {actor.mailbox.name=timed} 0
            actor.mailbox.wait.duration {actor.mailbox.name=timed, actor.message.type=u32} 120
            actor.messages.dropped {actor.mailbox.name=timed} 0
            actor.process.duration {actor.mailbox.name=timed, actor.message.type=u32} 100
            actor.process.duration {actor.mailbox.name=timed, actor.message.type=u32, error.type=&str} 20
            ");
        }
        let spans = capture.spans();
        let handlers = spans.iter().filter(|span| span.name == "process timed");
        let spans_sum: u64 = handlers
            .map(|span| span.end_unix_nano - span.start_unix_nano)
            .sum();
        let process = |series: &&&Series| series.name == "actor.process.duration";
        let sum: f64 = timed.iter().filter(process).map(|series| series.sum).sum();
        if capture.stats().started > 0 {
            assert!((sum - spans_sum as f64 / 1e9).abs() < 1e-6, "{sum}");
        } else {
            assert!(sum > 0.0);
        }
        metrics.shutdown();
    }
}

#[tokio::test]
async fn waits_fall_into_the_buckets_of_the_conventions() {
    let kept = Kept::new();
    let capture = capture(Sampler::always_off());
    let metrics = Metrics::start(capture.recorder(), &kept.meter()).expect("a thread");
    let stored = in_request(&capture, async { Context::current() }).await;
    let summary = Projection::new("bucketed");
    let lags = [1, 7, 8, 20, 90, 3_000, 20_000].map(Duration::from_millis);
    for lag in lags {
        let event = StoredEvent::new(&stored, "OrderPlaced").lag(lag);
        summary.handle(&event, async {}).await;
    }
    let skipping = Projection::new("bucketed").skipping(["OrderSeen"]);
    let event = StoredEvent::new(&stored, "OrderSeen");
    skipping.handle(&event, async {}).await;
    let series = kept.collect();
    let waits = of(&series, "bucketed");
    insta::assert_snapshot!(picture(&waits), @r"
    projection.events.skipped {projection.name=bucketed} 1
    projection.live {projection.name=bucketed} 2
    projection.process.duration {projection.event.type=OrderPlaced, projection.name=bucketed} 7
    projection.wait.duration {projection.event.type=OrderPlaced, projection.name=bucketed} 7
    ");
    let waits: Vec<_> = waits
        .into_iter()
        .filter(|series| series.name == "projection.wait.duration")
        .collect();
    let [wait] = waits.as_slice() else {
        panic!("{waits:?}");
    };
    let buckets = [
        (0.005, 1),
        (0.01, 2),
        (0.025, 1),
        (0.1, 1),
        (5.0, 1),
        (f64::INFINITY, 1),
    ];
    assert_eq!(wait.buckets, buckets);
    let all: Duration = lags.iter().sum();
    assert!((wait.sum - all.as_secs_f64()).abs() < 1e-6, "{}", wait.sum);
    drop(metrics);
}

#[tokio::test]
async fn queues_count_every_record_of_a_batch_and_every_operation() {
    for sampler in [Sampler::always_on(), Sampler::always_off()] {
        let kept = Kept::new();
        let capture = capture(sampler);
        let metrics = Metrics::start(capture.recorder(), &kept.meter()).expect("a thread");
        let parcels = Destination::new("mybroker", "parcels");
        let sender = in_request(&capture, async {
            parcels.create().end();
            parcels.send().end();
            parcels.batch_of(3).send().end();
            Context::current()
        })
        .await;
        let parcels = parcels.consumer_group(Some("depot"));
        let one = Arrival::new(&sender, Operation::Record);
        observe(parcels.process(&one, &Policy::new()), async {}).await;
        let fails = async { Err::<(), _>(std::fmt::Error) };
        let failed = try_observe(parcels.process(&one, &Policy::new()), fails).await;
        failed.expect_err("it fails");
        let batch = Arrival::new(&sender, Operation::Batch);
        let span = parcels.batch_of(5).process(&batch, &Policy::new());
        observe(span, async {}).await;
        in_request(&capture, async {
            let poll = Poll::begin();
            poll.brought(&parcels.batch_of(7), "poll", []).end();
            parcels.settle("ack").end();
        })
        .await;
        // What shutting down finds is not lost, though nobody collected before.
        metrics.shutdown();
        let series = kept.collect();
        insta::allow_duplicates! {
            insta::assert_snapshot!(picture(&of(&series, "parcels")), @r"
            messaging.client.consumed.messages {messaging.consumer.group.name=depot, messaging.destination.name=parcels, messaging.operation.name=process, messaging.system=mybroker} 7
            messaging.client.operation.duration {messaging.consumer.group.name=depot, messaging.destination.name=parcels, messaging.operation.name=ack, messaging.operation.type=settle, messaging.system=mybroker} 1
            messaging.client.operation.duration {messaging.consumer.group.name=depot, messaging.destination.name=parcels, messaging.operation.name=poll, messaging.operation.type=receive, messaging.system=mybroker} 1
            messaging.client.operation.duration {messaging.destination.name=parcels, messaging.operation.name=send, messaging.operation.type=send, messaging.system=mybroker} 2
            messaging.client.sent.messages {messaging.destination.name=parcels, messaging.operation.name=send, messaging.operation.type=send, messaging.system=mybroker} 4
            messaging.process.duration {error.type=core::fmt::Error, messaging.consumer.group.name=depot, messaging.destination.name=parcels, messaging.operation.name=process, messaging.system=mybroker} 1
            messaging.process.duration {messaging.consumer.group.name=depot, messaging.destination.name=parcels, messaging.operation.name=process, messaging.system=mybroker} 2
            ");
        }
    }
}

#[test]
fn who_sends_and_says_nothing_of_itself_has_sent_a_message() {
    static SEND: Callsite = callsite!("send", Producer);
    let kept = Kept::new();
    let capture = capture(Sampler::always_off());
    let metrics = Metrics::start(capture.recorder(), &kept.meter()).expect("a thread");
    let _here = capture.attach();
    let mut span = Span::start(&SEND);
    span.operates(&SEND);
    span.end();
    metrics.shutdown();
    let series = kept.collect();
    let says_nothing = |series: &&Series| series.attributes.is_empty() && series.count > 0;
    let all: Vec<_> = series.iter().filter(says_nothing).collect();
    insta::assert_snapshot!(picture(&all), @r"
    messaging.client.operation.duration {} 1
    messaging.client.sent.messages {} 1
    ");
}

#[tokio::test]
async fn mailboxes_are_read_when_somebody_collects() {
    let kept = Kept::new();
    let capture = capture(Sampler::always_on());
    let metrics = Metrics::start(capture.recorder(), &kept.meter()).expect("a thread");
    let (tx, rx) = mpsc::named("crowded", 2);
    tx.try_send(1).expect("there is room");
    tx.try_send(2).expect("there is room");
    tx.try_send(3).expect_err("there is none");
    let before = kept.collect();
    drop(rx);
    let after = kept.collect();
    let pictures = [before, after].map(|series| picture(&of(&series, "crowded")));
    insta::assert_snapshot!(pictures.join("\n\n"), @r"
    actor.ask.timeouts {actor.mailbox.name=crowded} 0
    actor.mailbox.size {actor.mailbox.name=crowded} 2
    actor.messages.dropped {actor.mailbox.name=crowded} 1

    actor.ask.timeouts {actor.mailbox.name=crowded} 0
    actor.mailbox.size {actor.mailbox.name=crowded} 0
    actor.messages.dropped {actor.mailbox.name=crowded} 3
    ");
    drop(metrics);
}

#[tokio::test]
async fn nothing_is_measured_once_it_is_over() {
    let kept = Kept::new();
    let capture = capture(Sampler::always_off());
    let metrics = Metrics::start(capture.recorder(), &kept.meter()).expect("a thread");
    metrics.shutdown();
    let (tx, mut rx) = mpsc::named("too late", 2);
    in_request(&capture, tx.send(1)).await.expect("open");
    let delivery = rx.recv().await.expect("sent");
    assert_eq!(delivery.enqueued(), None, "nobody looks at the clock");
    delivery.handle(|_| async {}).await;
    assert_eq!(picture(&of(&kept.collect(), "too late")), "");
}

#[test]
fn the_lag_of_a_projection_grows_until_it_handles_and_goes_with_it() {
    let kept = Kept::new();
    let capture = capture(Sampler::always_off());
    let metrics = Metrics::start(capture.recorder(), &kept.meter()).expect("a thread");
    let head = Head::new();
    let behind = Projection::new("lagging").with_partition("3");
    let unread = Projection::new("lagging: not asked for");
    behind.follow(&head);
    let collected = || {
        let mut series = kept.collect();
        series.retain(|series| series.name.starts_with("projection.lag"));
        let age = series.iter().map(|series| series.sum).sum::<f64>();
        (picture(&of(&series, "lagging")), age)
    };
    let (nothing, _) = collected();
    head.written("a", 1);
    head.written_ago("b", 1, Duration::from_secs(30));
    let (written, age) = collected();
    let (stopped, older) = collected();
    assert_eq!(written, stopped);
    assert!(age > 30.0 && older > age, "{age} {older}");
    behind.handled("b", 1);
    let (handled, younger) = collected();
    assert!(younger < age, "{younger}");
    drop((behind, unread));
    let (gone, _) = collected();
    insta::assert_snapshot!([nothing, written, handled, gone].join("\n\n"), @r"
    projection.lag {projection.name=lagging, projection.partition=3} 0
    projection.lag.events {projection.name=lagging, projection.partition=3} 0

    projection.lag {projection.name=lagging, projection.partition=3} 1
    projection.lag.events {projection.name=lagging, projection.partition=3} 2

    projection.lag {projection.name=lagging, projection.partition=3} 1
    projection.lag.events {projection.name=lagging, projection.partition=3} 1
    ");
    metrics.shutdown();
}
