//! Takes ended spans out of the threads' buffers and makes batches of them.
//!
//! Owns the pace: how often it looks, how much it takes at a time, when a batch
//! that is not full is sent. It must not know how batches are delivered.
//!
//! Every destination is offered every batch. When none has room, records stay
//! where they are: the recording threads find their buffers full and count what
//! they cannot keep. As long as one has room, the others drop what they have no room
//! for. Besides, nothing is dropped here but records too large for any request, and
//! what is left at the deadline of a shutdown.
//!
//! The drain runs no foreign code, so it also watches over the threads that do.

use std::mem;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::batch::{Batcher, Pushed};
use crate::exporter::Batch;
use crate::lifecycle::IDLE_WAIT;
use crate::notice::DropNotices;
use crate::queue::Capacity;
use crate::say;
use crate::shared::Shared;

/// How much one pass takes before the drain looks up.
const PASS_BYTES: usize = 1 << 20;

/// How often the number of dropped spans is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Even who wants no delay at all does not want a busy thread.
const MIN_IDLE_WAIT: Duration = Duration::from_millis(5);

pub(crate) struct Drain {
    batcher: Batcher,
    schedule_delay: Duration,
    pace: Pace,
    /// The last flush that was passed on.
    flush: u64,
    drops: DropNotices,
    last_look: Instant,
}

/// What one pass did.
struct Pass {
    bytes: usize,
    /// Whether every record that had been published before the pass was taken.
    complete: bool,
}

impl Drain {
    /// `buffer_bytes` is what the threads' buffers may hold in all.
    pub(crate) fn new(batcher: Batcher, schedule_delay: Duration, buffer_bytes: usize) -> Self {
        let longest = IDLE_WAIT.min(schedule_delay / 4).max(MIN_IDLE_WAIT);
        Self {
            batcher,
            schedule_delay,
            pace: Pace::new(Instant::now(), buffer_bytes, longest),
            flush: 0,
            drops: DropNotices::default(),
            last_look: Instant::now(),
        }
    }

    /// Fills the queues until the pipeline is shut down and everything is taken, and
    /// the export threads have ended or are given up.
    pub(crate) fn run(&mut self, shared: &Shared) {
        loop {
            // Asked before the pass, so that the pass sees what the flush means.
            let wishes = shared.lifecycle.wishes();
            let flushing = wishes.flush > self.flush;
            let pass = if shared.lifecycle.is_too_late() {
                discard(shared)
            } else {
                self.pass(shared, flushing || wishes.closing)
            };
            let cut_short = !pass.complete && !self.lacks_room(shared);

            if pass.complete && (flushing || wishes.closing) {
                self.seal(shared);
                if shared.lifecycle.pass_on(wishes, &mut self.flush) {
                    return;
                }
            } else if self.is_due(shared) {
                self.seal(shared);
            }
            self.look_at_drops(shared);
            shared.lifecycle.supervise(wishes.flush);

            if cut_short {
                continue;
            }
            if pass.complete {
                self.rest(shared, pass.bytes);
            } else {
                // Until a batch is settled, and not longer than until something else
                // has to be looked at.
                let wait = shared
                    .lifecycle
                    .time_left()
                    .map_or(IDLE_WAIT, |left| left.min(IDLE_WAIT));
                shared.lifecycle.bell.wait(wait);
            }
        }
    }

    /// Takes what is there. An urgent pass goes on until it has everything or no
    /// destination has room.
    fn pass(&mut self, shared: &Shared, urgent: bool) -> Pass {
        let mut room = most_room(shared);
        let mut pass = Pass {
            bytes: 0,
            complete: self.fits(room),
        };
        if !pass.complete {
            return pass;
        }
        self.batcher.renew_anchor();
        self.batcher.reuse(|| shared.spare());
        let batcher = &mut self.batcher;
        let now = Instant::now();
        let mut oversize = 0;
        shared.recorder.drain(|record| {
            pass.bytes += record.len();
            match batcher.push(record, now) {
                Pushed::Kept => {}
                Pushed::Sealed(batch) => {
                    offer(shared, batch);
                    batcher.reuse(|| shared.spare());
                    room = most_room(shared);
                }
                Pushed::Oversize => oversize += 1,
            }
            let fits = room.exceeds(batcher.spans(), batcher.bytes());
            if fits && (urgent || pass.bytes < PASS_BYTES) {
                ControlFlow::Continue(())
            } else {
                pass.complete = false;
                ControlFlow::Break(())
            }
        });
        shared.lifecycle.dropped("oversize", oversize);
        pass
    }

    /// Whether no destination has room; the bell is rung when one may have.
    fn lacks_room(&self, shared: &Shared) -> bool {
        if self.has_room(shared) {
            return false;
        }
        for destination in &shared.lifecycle.destinations {
            destination.await_settled();
        }
        // Asked again, since a batch may have been settled meanwhile.
        !self.has_room(shared)
    }

    fn has_room(&self, shared: &Shared) -> bool {
        self.fits(most_room(shared))
    }

    /// Whether there is room beside the batch under construction.
    fn fits(&self, room: Capacity) -> bool {
        room.exceeds(self.batcher.spans(), self.batcher.bytes())
    }

    /// Whether to send the batch under construction although more would fit. As long
    /// as every destination has another one on its way, waiting costs nothing and
    /// saves a request.
    fn is_due(&self, shared: &Shared) -> bool {
        let Some(since) = self.batcher.since() else {
            return false;
        };
        let is_wanted = || since.elapsed() >= self.schedule_delay || !self.has_room(shared);
        let destinations = &shared.lifecycle.destinations;
        self.batcher.is_full() || is_wanted() && destinations.iter().any(|one| one.is_idle())
    }

    fn seal(&mut self, shared: &Shared) {
        if let Some(batch) = self.batcher.seal() {
            offer(shared, batch);
            self.batcher.reuse(|| shared.spare());
        }
    }

    /// Waits until another pass is worth it.
    fn rest(&mut self, shared: &Shared, bytes: usize) {
        let wait = self.pace.after_pass(Instant::now(), bytes);
        let may_sleep =
            wait < self.pace.armed_from || shared.recorder.sleep(self.pace.target_bytes);
        if may_sleep {
            shared.lifecycle.bell.wait(wait);
        }
    }

    fn look_at_drops(&mut self, shared: &Shared) {
        let now = Instant::now();
        if now.duration_since(self.last_look) < LOOK_INTERVAL {
            return;
        }
        self.last_look = now;
        for destination in &shared.lifecycle.destinations {
            destination.look_at_drops(now);
        }
        let stats = shared.recorder.stats();
        let line = self
            .drops
            .look(now, stats.dropped_full, stats.buffer_limit_bytes);
        if let Some(line) = line {
            say::warn(line);
        }
    }
}

/// The room of the destination that has most of it.
fn most_room(shared: &Shared) -> Capacity {
    let rooms = shared.lifecycle.destinations.iter().map(|one| one.room());
    let most = rooms.max_by_key(|room| if room.spans == 0 { 0 } else { room.bytes });
    most.unwrap_or_default()
}

/// Offers a batch to every destination; they share its bytes.
fn offer(shared: &Shared, batch: Batch) {
    let Some((last, others)) = shared.lifecycle.destinations.split_last() else {
        return;
    };
    for destination in others {
        destination.offer(batch.clone());
    }
    // Given away, so that whoever is done with it last can keep its buffer.
    last.offer(batch);
}

/// Empties the threads' buffers when there is no time left to export them.
fn discard(shared: &Shared) -> Pass {
    let mut spans = 0;
    shared.recorder.drain(|_| {
        spans += 1;
        ControlFlow::Continue(())
    });
    shared.lifecycle.dropped("shutdown", spans);
    Pass {
        bytes: 0,
        complete: true,
    }
}

/// How long the drain rests between passes.
///
/// It aims at passes that are worth the effort and still fit the processor's
/// cache, at the rate at which records came since the pass before.
#[derive(Debug)]
struct Pace {
    last: Instant,
    /// What a pass should find.
    target_bytes: usize,
    longest: Duration,
    /// From which wait on the recording threads are asked to wake the drain when there
    /// is as much as a pass should find. Below it the drain is back before they can fill
    /// their buffers, and to wake it would cost them a system call.
    armed_from: Duration,
}

const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const TARGET_BYTES: usize = 512 << 10;
const MAX_ARMED_FROM: Duration = Duration::from_millis(50);

/// More than threads can be expected to record in a second.
const MAX_BYTES_PER_SECOND: f64 = (256 << 20) as f64;

impl Pace {
    fn new(now: Instant, buffer_bytes: usize, longest: Duration) -> Self {
        let until_full = Duration::from_secs_f64(buffer_bytes as f64 / MAX_BYTES_PER_SECOND);
        Self {
            last: now,
            target_bytes: TARGET_BYTES.min(buffer_bytes / 8),
            longest,
            armed_from: until_full.min(MAX_ARMED_FROM),
        }
    }

    /// The wait after a pass that found so much.
    fn after_pass(&mut self, now: Instant, bytes: usize) -> Duration {
        let elapsed = now.duration_since(mem::replace(&mut self.last, now));
        if bytes == 0 {
            return self.longest;
        }
        let passes = self.target_bytes as f64 / bytes as f64;
        let wait = elapsed.as_secs_f64() * passes;
        Duration::from_secs_f64(wait.min(self.longest.as_secs_f64())).max(SHORTEST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(buffer_bytes: usize) -> (Pace, Instant) {
        let now = Instant::now();
        (Pace::new(now, buffer_bytes, IDLE_WAIT), now)
    }

    #[test]
    fn the_pace_follows_the_load() {
        let (mut pace, mut now) = pace(32 << 20);
        let mut wait_after = |millis, kib: usize| {
            now += Duration::from_millis(millis);
            pace.after_pass(now, kib << 10).as_millis()
        };
        // Nothing, or next to nothing.
        assert_eq!(wait_after(10, 0), 250);
        assert_eq!(wait_after(250, 1), 250);
        // What woke the drain, what came until it looked again, and what follows.
        assert_eq!(wait_after(250, 512), 250);
        assert_eq!(wait_after(16, 512), 16);
        assert_eq!(wait_after(16, 4096), 2);
        assert_eq!(wait_after(2, 512), 2);
        // The burst is over.
        assert_eq!(wait_after(1, 1), 250);
        // No time at all has passed.
        assert_eq!(wait_after(0, 100), 1);
    }

    #[test]
    fn small_buffers_are_watched_closely() {
        assert_eq!(pace(32 << 20).0.armed_from, MAX_ARMED_FROM);
        let (mut small, now) = pace(32 << 10);
        assert!(small.armed_from < SHORTEST_WAIT);
        let later = now + Duration::from_millis(10);
        assert_eq!(small.after_pass(later, 16 << 10).as_micros(), 2500);
    }
}
