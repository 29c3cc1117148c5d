//! Attempts and waits under a paused clock, with a scripted exporter.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{pending, ready};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::*;
use crate::queue::Capacity;

/// What the exporter does with one attempt.
#[derive(Clone, Copy)]
enum Act {
    Accept,
    Fail(fn() -> ExportError),
    Hang,
    Panic,
    PanicInFuture,
}

#[derive(Clone)]
struct Scripted {
    acts: Arc<Mutex<VecDeque<Act>>>,
    attempts: Arc<Mutex<Vec<Instant>>>,
}

impl Scripted {
    /// Does these, one per attempt, and the last one for ever.
    fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self {
            acts: Arc::new(Mutex::new(acts.into_iter().collect())),
            attempts: Arc::default(),
        }
    }

    fn attempts(&self) -> Vec<Instant> {
        self.attempts.lock().unwrap().clone()
    }
}

impl SpanExporter for Scripted {
    fn export(&mut self, _: Batch) -> ExportFuture<'_> {
        self.attempts.lock().unwrap().push(Instant::now());
        let mut acts = self.acts.lock().unwrap();
        let act = if acts.len() > 1 {
            acts.pop_front().unwrap()
        } else {
            acts[0]
        };
        drop(acts);
        match act {
            Act::Accept => Box::pin(ready(Ok(Receipt::complete()))),
            Act::Fail(error) => Box::pin(ready(Err(error()))),
            Act::Hang => Box::pin(pending()),
            Act::Panic => panic!("as the test wants it"),
            Act::PanicInFuture => Box::pin(async { panic!("as the test wants it") }),
        }
    }
}

const BUSY: Act = Act::Fail(|| ExportError::transient("503", "busy"));
const ABSENT: Act = Act::Fail(|| ExportError::unreachable("connect", "refused"));
const REFUSED: Act = Act::Fail(|| ExportError::permanent("400", "bad"));
const LATER: Act =
    Act::Fail(|| ExportError::transient("429", "later").with_retry_after(Duration::from_secs(20)));
const MUCH_LATER: Act =
    Act::Fail(|| ExportError::transient("429", "later").with_retry_after(Duration::from_secs(120)));

struct Bench {
    exporter: Scripted,
    delivery: Delivery,
    urgency: watch::Sender<Urgency>,
    start: Instant,
}

fn destination() -> Arc<Destination> {
    let capacity = Capacity { spans: 1, bytes: 1 };
    Arc::new(Destination::new("here".into(), capacity, Arc::default()))
}

fn bench(acts: impl IntoIterator<Item = Act>) -> Bench {
    let exporter = Scripted::new(acts);
    let urgency = watch::Sender::default();
    let timeouts = Timeouts {
        attempt: Duration::from_secs(10),
        total: Duration::from_secs(30),
    };
    let delivery = Delivery::new(
        Box::new(exporter.clone()),
        destination(),
        timeouts,
        urgency.subscribe(),
    );
    Bench {
        exporter,
        delivery,
        urgency,
        start: Instant::now(),
    }
}

impl Bench {
    async fn send(&mut self) -> Result<Receipt, ExportError> {
        let batch = Batch::new(Bytes::from_static(b"x"), 1);
        let deadline = self.delivery.begin().await?;
        self.delivery.send(&batch, deadline, |_, _| {}).await
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn close_at(&self, deadline: Instant) {
        self.urgency
            .send_modify(|urgency| urgency.closing = Some(deadline));
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_sent_until_it_is_accepted() {
    let mut bench = bench([BUSY, ABSENT, BUSY, Act::Accept]);
    let heard = Rc::new(RefCell::new(Vec::new()));
    let batch = Batch::new(Bytes::from_static(b"x"), 1);
    let deadline = bench.delivery.begin().await.unwrap();
    let result = bench
        .delivery
        .send(&batch, deadline, |error, again| {
            heard.borrow_mut().push((error.to_string(), again));
        })
        .await;
    assert!(result.is_ok());
    assert_eq!(bench.exporter.attempts().len(), 4);
    let heard = heard.take();
    assert_eq!(
        heard,
        [
            ("busy".into(), true),
            ("refused".into(), true),
            ("busy".into(), true)
        ]
    );
    assert!(bench.elapsed() <= seconds(1 + 2 + 4));
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_is_sent_once() {
    let mut bench = bench([REFUSED]);
    let error = bench.send().await.unwrap_err();
    assert_eq!(error.error_type(), "400");
    assert_eq!(bench.exporter.attempts().len(), 1);
    assert_eq!(bench.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_the_retries() {
    let mut bench = bench([BUSY]);
    let error = bench.send().await.unwrap_err();
    assert_eq!(error.error_type(), "503");
    assert!(bench.elapsed() <= seconds(30), "{:?}", bench.elapsed());
    // Full jitter below five seconds makes about a dozen attempts.
    let attempts = bench.exporter.attempts().len();
    assert!((4..200).contains(&attempts), "{attempts}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_ended_and_repeated() {
    let mut bench = bench([Act::Hang, Act::Accept]);
    assert!(bench.send().await.is_ok());
    let attempts = bench.exporter.attempts();
    assert!(attempts[1] - attempts[0] >= seconds(10));
    assert!(attempts[1] - attempts[0] <= seconds(11));
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_costs_the_deadline() {
    let mut bench = bench([Act::Hang]);
    let error = bench.send().await.unwrap_err();
    assert_eq!(error.error_type(), "timeout");
    assert!(bench.elapsed() <= seconds(30) + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_request_to_wait_is_honoured() {
    let mut bench = bench([LATER, Act::Accept]);
    assert!(bench.send().await.is_ok());
    let attempts = bench.exporter.attempts();
    let wait = attempts[1] - attempts[0];
    assert!(wait >= seconds(20) && wait <= seconds(22), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_longer_wait_than_the_deadline_holds_for_the_next_batch() {
    let mut bench = bench([MUCH_LATER, Act::Accept]);
    assert_eq!(bench.send().await.unwrap_err().error_type(), "429");
    assert_eq!(bench.elapsed(), Duration::ZERO);
    assert!(bench.send().await.is_ok());
    let attempts = bench.exporter.attempts();
    let wait = attempts[1] - attempts[0];
    assert!(wait >= seconds(120) && wait <= seconds(132), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flush_ends_a_backoff_but_no_wait_that_was_asked_for() {
    for (act, nudged) in [(BUSY, true), (LATER, false)] {
        let mut bench = bench([act, Act::Accept]);
        // The longest backoff, so that the nudge comes first.
        bench.delivery.chance = fastrand::Rng::with_seed(3);
        let urgency = bench.urgency.clone();
        let nudge = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            urgency.send_modify(|urgency| urgency.nudges += 1);
        };
        let (result, ()) = tokio::join!(bench.send(), nudge);
        assert!(result.is_ok());
        let attempts = bench.exporter.attempts();
        let wait = attempts[1] - attempts[0];
        assert_eq!(wait <= Duration::from_millis(2), nudged, "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_tries_an_absent_destination_once_more() {
    let mut bench = bench([ABSENT]);
    bench.delivery.chance = fastrand::Rng::with_seed(3);
    let (urgency, start) = (bench.urgency.clone(), bench.start);
    let close = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        urgency.send_modify(|urgency| urgency.closing = Some(start + seconds(5)));
    };
    let (result, ()) = tokio::join!(bench.send(), close);
    assert_eq!(result.unwrap_err().error_type(), "connect");
    assert_eq!(bench.exporter.attempts().len(), 2);
    assert!(bench.elapsed() <= Duration::from_millis(2));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_a_busy_destination_until_its_deadline() {
    let mut bench = bench([BUSY]);
    bench.close_at(bench.start + seconds(5));
    assert_eq!(bench.send().await.unwrap_err().error_type(), "503");
    assert!(bench.exporter.attempts().len() > 1);
    assert!(bench.elapsed() <= seconds(5));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_shutdown_ends_everything() {
    let mut hanging = bench([Act::Hang]);
    hanging.close_at(hanging.start + seconds(5));
    assert_eq!(hanging.send().await.unwrap_err().error_type(), "shutdown");
    assert!(hanging.elapsed() <= seconds(5) + Duration::from_millis(10));

    // A throttled destination is not asked again if the time does not suffice.
    let mut throttled = bench([MUCH_LATER, Act::Accept]);
    assert!(throttled.send().await.is_err());
    throttled.close_at(throttled.start + seconds(5));
    assert_eq!(throttled.send().await.unwrap_err().error_type(), "shutdown");
    assert_eq!(throttled.elapsed(), Duration::ZERO);
    assert_eq!(throttled.exporter.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_a_batch_share_its_time() {
    // The first part is told to come back later than the batch may take.
    let mut throttled = bench([MUCH_LATER, Act::Accept]);
    let deadline = throttled.delivery.begin().await.unwrap();
    let part = Batch::new(Bytes::from_static(b"x"), 1);
    for error_type in ["429", "timeout"] {
        let result = throttled.delivery.send(&part, deadline, |_, _| {}).await;
        assert_eq!(result.unwrap_err().error_type(), error_type);
    }
    assert_eq!(throttled.elapsed(), Duration::ZERO);
    assert_eq!(throttled.exporter.attempts().len(), 1);

    let mut slow = bench([Act::Hang, Act::Hang, Act::Hang, Act::Accept]);
    let deadline = slow.delivery.begin().await.unwrap();
    for _ in 0..2 {
        let result = slow.delivery.send(&part, deadline, |_, _| {}).await;
        assert_eq!(result.unwrap_err().error_type(), "timeout");
    }
    assert!(slow.elapsed() <= seconds(30) + Duration::from_millis(10));
    assert_eq!(slow.exporter.attempts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_batch() {
    for act in [Act::Panic, Act::PanicInFuture] {
        let mut bench = bench([act, Act::Accept]);
        let error = bench.send().await.unwrap_err();
        assert_eq!(error.error_type(), "panic");
        assert_eq!(
            error.to_string(),
            "the exporter panicked: as the test wants it"
        );
        assert!(bench.send().await.is_ok());
    }
}

/// Panics wherever it can.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

struct Explosive {
    _bomb: Bomb,
}

impl SpanExporter for Explosive {
    fn export(&mut self, _: Batch) -> ExportFuture<'_> {
        Box::pin(async {
            let _bomb = Bomb;
            pending().await
        })
    }

    fn flush(&mut self) -> ExportFuture<'_> {
        std::panic::panic_any(Bomb)
    }

    fn destination(&self) -> String {
        panic!("no destination")
    }
}

#[tokio::test(start_paused = true)]
async fn panics_in_destructors_are_contained() {
    let timeouts = Timeouts {
        attempt: seconds(1),
        total: seconds(1),
    };
    let urgency = watch::Sender::default();
    let exporter = Box::new(Explosive { _bomb: Bomb });
    assert_eq!(name_of(exporter.as_ref()), "the exporter");
    let mut delivery = Delivery::new(exporter, destination(), timeouts, urgency.subscribe());
    let batch = Batch::new(Bytes::from_static(b"x"), 1);
    let deadline = delivery.begin().await.unwrap();
    let error = delivery
        .send(&batch, deadline, |_, _| {})
        .await
        .unwrap_err();
    assert_eq!(error.error_type(), "timeout");
    assert_eq!(delivery.flush().await.unwrap_err().error_type(), "panic");
    drop(delivery);
}
