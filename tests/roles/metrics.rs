//! What is measured of handled messages: the same whether their traces are sampled or not.

use std::future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use throughline::channel::queue::Destination;
use throughline::channel::{
    Arrival, Operation, Policy, Projection, StoredEvent, event_failed, mpsc, try_observe,
};
use throughline::core::{Measurement, Measurements, RecorderConfig, Sampler};
use throughline::testing::Capture;
use throughline::{Context, actor, producer};

use crate::in_request;

#[derive(Clone, Copy, Debug)]
enum Letter {
    Answered,
    Refused,
    Torn,
    Kept,
}

const LETTERS: [Letter; 4] = [
    Letter::Answered,
    Letter::Refused,
    Letter::Torn,
    Letter::Kept,
];

#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not for us")
    }
}

async fn read(letter: Letter) -> Result<(), Refused> {
    tokio::task::yield_now().await;
    match letter {
        Letter::Answered => Ok(()),
        Letter::Refused => Err(Refused),
        Letter::Torn => panic!("torn"),
        Letter::Kept => future::pending().await,
    }
}

struct Desk;

#[actor]
impl Desk {
    async fn handle(&mut self, letter: Letter) -> Result<(), Refused> {
        read(letter).await
    }

    fn handle_now(&mut self, letter: &Letter) -> Result<(), Refused> {
        match letter {
            Letter::Refused => Err(Refused),
            _ => Ok(()),
        }
    }
}

/// An actor that receives by itself.
struct Clerk(mpsc::Receiver<Letter>);

impl Clerk {
    #[actor]
    async fn run(&mut self) -> Result<(), Refused> {
        while let Some(letter) = self.0.recv().await {
            read(*letter).await?;
        }
        Ok(())
    }
}

/// Runs a handler to its end, whichever that is: one that has none is dropped.
async fn run<T>(handler: impl Future<Output = T>) {
    let mut handler = Box::pin(AssertUnwindSafe(handler).catch_unwind());
    for _ in 0..8 {
        if futures::poll!(&mut handler).is_ready() {
            return;
        }
    }
}

/// Handles one message of each kind in each way that there is.
async fn handle_everything(capture: &Capture) {
    let (tx, mut rx) = mpsc::named("measured", 16);
    let (to_clerk, from_desk) = mpsc::named("measured by a clerk", 16);
    let mut clerk = Clerk(from_desk);
    let sender = in_request(capture, async {
        for letter in LETTERS {
            tx.send(letter).await.expect("open");
            tx.send(letter).await.expect("open");
        }
        Context::current()
    })
    .await;
    for _ in LETTERS {
        let delivery = rx.recv().await.expect("sent");
        let mut desk = Desk;
        run(delivery.handle(|letter| desk.handle(letter))).await;
        let delivery = rx.recv().await.expect("sent");
        run(delivery.try_handle(read)).await;
    }
    let orders = Destination::new("mybroker", "orders").consumer_group(Some("billing"));
    let projection = Projection::new("summary");
    for letter in LETTERS {
        in_request(capture, to_clerk.send(letter))
            .await
            .expect("open");
        run(clerk.run()).await;
        in_request(capture, run(Desk.handle(letter))).await;
        let arrival = Arrival::new(&sender, Operation::Record);
        let span = orders.process(&arrival, &Policy::new());
        run(try_observe(span, read(letter))).await;
        let event = StoredEvent::new(&sender, "LetterRead");
        run(projection.try_handle(&event, read(letter))).await;
    }
    in_request(capture, async { Desk.handle_now(&Letter::Refused) })
        .await
        .expect_err("it is not for us");
    let event = StoredEvent::new(&sender, "LetterBurnt");
    let fails = async { event_failed("fire", &std::io::Error::other("burnt")) };
    projection.handle(&event, fails).await;
    drop(to_clerk);
    run(clerk.run()).await;
}

/// All that does not change from one run to the next.
fn line(measurement: &Measurement<'_>) -> String {
    assert!(measurement.context().is_valid());
    let mut line = format!(
        "{}: {}",
        measurement.callsite().name(),
        measurement.outcome().name()
    );
    if let Some(error_type) = measurement.error_type() {
        line += &format!(", error.type={error_type}");
    }
    if measurement.wait().is_some() {
        line += ", waited";
    }
    for (key, value) in &*measurement.labels().pairs() {
        line += &format!(", {key}={value}");
    }
    line
}

fn drained(measurements: &Measurements) -> Vec<String> {
    let mut lines = Vec::new();
    measurements.drain(|measurement| lines.push(line(measurement)));
    lines
}

fn capture(sampler: Sampler) -> Capture {
    let mut config = RecorderConfig::default();
    config.sampler = sampler;
    Capture::with_config(config)
}

#[tokio::test]
async fn what_is_measured_does_not_depend_on_sampling() {
    let samplers = [
        Sampler::always_on(),
        Sampler::always_off(),
        Sampler::parent_based(Sampler::always_off()),
    ];
    let mut all = Vec::new();
    for sampler in samplers {
        let capture = capture(sampler);
        let measurements = capture.recorder().measure();
        handle_everything(&capture).await;
        let sampled = capture.stats().started > 0;
        let mut lines = Vec::new();
        measurements.drain(|measurement| {
            assert_eq!(measurement.context().is_sampled(), sampled);
            lines.push(line(measurement));
        });
        all.push(lines);
        assert_eq!(capture.stats().measurements_dropped, 0);
    }
    insta::assert_snapshot!(all[0].join("\n"), @r"
    Desk Letter: completed, waited
    process measured: completed, waited
    Desk Letter: error, error.type=roles::metrics::Refused, waited
    process measured: error, error.type=roles::metrics::Refused, waited
    Desk Letter: panicked, error.type=panic, waited
    process measured: panicked, error.type=panic, waited
    Desk Letter: cancelled, error.type=cancelled, waited
    process measured: cancelled, error.type=cancelled, waited
    run: completed, waited, actor.message.type=Letter
    Desk Letter: completed
    process: completed, messaging.system=mybroker, messaging.operation.name=process, messaging.destination.name=orders, messaging.consumer.group.name=billing
    project: completed, projection.name=summary, projection.event.type=LetterRead
    run: error, error.type=roles::metrics::Refused, waited, actor.message.type=Letter
    Desk Letter: error, error.type=roles::metrics::Refused
    process: error, error.type=roles::metrics::Refused, messaging.system=mybroker, messaging.operation.name=process, messaging.destination.name=orders, messaging.consumer.group.name=billing
    project: error, error.type=roles::metrics::Refused, projection.name=summary, projection.event.type=LetterRead
    run: panicked, error.type=panic, waited, actor.message.type=Letter
    Desk Letter: panicked, error.type=panic
    process: panicked, error.type=panic, messaging.system=mybroker, messaging.operation.name=process, messaging.destination.name=orders, messaging.consumer.group.name=billing
    project: panicked, error.type=panic, projection.name=summary, projection.event.type=LetterRead
    run: cancelled, error.type=cancelled, waited, actor.message.type=Letter
    Desk Letter: cancelled, error.type=cancelled
    process: cancelled, error.type=cancelled, messaging.system=mybroker, messaging.operation.name=process, messaging.destination.name=orders, messaging.consumer.group.name=billing
    project: cancelled, error.type=cancelled, projection.name=summary, projection.event.type=LetterRead
    Desk Letter: error, error.type=roles::metrics::Refused
    project: error, error.type=fire, projection.name=summary, projection.event.type=LetterBurnt
    ");
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
}

#[producer(system = "mybroker", destination = "replies")]
async fn reply(letter: Letter) -> Result<(), Refused> {
    read(letter).await
}

#[producer(system = "mybroker", destination = %destination)]
fn forward(letter: &Letter, destination: &str) -> Result<(), Refused> {
    match letter {
        Letter::Refused => Err(Refused),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn a_producer_is_measured_and_what_it_fails_with_is_its_own() {
    for sampler in [Sampler::always_on(), Sampler::always_off()] {
        let capture = capture(sampler);
        let measurements = capture.recorder().measure();
        let (tx, mut rx) = mpsc::named("replied to", 4);
        for letter in LETTERS {
            in_request(&capture, tx.send(letter)).await.expect("open");
            let delivery = rx.recv().await.expect("sent");
            // Whoever handles the letter does not mind.
            delivery.handle(|letter| run(reply(letter))).await;
        }
        in_request(&capture, tx.send(Letter::Refused))
            .await
            .expect("open");
        let delivery = rx.recv().await.expect("sent");
        let forwards = |letter| async move {
            forward(&letter, "elsewhere").expect_err("it is not for us");
            reply(Letter::Answered).await
        };
        delivery.try_handle(forwards).await.expect("it is answered");
        insta::allow_duplicates! {
            insta::assert_snapshot!(drained(&measurements).join("\n"), @r"
            send replies: completed
            process replied to: completed, waited
            send replies: error, error.type=roles::metrics::Refused
            process replied to: completed, waited
            send replies: panicked, error.type=panic
            process replied to: completed, waited
            send replies: cancelled, error.type=cancelled
            process replied to: completed, waited
            send: error, error.type=roles::metrics::Refused
            send replies: completed
            process replied to: completed, waited
            ");
        }
    }
}

#[tokio::test]
async fn nothing_is_measured_while_nobody_wants_it() {
    for sampler in [Sampler::always_on(), Sampler::always_off()] {
        let capture = capture(sampler);
        handle_everything(&capture).await;
        drop(capture.recorder().measure());
        handle_everything(&capture).await;
        let measurements = capture.recorder().measure();
        assert_eq!(drained(&measurements), Vec::<String>::new());
    }
}

#[tokio::test]
async fn the_error_of_a_span_is_that_of_its_measurement() {
    let capture = Capture::start();
    let measurements = capture.recorder().measure();
    handle_everything(&capture).await;
    let mut measured = Vec::new();
    measurements.drain(|measurement| {
        let span = measurement.context().span_id().to_string();
        measured.push((span, measurement.error_type().map(str::to_owned)));
    });
    assert!(!measured.is_empty());
    let spans = capture.spans();
    for (id, error_type) in measured {
        let span = spans.iter().find(|span| span.span_id.to_string() == id);
        let recorded = span.expect("it is sampled").attribute("error.type");
        let recorded = recorded.map(|value| value.to_string().replace('"', ""));
        assert_eq!(recorded, error_type);
    }
}

#[test]
fn no_measurement_of_many_threads_is_lost() {
    const THREADS: u64 = 4;
    const EACH: u64 = 25_000;
    let capture = capture(Sampler::always_off());
    let measurements = capture.recorder().measure();
    let mut seen = 0;
    std::thread::scope(|scope| {
        let capture = &capture;
        let workers = [(); THREADS as usize].map(|()| {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                runtime.expect("a runtime").block_on(async {
                    let (tx, mut rx) = mpsc::named("measured on threads", 4);
                    for _ in 0..EACH {
                        in_request(capture, tx.send(())).await.expect("open");
                        let delivery = rx.recv().await.expect("sent");
                        delivery.handle(|()| async {}).await;
                    }
                });
            })
        });
        while workers.iter().any(|worker| !worker.is_finished()) {
            seen += measurements.drain(|_| ());
            std::thread::yield_now();
        }
    });
    seen += measurements.drain(|_| ());
    assert_eq!(seen, THREADS * EACH);
    assert_eq!(capture.stats().measurements_dropped, 0);
}

#[tokio::test]
async fn what_does_not_fit_is_counted() {
    let mut config = RecorderConfig::default();
    config.measurement_bytes = 32 << 10;
    let capture = Capture::with_config(config);
    let measurements = capture.recorder().measure();
    let (tx, mut rx) = mpsc::named("measured in vain", 4);
    for _ in 0..1_000 {
        tx.send(()).await.expect("open");
        let delivery = rx.recv().await.expect("sent");
        delivery.handle(|()| async {}).await;
    }
    let _here = capture.attach();
    for _ in 0..1_000 {
        tx.send(()).await.expect("open");
        let delivery = rx.recv().await.expect("sent");
        delivery.handle(|()| async {}).await;
    }
    let dropped = capture.stats().measurements_dropped;
    assert!(dropped > 0);
    assert_eq!(measurements.drain(|_| ()) + dropped, 1_000);
    assert_eq!(capture.stats().dropped_full, 0, "no span was lost by it");
}
