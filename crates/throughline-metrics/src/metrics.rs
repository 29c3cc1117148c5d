//! The thread that takes measurements to the instruments, and the gauges that are read when somebody collects.
//!
//! Rules of concurrency:
//! 1. Whoever drains holds `draining`: the thread, whoever collects (in the callback of an observable instrument), and
//!    whoever shuts down. None of them waits for another one's work beyond that.
//! 2. The instruments' callbacks outlive the [`Metrics`], since the API knows no way to take one back. They refer to what
//!    they observe weakly.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use throughline_core::{Measurements, Recorder, suppress};
use throughline_messaging::{
    ChannelStats, ProjectionLag, actor, projection_lags, projection_stats, stats,
};

use crate::attributes::Kinds;
use crate::instruments::Instruments;
use crate::keys;

/// Measures what the handlers of one recorder do, until it is shut down or dropped.
///
/// Where a recorder has several, each message is measured by one of them.
#[must_use = "measuring ends when this is dropped"]
pub struct Metrics {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    instruments: Instruments,
    draining: Mutex<Draining>,
}

struct Draining {
    /// None once it is over.
    measurements: Option<Measurements>,
    kinds: Kinds,
}

impl Metrics {
    /// Turns measuring on and starts the thread that records into instruments of the meter.
    ///
    /// A collection sees what happened before it began.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub fn start(recorder: &Recorder, meter: &Meter) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            instruments: Instruments::new(meter),
            draining: Mutex::new(Draining {
                measurements: Some(recorder.measure()),
                kinds: Kinds::default(),
            }),
        });
        let drained = Arc::downgrade(&shared);
        let thread = thread::Builder::new()
            .name("throughline-metrics".to_owned())
            .spawn(move || run(&drained))?;
        let drainer = thread.thread().clone();
        shared.with_measurements(|measurements| {
            measurements.set_waker(move || drainer.unpark());
        });
        observe(meter, &shared);
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Records what was measured so far into the instruments, where a reader finds it.
    pub fn flush(&self) {
        self.shared.drain();
    }

    /// Turns measuring off, records what was measured before, and ends the thread. To export it is the SDK's: shut its
    /// meter provider down after this.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.shared.end();
        thread.thread().unpark();
        // It has no code of others in it but the SDK's; if that panicked, all there is to know was printed.
        let _ = thread.join();
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("instruments", &self.shared.instruments)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Records all that was measured; false if it is over.
    fn drain(&self) -> bool {
        self.drain_held(&mut self.draining())
    }

    fn drain_held(&self, draining: &mut Draining) -> bool {
        let Draining {
            measurements,
            kinds,
        } = draining;
        let Some(measurements) = measurements else {
            return false;
        };
        // The SDK's own spans, if it makes some, are none of the program's.
        let _quiet = suppress();
        measurements.drain(|measurement| {
            let kind = kinds.of(measurement);
            self.instruments.record(measurement, &kind);
        });
        true
    }

    fn end(&self) {
        let mut draining = self.draining();
        self.drain_held(&mut draining);
        draining.measurements = None;
    }

    fn draining(&self) -> MutexGuard<'_, Draining> {
        self.draining.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_measurements<R>(&self, ask: impl FnOnce(&Measurements) -> R) -> Option<R> {
        self.draining().measurements.as_ref().map(ask)
    }
}

/// Drains when much was measured, and at least every second, until it is over.
fn run(shared: &Weak<Shared>) {
    loop {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        if !shared.drain() {
            return;
        }
        let sleeps = shared.with_measurements(Measurements::sleep);
        drop(shared);
        if sleeps == Some(true) {
            thread::park_timeout(INTERVAL);
        }
    }
}

/// Makes the instruments that are read when somebody collects.
fn observe(meter: &Meter, shared: &Arc<Shared>) {
    // Callbacks run before anything is collected, so that one of them may bring what was measured.
    let drained = Arc::downgrade(shared);
    meter
        .u64_observable_gauge(keys::ACTOR_MAILBOX_SIZE)
        .with_unit("{message}")
        .with_description("How many messages wait in mailboxes.")
        .with_callback(move |observer| {
            if let Some(shared) = drained.upgrade() {
                shared.drain();
                of_mailboxes(observer, |mailbox| mailbox.depth);
            }
        })
        .build();
    let running = Arc::downgrade(shared);
    meter
        .u64_observable_counter(keys::ACTOR_DROPPED)
        .with_unit("{message}")
        .with_description(
            "How many messages nobody handled: refused, left in a mailbox, or overtaken.",
        )
        .with_callback(move |observer| {
            if running.strong_count() > 0 {
                of_mailboxes(observer, |mailbox| {
                    mailbox.undelivered + mailbox.lagged + mailbox.rejected
                });
            }
        })
        .build();
    let running = Arc::downgrade(shared);
    meter
        .u64_observable_counter(keys::ACTOR_ASK_TIMEOUTS)
        .with_unit("{ask}")
        .with_description("How many questions were given up, since no answer came in time.")
        .with_callback(move |observer| {
            if running.strong_count() > 0 {
                of_mailboxes(observer, |mailbox| mailbox.ask_timeouts);
            }
        })
        .build();
    let running = Arc::downgrade(shared);
    meter
        .i64_observable_up_down_counter(keys::ACTOR_LIVE)
        .with_unit("{actor}")
        .with_description("How many actors run: started and not stopped.")
        .with_callback(move |observer| {
            if running.strong_count() > 0 {
                for actors in actor::stats() {
                    let known = [
                        (keys::ACTOR_SYSTEM, actors.system),
                        (keys::OF_ACTORS, actors.actor_type),
                    ];
                    let known = known.into_iter().filter(|(_, value)| !value.is_empty());
                    let attributes: Vec<_> = known
                        .map(|(key, value)| KeyValue::new(key, value))
                        .collect();
                    observer.observe(signed(actors.live), &attributes);
                }
            }
        })
        .build();
    let running = Arc::downgrade(shared);
    meter
        .i64_observable_up_down_counter(keys::PROJECTION_LIVE)
        .with_unit("{projection}")
        .with_description("How many projections there are: made and not dropped.")
        .with_callback(move |observer| {
            if running.strong_count() > 0 {
                for projection in projection_stats() {
                    let name = KeyValue::new(keys::OF_PROJECTIONS, projection.name);
                    observer.observe(signed(projection.live), &[name]);
                }
            }
        })
        .build();
    let running = Arc::downgrade(shared);
    meter
        .u64_observable_counter(keys::PROJECTION_SKIPPED)
        .with_unit("{event}")
        .with_description("How many events projections passed over.")
        .with_callback(move |observer| {
            if running.strong_count() > 0 {
                for projection in projection_stats() {
                    let name = KeyValue::new(keys::OF_PROJECTIONS, projection.name);
                    observer.observe(projection.skipped, &[name]);
                }
            }
        })
        .build();
    let running = Arc::downgrade(shared);
    meter
        .f64_observable_gauge(keys::PROJECTION_LAG)
        .with_unit("s")
        .with_description("How long the oldest event that a projection has not handled waits.")
        .with_callback(move |observer| {
            if running.strong_count() > 0 {
                of_followers(observer, |lag| lag.age.as_secs_f64());
            }
        })
        .build();
    let running = Arc::downgrade(shared);
    meter
        .u64_observable_gauge(keys::PROJECTION_LAG_EVENTS)
        .with_unit("{event}")
        .with_description("How many events are written that a projection has not handled.")
        .with_callback(move |observer| {
            if running.strong_count() > 0 {
                of_followers(observer, |lag| lag.events);
            }
        })
        .build();
}

/// What goes up and down is signed in OpenTelemetry.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Projections that are gone are not observed, and so no longer told of.
fn of_followers<T>(observer: &dyn AsyncInstrument<T>, read: impl Fn(&ProjectionLag) -> T) {
    for lag in projection_lags() {
        let mut attributes = vec![KeyValue::new(keys::OF_PROJECTIONS, lag.name)];
        if let Some(partition) = &lag.partition {
            attributes.push(KeyValue::new(keys::PARTITION, partition.to_string()));
        }
        observer.observe(read(&lag), &attributes);
    }
}

fn of_mailboxes(observer: &dyn AsyncInstrument<u64>, count: impl Fn(&ChannelStats) -> u64) {
    for mailbox in stats() {
        let name = KeyValue::new(keys::MAILBOX_NAME, mailbox.name);
        observer.observe(count(&mailbox), &[name]);
    }
}

/// How long measurements lie about at most.
const INTERVAL: Duration = Duration::from_secs(1);
