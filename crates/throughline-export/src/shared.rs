//! What callers and the export thread share: counts, requests and their answers.
//!
//! Who touches what:
//!
//! 1. `state` is locked for a few assignments at a time, never across a wait, a
//!    call of the exporter, or a line that is said.
//! 2. The export thread alone counts, answers flushes and sets `stopped`; callers
//!    alone ask for flushes and begin the shutdown.
//! 3. Whoever changes what a caller may wait for calls `changed.notify_all`;
//!    whoever asks the export thread for something calls `wake.notify_one`.
//! 4. In a forked child nothing here is touched, since another thread may have
//!    held the lock when the fork came.

use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use throughline_core::Recorder;
use tokio::sync::{Notify, watch};

use crate::deliver::{FOREVER, Urgency};
use crate::exporter::{ExportError, Receipt};
use crate::stats::{FlushReport, PipelineStats, Tallies};

/// How much longer than its timeout a shutdown waits, so that the export thread,
/// which stops at the deadline, can still say what it left.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(50);

pub(crate) struct Shared {
    pub(crate) recorder: Recorder,
    /// Wakes the drain. Recording threads hold it too, without the rest.
    pub(crate) wake: Arc<Notify>,
    state: Mutex<State>,
    changed: Condvar,
    urgency: watch::Sender<Urgency>,
}

#[derive(Default)]
struct State {
    in_flight: u64,
    exported: u64,
    failed: Tallies,
    dropped: Tallies,
    /// Flushes of the exporter itself that failed, ever.
    exporter_failures: u64,
    /// The number of the last flush that was asked for.
    flush_asked: u64,
    /// The number of the last flush that is done; lower ones are done too.
    flush_done: u64,
    /// The counts when the last report was made.
    reported: Snapshot,
    /// The counts that the report of the shutdown starts from, once it has begun.
    closing: Option<Snapshot>,
    stopped: bool,
    /// What the shutdown achieved, once it is over.
    outcome: Option<FlushReport>,
}

/// The counts at a certain time.
#[derive(Clone, Copy, Default)]
struct Snapshot {
    exported: u64,
    failed: u64,
    dropped: u64,
    exporter_failures: u64,
}

/// What callers want from the drain at this moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wishes {
    /// The number of the last flush that was asked for.
    pub(crate) flush: u64,
    /// Whether the pipeline shuts down.
    pub(crate) closing: bool,
}

/// For callers.
impl Shared {
    pub(crate) fn new(recorder: Recorder) -> Self {
        Self {
            recorder,
            wake: Arc::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            urgency: watch::Sender::default(),
        }
    }

    /// Asks for a flush and waits for it. After the shutdown there is nothing to
    /// wait for.
    pub(crate) fn flush(&self, timeout: Duration) -> FlushReport {
        let mut state = self.lock();
        let before = state.reported;
        state.flush_asked += 1;
        let number = state.flush_asked;
        self.urgency.send_modify(|urgency| urgency.nudges += 1);
        self.wake.notify_one();
        let done = |state: &State| state.stopped || state.flush_done >= number;
        let (mut state, timed_out) = self.wait(state, timeout, done);
        self.report(&mut state, before, timed_out)
    }

    /// Closes the recorder and begins the shutdown, or joins the one that was begun,
    /// and waits for its end.
    pub(crate) fn shutdown(&self, timeout: Duration) -> FlushReport {
        self.recorder.close();
        let mut state = self.lock();
        let before = match state.closing {
            Some(before) => before,
            None => {
                let before = state.reported;
                state.closing = Some(before);
                self.urgency.send_modify(|urgency| {
                    let deadline = tokio::time::Instant::now() + timeout.min(FOREVER);
                    urgency.closing = Some(deadline);
                });
                self.wake.notify_one();
                before
            }
        };
        let timeout = timeout.saturating_add(SHUTDOWN_GRACE);
        let (mut state, timed_out) = self.wait(state, timeout, |state| state.stopped);
        match state.outcome {
            Some(outcome) => outcome,
            None => self.report(&mut state, before, timed_out),
        }
    }

    pub(crate) fn stats(&self) -> PipelineStats {
        let mut state = self.lock();
        if state.stopped {
            // A span that ended while the recorder was being closed may have been
            // handed over after the last look. Nobody else will ever take it.
            let mut late = 0;
            self.recorder.drain(|_| {
                late += 1;
                ControlFlow::Continue(())
            });
            state.dropped.add("already_shutdown", late);
        }
        let mut stats = PipelineStats {
            in_flight: state.in_flight,
            exported: state.exported,
            failed: state.failed.clone(),
            dropped: state.dropped.clone(),
            ..PipelineStats::default()
        };
        drop(state);
        // The recorder is asked last, so that what left its buffers meanwhile is not
        // counted twice.
        let recorded = self.recorder.stats();
        let taken = stats.in_flight + stats.exported + stats.failed.total() + stats.dropped.total();
        stats.queued = recorded.published.saturating_sub(taken);
        stats.started = recorded.started;
        stats.live = recorded.live();
        stats.dropped.add("queue_full", recorded.dropped_full);
        stats
            .dropped
            .add("already_shutdown", recorded.dropped_closed);
        stats
    }

    /// Waits until `done`; the second part of the result is whether time ran out.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        timeout: Duration,
        done: impl Fn(&State) -> bool,
    ) -> (MutexGuard<'a, State>, bool) {
        let deadline = Instant::now() + timeout.min(FOREVER);
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return (state, true);
            }
            let waited = self.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        (state, false)
    }
}

/// For the export thread.
impl Shared {
    pub(crate) fn urgency(&self) -> watch::Receiver<Urgency> {
        self.urgency.subscribe()
    }

    pub(crate) fn wishes(&self) -> Wishes {
        let state = self.lock();
        Wishes {
            flush: state.flush_asked,
            closing: state.closing.is_some(),
        }
    }

    /// Whether the deadline of a shutdown has passed.
    pub(crate) fn is_too_late(&self) -> bool {
        let closing = self.urgency.borrow().closing;
        closing.is_some_and(|deadline| deadline <= tokio::time::Instant::now())
    }

    pub(crate) fn exporting(&self, spans: u64) {
        self.lock().in_flight = spans;
    }

    /// Counts the batch in flight, or a part of it.
    pub(crate) fn exported(&self, spans: u64, result: &Result<Receipt, ExportError>) {
        let mut state = self.lock();
        let spans = spans.min(state.in_flight);
        state.in_flight -= spans;
        match result {
            Ok(receipt) => {
                let rejected = receipt.rejected().min(spans);
                state.exported += spans - rejected;
                state.failed.add("rejected", rejected);
            }
            Err(error) => state.failed.add(error.error_type().to_owned(), spans),
        }
    }

    pub(crate) fn dropped(&self, reason: &'static str, spans: u64) {
        self.lock().dropped.add(reason, spans);
    }

    /// Answers every flush up to this one.
    pub(crate) fn flushed(&self, number: u64, exporter: &Result<Receipt, ExportError>) {
        let mut state = self.lock();
        state.flush_done = state.flush_done.max(number);
        state.exporter_failures += u64::from(exporter.is_err());
        self.changed.notify_all();
    }

    /// Counts the batch that was in flight when the export loop unwound.
    pub(crate) fn unwound(&self) {
        let mut state = self.lock();
        let spans = std::mem::take(&mut state.in_flight);
        state.failed.add("panic", spans);
    }

    /// Answers everybody: there will be no more.
    pub(crate) fn stopped(&self) {
        let mut state = self.lock();
        if state.stopped {
            return;
        }
        state.stopped = true;
        if let Some(before) = state.closing {
            let too_late = self.is_too_late();
            state.outcome = Some(self.report(&mut state, before, too_late));
        }
        self.changed.notify_all();
    }

    /// Reports what has happened since `before`. The next flush starts from here;
    /// one that is under way keeps its own start, so that flushes at the same time
    /// all hear of a failure.
    fn report(&self, state: &mut State, before: Snapshot, timed_out: bool) -> FlushReport {
        let recorded = self.recorder.stats();
        let now = Snapshot {
            exported: state.exported,
            failed: state.failed.total(),
            dropped: state.dropped.total() + recorded.dropped_full + recorded.dropped_closed,
            exporter_failures: state.exporter_failures,
        };
        state.reported = now;
        FlushReport {
            exported: now.exported - before.exported,
            failed: now.failed - before.failed,
            dropped: now.dropped - before.dropped,
            exporter_failed: now.exporter_failures > before.exporter_failures,
            timed_out,
            forked: false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
