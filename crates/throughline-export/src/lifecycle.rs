//! What callers ask of the pipeline and how they are answered: flushes and the shutdown.
//!
//! Owns the wishes of callers, the answers of the threads and the counts between two
//! reports. It knows no recorder, so that a model checker can drive it: the spans that
//! never get as far as a destination are told to it.
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

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::deliver::{FOREVER, Urgency};
use crate::destination::Destination;
use crate::queue::Item;
use crate::stats::{DestinationReport, FlushReport, Tallies};
use crate::sync::{Bell, Condvar, Mutex, MutexGuard};

/// How much longer than its timeout a shutdown waits, so that the pipeline's
/// threads, which stop at the deadline, can still say what they left.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(50);

/// The longest time between two looks of the drain when there is nothing to do.
pub(crate) const IDLE_WAIT: Duration = Duration::from_millis(250);

/// How long the export threads are waited for after the deadline of a shutdown,
/// which they keep by themselves unless their exporters hold them.
const LEAVE_TIME: Duration = Duration::from_millis(25);

pub(crate) struct Lifecycle {
    /// Wakes the drain. Recording threads hold it too, without the rest.
    pub(crate) bell: Arc<Bell>,
    pub(crate) destinations: Vec<Arc<Destination>>,
    /// How many ended spans the recorder could not keep, ever.
    unrecorded: Box<dyn Fn() -> u64 + Send + Sync>,
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
impl Lifecycle {
    pub(crate) fn new(
        bell: Arc<Bell>,
        destinations: Vec<Arc<Destination>>,
        unrecorded: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        let none = Snapshot {
            dropped: 0,
            destinations: vec![Totals::default(); destinations.len()],
        };
        Self {
            bell,
            unrecorded: Box::new(unrecorded),
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

    /// Begins the shutdown, or joins the one that was begun, and waits for its end. By
    /// now the recorder is closed.
    pub(crate) fn shutdown(&self, timeout: Duration) -> FlushReport {
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

    /// The spans that no destination was offered. Once there will be no more answers,
    /// `late` takes those that nobody else will ever take, and says how many there are.
    pub(crate) fn not_offered(&self, late: impl FnOnce() -> u64) -> Tallies {
        let mut state = self.lock();
        if state.stopped {
            state.dropped.add("already_shutdown", late());
        }
        state.dropped.clone()
    }
}

/// For the pipeline's threads.
impl Lifecycle {
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

    /// Tidies up when the export loop of a destination unwound: the batch in flight and
    /// the flush that it was asked for have failed.
    pub(crate) fn unwound(&self, destination: usize) {
        if let Some(flush) = self.destinations[destination].unwound() {
            self.flushed(destination, flush, false);
        }
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
}

/// For the drain thread.
impl Lifecycle {
    /// Passes on what callers wished, once everything is offered that had been published
    /// by then. `passed_on` is the last flush for which that was done. True: that was all,
    /// the export threads have ended or are given up.
    pub(crate) fn pass_on(&self, wishes: Wishes, passed_on: &mut u64) -> bool {
        if wishes.flush > *passed_on {
            for destination in &self.destinations {
                destination.push(Item::Flush(wishes.flush));
            }
            *passed_on = wishes.flush;
        }
        if wishes.closing {
            self.close();
        }
        wishes.closing
    }

    /// Gives calls up that are overdue, and answers the flushes that were asked for in
    /// the place of exporters that do not return.
    pub(crate) fn supervise(&self, flush: u64) {
        let now = Instant::now();
        for (index, destination) in self.destinations.iter().enumerate() {
            destination.supervise(now);
            if destination.is_blocked() && self.flush_done(index) < flush {
                self.flushed(index, flush, false);
            }
        }
    }

    /// Lets the export threads end, and gives up those that do not in time.
    fn close(&self) {
        for destination in &self.destinations {
            destination.push(Item::Close);
        }
        loop {
            let now = Instant::now();
            let mut all_ended = true;
            for (index, destination) in self.destinations.iter().enumerate() {
                destination.supervise(now);
                all_ended &= self.has_ended(index);
            }
            if all_ended {
                return;
            }
            let left = self.time_left().unwrap_or_default();
            if left.is_zero() {
                break;
            }
            self.bell.wait(left.min(IDLE_WAIT));
        }
        let leave = Instant::now() + LEAVE_TIME;
        for (index, destination) in self.destinations.iter().enumerate() {
            while !self.has_ended(index) {
                let left = leave.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    destination.abandon();
                    self.ended(index, false);
                } else {
                    self.bell.wait(left);
                }
            }
        }
    }
}

/// What all of them share.
impl Lifecycle {
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

    /// Reports what has happened since `before`. The next flush starts from here;
    /// one that is under way keeps its own start, so that flushes at the same time
    /// all hear of a failure.
    fn report(
        &self,
        state: &mut State,
        before: &Snapshot,
        timed_out: impl Fn(&Answer) -> bool,
    ) -> FlushReport {
        let now = Snapshot {
            dropped: state.dropped.total() + (self.unrecorded)(),
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

#[cfg(all(test, throughline_loom))]
mod model;
