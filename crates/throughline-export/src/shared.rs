//! What callers and the pipeline's threads share: requests and their answers.
//!
//! Who touches what:
//!
//! 1. `state` is locked for a few assignments at a time, never across a wait, a
//!    call of an exporter, or a line that is said. The lock of a destination may be
//!    taken inside, not the other way round.
//! 2. The export threads answer flushes and say when they end; the drain thread
//!    counts what never gets to a destination, answers for a destination that is
//!    blocked, and sets `stopped`. Callers alone ask for flushes and begin the
//!    shutdown.
//! 3. Whoever changes what a caller may wait for calls `changed.notify_all`;
//!    whoever asks the drain thread for something rings `bell`.
//! 4. In a forked child nothing here is touched, since another thread may have
//!    held the lock when the fork came.

use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use throughline_core::Recorder;
use tokio::sync::watch;

use crate::bell::Bell;
use crate::deliver::{FOREVER, Urgency};
use crate::destination::Destination;
use crate::exporter::Batch;
use crate::stats::{DestinationReport, DestinationStats, FlushReport, PipelineStats, Tallies};

/// How much longer than its timeout a shutdown waits, so that the pipeline's
/// threads, which stop at the deadline, can still say what they left.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(50);

/// The largest buffer that is kept although nothing is in it: buffers grow by
/// doubling, and one of the usual size must be among those kept.
const MAX_SPARE_BYTES: usize = 5 << 18;

/// How many such buffers are kept: one to fill, and some on their way to a destination.
/// With fewer, each burst would get its memory from the operating system anew.
const MAX_SPARES: usize = 4;

pub(crate) struct Shared {
    pub(crate) recorder: Recorder,
    /// Wakes the drain. Recording threads hold it too, without the rest.
    pub(crate) bell: Arc<Bell>,
    pub(crate) destinations: Vec<Arc<Destination>>,
    /// Buffers of batches that every destination is done with, the largest last.
    spares: Mutex<Vec<Vec<u8>>>,
    state: Mutex<State>,
    changed: Condvar,
    urgency: watch::Sender<Urgency>,
}

struct State {
    /// Spans that no destination was offered.
    dropped: Tallies,
    /// The number of the last flush that was asked for.
    flush_asked: u64,
    /// Answers per destination.
    answers: Vec<Answer>,
    /// The counts when the last report was made.
    reported: Snapshot,
    /// The counts that the report of the shutdown starts from, once it has begun.
    closing: Option<Snapshot>,
    stopped: bool,
    /// Whether the thread that sends metrics has not ended.
    metrics_due: bool,
    /// What the shutdown achieved, once it is over.
    outcome: Option<FlushReport>,
}

/// What the export thread of a destination has said.
#[derive(Clone, Copy, Default)]
struct Answer {
    /// The number of the last flush that is done; lower ones are done too.
    flush_done: u64,
    /// It ended after all its work was done.
    finished: bool,
    /// It ended, or it was given up.
    ended: bool,
}

/// The counts at a certain time.
#[derive(Clone, Default)]
struct Snapshot {
    dropped: u64,
    destinations: Vec<Totals>,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    exported: u64,
    failed: u64,
    dropped: u64,
    failed_flushes: u64,
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
    pub(crate) fn new(
        recorder: Recorder,
        bell: Arc<Bell>,
        destinations: Vec<Arc<Destination>>,
    ) -> Self {
        let none = Snapshot {
            dropped: 0,
            destinations: vec![Totals::default(); destinations.len()],
        };
        Self {
            recorder,
            bell,
            spares: Mutex::default(),
            state: Mutex::new(State {
                dropped: Tallies::default(),
                flush_asked: 0,
                answers: vec![Answer::default(); destinations.len()],
                reported: none,
                closing: None,
                stopped: false,
                metrics_due: false,
                outcome: None,
            }),
            destinations,
            changed: Condvar::new(),
            urgency: watch::Sender::default(),
        }
    }

    /// Asks for a flush and waits for it. After the shutdown there is nothing to
    /// wait for.
    pub(crate) fn flush(&self, timeout: Duration) -> FlushReport {
        let mut state = self.lock();
        let before = state.reported.clone();
        state.flush_asked += 1;
        let number = state.flush_asked;
        self.urgency.send_modify(|urgency| urgency.nudges += 1);
        self.bell.ring();
        let is_answered = |answer: &Answer| answer.flush_done >= number;
        let done = |state: &State| state.stopped || state.answers.iter().all(is_answered);
        let mut state = self.wait(state, timeout, done);
        let stopped = state.stopped;
        self.report(&mut state, &before, |answer| {
            !stopped && !is_answered(answer)
        })
    }

    /// Closes the recorder and begins the shutdown, or joins the one that was begun,
    /// and waits for its end.
    pub(crate) fn shutdown(&self, timeout: Duration) -> FlushReport {
        self.recorder.close();
        let mut state = self.lock();
        if state.closing.is_none() {
            state.closing = Some(state.reported.clone());
            self.urgency.send_modify(|urgency| {
                let deadline = tokio::time::Instant::now() + timeout.min(FOREVER);
                urgency.closing = Some(deadline);
            });
            self.bell.ring();
            self.changed.notify_all();
        }
        let before = state.closing.clone().unwrap_or_default();
        let timeout = timeout.saturating_add(SHUTDOWN_GRACE);
        let mut state = self.wait(state, timeout, |state| state.stopped && !state.metrics_due);
        match &state.outcome {
            Some(outcome) => outcome.clone(),
            None => self.report(&mut state, &before, |answer| !answer.finished),
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
        let not_offered = state.dropped.clone();
        drop(state);
        let counts: Vec<_> = self
            .destinations
            .iter()
            .map(|destination| (destination.name(), destination.counts()))
            .collect();
        // The recorder is asked last, so that what left its buffers meanwhile is not
        // counted twice.
        let recorded = self.recorder.stats();
        let mut stats = PipelineStats {
            started: recorded.started,
            unsampled: recorded.unsampled,
            live: recorded.live(),
            ..PipelineStats::default()
        };
        for (name, counts) in counts {
            let mut dropped = counts.dropped;
            dropped.merge(&not_offered);
            let gone = counts.exported + counts.spooled + counts.failed.total() + dropped.total();
            let taken = counts.in_flight + gone;
            dropped.add("queue_full", recorded.dropped_full);
            dropped.add("already_shutdown", recorded.dropped_closed);
            stats.add(DestinationStats {
                destination: name.to_owned(),
                queued: recorded.published.saturating_sub(taken),
                in_flight: counts.in_flight,
                exported: counts.exported,
                spooled: counts.spooled,
                failed: counts.failed,
                dropped,
                operations: counts.operations,
            });
        }
        stats
    }

    /// Waits until `done`, or until the time is over.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        timeout: Duration,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let deadline = Instant::now() + timeout.min(FOREVER);
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state
    }
}

/// For the pipeline's threads.
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

    /// How long it is until the deadline of a shutdown, if there is one.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let closing = self.urgency.borrow().closing;
        closing.map(|deadline| deadline.saturating_duration_since(tokio::time::Instant::now()))
    }

    /// Whether the deadline of a shutdown has passed.
    pub(crate) fn is_too_late(&self) -> bool {
        self.time_left().is_some_and(|left| left.is_zero())
    }

    /// Counts spans that no destination is offered.
    pub(crate) fn dropped(&self, reason: &'static str, spans: u64) {
        self.lock().dropped.add(reason, spans);
    }

    /// Answers every flush up to this one for a destination.
    pub(crate) fn flushed(&self, destination: usize, number: u64, well: bool) {
        let mut state = self.lock();
        if !well {
            self.destinations[destination].flush_failed();
        }
        let answer = &mut state.answers[destination];
        answer.flush_done = answer.flush_done.max(number);
        self.changed.notify_all();
    }

    /// The number of the last flush that a destination has answered.
    pub(crate) fn flush_done(&self, destination: usize) -> u64 {
        self.lock().answers[destination].flush_done
    }

    /// Says that the export thread of a destination ends, or is not waited for.
    pub(crate) fn ended(&self, destination: usize, finished: bool) {
        let answer = &mut self.lock().answers[destination];
        if !answer.ended {
            answer.ended = true;
            answer.finished = finished;
        }
        self.bell.ring();
    }

    pub(crate) fn has_ended(&self, destination: usize) -> bool {
        self.lock().answers[destination].ended
    }

    /// Answers everybody: there will be no more.
    pub(crate) fn stopped(&self) {
        let mut state = self.lock();
        if state.stopped {
            return;
        }
        state.stopped = true;
        if let Some(before) = state.closing.clone() {
            let outcome = self.report(&mut state, &before, |answer| !answer.finished);
            state.outcome = Some(outcome);
        }
        self.changed.notify_all();
    }

    /// Whether a shutdown waits for the thread that sends metrics.
    pub(crate) fn metrics_are_due(&self, due: bool) {
        self.lock().metrics_due = due;
        self.changed.notify_all();
    }

    /// Waits for a shutdown to begin, up to this long, and says whether it has.
    pub(crate) fn closes_within(&self, time: Duration) -> bool {
        let closes = |state: &State| state.closing.is_some() || state.stopped;
        closes(&self.wait(self.lock(), time, closes))
    }

    /// Waits until all spans are accounted for after a shutdown has begun, and returns
    /// how much of its time is left; none if that is over.
    pub(crate) fn wait_for_threads(&self) -> Option<Duration> {
        let left = self.time_left()?;
        let state = self.wait(self.lock(), left, |state| state.stopped);
        let stopped = state.stopped;
        drop(state);
        self.time_left().filter(|left| stopped && !left.is_zero())
    }

    /// Keeps the buffer of a batch for a later one, if no other destination has it.
    pub(crate) fn recycle(&self, batch: Batch) {
        let buffer = batch.into_buffer();
        if let Some(buffer) = buffer.filter(|buffer| buffer.capacity() <= MAX_SPARE_BYTES) {
            let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
            spares.push(buffer);
            spares.sort_unstable_by_key(Vec::capacity);
            if spares.len() > MAX_SPARES {
                spares.remove(0);
            }
        }
    }

    /// The largest buffer that is kept; empty if there is none.
    pub(crate) fn spare(&self) -> Vec<u8> {
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        spares.pop().unwrap_or_default()
    }

    /// Reports what has happened since `before`. The next flush starts from here;
    /// one that is under way keeps its own start, so that flushes at the same time
    /// all hear of a failure.
    fn report(
        &self,
        state: &mut State,
        before: &Snapshot,
        timed_out: impl Fn(&Answer) -> bool,
    ) -> FlushReport {
        let recorded = self.recorder.stats();
        let now = Snapshot {
            dropped: state.dropped.total() + recorded.dropped_full + recorded.dropped_closed,
            destinations: self.totals(),
        };
        let mut report = FlushReport::default();
        for (index, destination) in self.destinations.iter().enumerate() {
            let (now_here, before_here) = (now.destinations[index], before.destinations[index]);
            report.add(DestinationReport {
                destination: destination.name().to_owned(),
                // A batch that is just being written to a spool may count as exported.
                exported: now_here.exported.saturating_sub(before_here.exported),
                failed: now_here.failed - before_here.failed,
                dropped: now_here.dropped - before_here.dropped + now.dropped - before.dropped,
                timed_out: timed_out(&state.answers[index]),
                exporter_failed: now_here.failed_flushes > before_here.failed_flushes,
            });
        }
        state.reported = now;
        report
    }

    fn totals(&self) -> Vec<Totals> {
        let totals = |destination: &Arc<Destination>| {
            let counts = destination.counts();
            Totals {
                exported: counts.exported,
                failed: counts.failed.total(),
                dropped: counts.dropped.total(),
                failed_flushes: counts.failed_flushes,
            }
        };
        self.destinations.iter().map(totals).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
