//! How long the task that this thread polls had waited for its turn, as its runtime says.
//!
//! For runtimes with hooks around their polls, and for the spans of the futures that are polled in between. Nothing is
//! paid where no runtime tells but one relaxed load at each poll of a span whose polls are counted.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::{self, Ticks};

/// The poll that this thread is in.
#[derive(Clone, Copy)]
struct Poll {
    began: Ticks,
    latency_nanos: u64,
}

/// No task waited for this.
const NONE: Poll = Poll {
    began: Ticks::from_raw(0),
    latency_nanos: 0,
};

thread_local! {
    static POLL: Cell<Poll> = const { Cell::new(NONE) };
}

static TOLD: AtomicBool = AtomicBool::new(false);

/// Says that [`poll_begins`] and [`poll_ends`] will be called from now on, somewhere in the process.
pub fn track() {
    // Relaxed: a poll that sees it late is not measured.
    TOLD.store(true, Ordering::Relaxed);
}

/// A task that was scheduled for that long is polled on this thread now.
///
/// Polls may nest, where one blocks on another runtime. The rest of the outer one counts as if it had not waited.
#[inline]
pub fn poll_begins(latency: Duration) {
    let poll = Poll {
        began: clock::now(),
        latency_nanos: u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX),
    };
    // A thread that is ending polls nothing.
    let _ = POLL.try_with(|slot| slot.set(poll));
}

/// The poll is over.
#[inline]
pub fn poll_ends() {
    let _ = POLL.try_with(|slot| slot.set(NONE));
}

/// For how many nanoseconds of the life of a span that started then the poll had been waited for.
#[inline]
pub(crate) fn waited_since(start: Ticks) -> u64 {
    if TOLD.load(Ordering::Relaxed) {
        waited(start)
    } else {
        0
    }
}

#[cold]
#[inline(never)]
fn waited(start: Ticks) -> u64 {
    let poll = POLL.try_with(Cell::get).unwrap_or(NONE);
    // A span that is younger than the poll did not wait for it.
    let before = clock::nanos_between(start, poll.began);
    poll.latency_nanos.min(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_waited_while_it_was_open() {
        let early = clock::now();
        let latency = Duration::from_nanos(1);
        assert_eq!(waited(early), 0);
        poll_begins(latency);
        assert_eq!(waited(early), 1);
        assert_eq!(waited(clock::now()), 0);
        poll_begins(Duration::MAX);
        let open = waited(early);
        assert!(open > 0 && open < u64::MAX, "{open}");
        poll_ends();
        assert_eq!(waited(early), 0);
    }
}
