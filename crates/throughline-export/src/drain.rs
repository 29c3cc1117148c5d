//! Takes ended spans out of the threads' buffers and makes batches of them.
//!
//! Owns the pace: how often it looks, how much it takes at a time, when a batch
//! that is not full is sent. It must not know how batches are delivered.
//!
//! When the queue has no room, records stay where they are: the recording threads
//! find their buffers full and count what they cannot keep. Nothing is dropped
//! here but records too large for any request, and what is left at the deadline
//! of a shutdown.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tokio::task::yield_now;
use tokio::time::sleep;

use crate::batch::{Batcher, Pushed};
use crate::notice::DropNotices;
use crate::queue::{Item, Queue};
use crate::say;
use crate::shared::Shared;

/// How much one pass takes before the exporter gets a turn.
const PASS_BYTES: usize = 1 << 20;

/// How often the number of dropped spans is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time between two looks when there is nothing to do.
const IDLE_WAIT: Duration = Duration::from_millis(250);

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
    pub(crate) fn new(batcher: Batcher, schedule_delay: Duration) -> Self {
        Self {
            batcher,
            schedule_delay,
            pace: Pace::new(IDLE_WAIT.min(schedule_delay / 4).max(MIN_IDLE_WAIT)),
            flush: 0,
            drops: DropNotices::default(),
            last_look: Instant::now(),
        }
    }

    /// Fills the queue until the pipeline is shut down and everything is taken.
    pub(crate) async fn run(&mut self, shared: &Shared, queue: &Queue) {
        loop {
            // Asked before the pass, so that the pass sees what the flush means.
            let wishes = shared.wishes();
            let flushing = wishes.flush > self.flush;
            let pass = if shared.is_too_late() {
                discard(shared)
            } else {
                self.pass(shared, queue, flushing || wishes.closing)
            };
            let cut_short = !pass.complete && self.has_room(queue);

            if pass.complete && (flushing || wishes.closing) {
                self.seal(queue);
                self.flush = wishes.flush;
                if flushing {
                    queue.push(Item::Flush(wishes.flush));
                }
                if wishes.closing {
                    queue.push(Item::Close);
                    return;
                }
            } else if self.is_due(queue) {
                self.seal(queue);
            }
            self.look_at_drops(shared);

            if cut_short {
                yield_now().await;
            } else if pass.complete {
                self.rest(shared, pass.bytes).await;
            } else {
                tokio::select! {
                    () = queue.settled() => {}
                    () = shared.wake.notified() => {}
                    // What is dropped meanwhile is to be told all the same.
                    () = sleep(LOOK_INTERVAL) => {}
                }
            }
        }
    }

    /// Takes what is there. An urgent pass goes on until it has everything or the
    /// queue is full.
    fn pass(&mut self, shared: &Shared, queue: &Queue, urgent: bool) -> Pass {
        let mut pass = Pass {
            bytes: 0,
            complete: self.has_room(queue),
        };
        if !pass.complete {
            return pass;
        }
        self.batcher.renew_anchor();
        let batcher = &mut self.batcher;
        let now = Instant::now();
        let mut oversize = 0;
        shared.recorder.drain(|record| {
            pass.bytes += record.len();
            match batcher.push(record, now) {
                Pushed::Kept => {}
                Pushed::Sealed(batch) => {
                    queue.push(Item::Batch(batch));
                    batcher.reuse(queue.spare());
                }
                Pushed::Oversize => oversize += 1,
            }
            let room = queue.has_room(batcher.spans(), batcher.bytes());
            if room && (urgent || pass.bytes < PASS_BYTES) {
                ControlFlow::Continue(())
            } else {
                pass.complete = false;
                ControlFlow::Break(())
            }
        });
        shared.dropped("oversize", oversize);
        pass
    }

    fn has_room(&self, queue: &Queue) -> bool {
        queue.has_room(self.batcher.spans(), self.batcher.bytes())
    }

    /// Whether to send the batch under construction although more would fit. As long
    /// as another one is on its way, waiting costs nothing and saves a request.
    fn is_due(&self, queue: &Queue) -> bool {
        let Some(since) = self.batcher.since() else {
            return false;
        };
        self.batcher.is_full()
            || queue.is_idle() && (since.elapsed() >= self.schedule_delay || !self.has_room(queue))
    }

    fn seal(&mut self, queue: &Queue) {
        if let Some(batch) = self.batcher.seal() {
            queue.push(Item::Batch(batch));
            self.batcher.reuse(queue.spare());
        }
    }

    async fn rest(&mut self, shared: &Shared, bytes: usize) {
        let wait = self.pace.after_pass(bytes);
        if wait >= ARMED_FROM && !shared.recorder.sleep() {
            // A thread filled a piece of its buffer while this one looked elsewhere.
            self.pace.woken();
            return yield_now().await;
        }
        tokio::select! {
            () = sleep(wait) => {}
            () = shared.wake.notified() => self.pace.woken(),
        }
    }

    fn look_at_drops(&mut self, shared: &Shared) {
        let now = Instant::now();
        if now.duration_since(self.last_look) < LOOK_INTERVAL {
            return;
        }
        self.last_look = now;
        let stats = shared.recorder.stats();
        let line = self
            .drops
            .look(now, stats.dropped_full, stats.buffer_limit_bytes);
        if let Some(line) = line {
            say::warn(line);
        }
    }
}

/// Empties the threads' buffers when there is no time left to export them.
fn discard(shared: &Shared) -> Pass {
    let mut spans = 0;
    shared.recorder.drain(|_| {
        spans += 1;
        ControlFlow::Continue(())
    });
    shared.dropped("shutdown", spans);
    Pass {
        bytes: 0,
        complete: true,
    }
}

/// From which wait on the recording threads are asked to wake the drain. Below it
/// the drain is back soon enough, and being woken costs them a system call.
const ARMED_FROM: Duration = Duration::from_millis(16);

/// How long the drain rests between passes.
///
/// It aims at passes that are worth the effort and still fit the processor's
/// cache: passes that bring much halve the wait, passes that bring little double
/// it.
#[derive(Debug)]
struct Pace {
    wait: Duration,
    longest: Duration,
}

const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const MUCH_BYTES: usize = 256 << 10;
const LITTLE_BYTES: usize = 64 << 10;

impl Pace {
    fn new(longest: Duration) -> Self {
        let longest = longest.max(SHORTEST_WAIT);
        Self {
            wait: longest,
            longest,
        }
    }

    fn after_pass(&mut self, bytes: usize) -> Duration {
        if bytes >= MUCH_BYTES {
            self.wait = (self.wait / 2).max(SHORTEST_WAIT);
        } else if bytes < LITTLE_BYTES {
            self.wait = (self.wait * 2).min(self.longest);
        }
        self.wait
    }

    /// There is more to do than expected.
    fn woken(&mut self) {
        self.wait = SHORTEST_WAIT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_the_load() {
        let mut pace = Pace::new(IDLE_WAIT);
        assert_eq!(pace.after_pass(0), IDLE_WAIT);
        pace.woken();
        assert_eq!(pace.after_pass(100 << 10), SHORTEST_WAIT);
        for wait in [2, 4, 8, 16, 32, 64, 128, 250, 250] {
            assert_eq!(pace.after_pass(10), Duration::from_millis(wait));
        }
        for wait in [125_000, 62_500, 31_250] {
            assert_eq!(pace.after_pass(1 << 20), Duration::from_micros(wait));
        }
        for _ in 0..10 {
            pace.after_pass(1 << 20);
        }
        assert_eq!(pace.after_pass(1 << 20), SHORTEST_WAIT);
        assert_eq!(Pace::new(Duration::ZERO).after_pass(0), SHORTEST_WAIT);
    }
}
