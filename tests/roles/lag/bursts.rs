//! The lag as metrics tell it while a writer bursts, beside an oracle.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use throughline::Context;
use throughline::channel::{Head, Projection, StoredEvent};
use throughline::core::{Recorder, RecorderConfig};
use throughline::metrics::Metrics;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;

use super::oracle::Oracle;
use super::support::Kept;

/// How far the lag may be off.
const TOLERANCE: Duration = Duration::from_millis(10);
/// As many readings are to be between bounds that are close, and well above nothing.
const TELLING: usize = 30;
/// Events of the writer, at least.
const EVENTS: usize = 2_000;

/// What the watcher has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    readings: usize,
    /// Those whose bounds were close, with a lag well above nothing.
    telling: usize,
}

impl Seen {
    fn is_enough(&self) -> bool {
        self.telling >= TELLING
    }
}

/// What writers and readers go by: they pause until something was seen, and not once it is enough, nor for the sake of a
/// watcher that gave up.
#[derive(Clone, Debug)]
pub(crate) struct Pace(watch::Receiver<Seen>);

impl Pace {
    /// For the watcher, and for those it watches.
    pub(crate) fn new() -> (watch::Sender<Seen>, Self) {
        let (seen, receiver) = watch::channel(Seen::default());
        (seen, Self(receiver))
    }

    /// Whether nobody needs to go on.
    pub(crate) fn is_over(&self) -> bool {
        self.0.has_changed().is_err() || self.0.borrow().is_enough()
    }

    /// Until so many readings more were made.
    pub(crate) async fn readings(&self, more: usize) {
        let aim = self.0.borrow().readings + more;
        self.until(|seen| seen.readings >= aim).await;
    }

    /// Until one more of them was telling: the caller leaves an event unhandled meanwhile.
    pub(crate) async fn telling(&self) {
        let before = self.0.borrow().telling;
        self.until(|seen| seen.telling > before).await;
    }

    async fn until(&self, mut is_there: impl FnMut(&Seen) -> bool) {
        let mut seen = self.0.clone();
        // Fails when the watcher is gone.
        let _ = seen
            .wait_for(|seen| seen.is_enough() || is_there(seen))
            .await;
    }
}

/// Reads the metrics of a projection again and again until nothing runs any more, and says what it saw.
pub(crate) fn watch(
    name: &str,
    oracle: &Oracle,
    seen: &watch::Sender<Seen>,
    runs: impl Fn() -> bool,
) {
    let recorder = Recorder::start(RecorderConfig::default());
    let kept = Kept::new();
    let metrics = Metrics::start(&recorder, &kept.meter()).expect("a thread");
    let attribute = format!("projection.name={name}");
    while runs() {
        let before = oracle.before();
        let series = kept.collect();
        let bounds = before.bounds(&oracle.after());
        let of = |instrument| {
            let of_name = series.iter().find(|series| {
                series.name == instrument && series.attributes == [attribute.as_str()]
            });
            of_name.expect("it is told of")
        };
        let events = of("projection.lag.events").count as usize;
        let age = Duration::from_secs_f64(of("projection.lag").sum);
        let (least, most) = (*bounds.age.start(), *bounds.age.end());
        assert!(bounds.events.contains(&events), "{events} in {bounds:?}");
        assert!(age + TOLERANCE >= least, "{age:?} in {bounds:?}");
        assert!(age <= most + TOLERANCE, "{age:?} in {bounds:?}");
        let is_sharp = bounds.events.end() - bounds.events.start() <= 1;
        let is_telling = is_sharp && least > TOLERANCE && most - least <= TOLERANCE;
        seen.send_modify(|seen| {
            seen.readings += 1;
            seen.telling += usize::from(is_telling);
        });
    }
    assert!(seen.borrow().is_enough(), "{:?}", seen.borrow());
    metrics.shutdown();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projection_is_as_far_behind_as_the_oracle_says() {
    let name = "bursts: plain";
    let oracle = Arc::new(Oracle::new(1));
    let head = Head::new();
    let projection = Arc::new(Projection::new(name));
    projection.follow(&head);
    let (tx, mut stored) = mpsc::unbounded_channel();
    let (seen, pace) = Pace::new();

    let writer = tokio::spawn({
        let (oracle, pace) = (Arc::clone(&oracle), pace.clone());
        async move {
            let mut rng = Rng::with_seed(6);
            let mut sequence = 0;
            while sequence < EVENTS || !pace.is_over() {
                for _ in 0..rng.usize(1..60) {
                    sequence += 1;
                    oracle.writing(0);
                    head.written(None, sequence as u64);
                    oracle.written(0, sequence);
                    tx.send(sequence).expect("somebody reads");
                }
                pace.readings(rng.usize(1..20)).await;
            }
        }
    });
    let reader = tokio::spawn({
        let (oracle, projection) = (Arc::clone(&oracle), Arc::clone(&projection));
        async move {
            let mut rng = Rng::with_seed(7);
            let nobody = Context::default();
            while let Some(sequence) = stored.recv().await {
                let event = StoredEvent::new(&nobody, "Placed").sequence(sequence as u64);
                if rng.u8(..) < 20 {
                    let fails = async { Err::<(), _>("not yet") };
                    projection
                        .try_handle(&event, fails)
                        .await
                        .expect_err("it fails");
                }
                if rng.u8(..) < 4 {
                    pace.telling().await;
                }
                let pause = (rng.u8(..) < 100).then(|| rng.usize(0..3));
                let handled = projection.try_handle(&event, async {
                    if let Some(pause) = pause {
                        pace.readings(pause).await;
                    }
                    oracle.handling(0, sequence);
                    Ok::<_, String>(())
                });
                handled.await.expect("it succeeds");
                oracle.handled(0, sequence);
            }
        }
    });
    let watcher = spawn_blocking({
        let reader = reader.abort_handle();
        move || watch(name, &oracle, &seen, || !reader.is_finished())
    });
    writer.await.expect("it ends");
    reader.await.expect("it ends");
    watcher.await.expect("as the oracle says");
    // All is handled, and of one that is gone nothing is told.
    let lags = || {
        let mut lags = throughline::channel::projection_lags();
        lags.retain(|lag| lag.name == name);
        lags
    };
    let [lag] = lags().try_into().expect("one projection");
    assert_eq!((lag.events, lag.age), (0, Duration::ZERO));
    drop(projection);
    assert_eq!(lags(), []);
}
