//! Wakes a thread: the drain from its waits, the others from the rest after a panic.
//!
//! Rings are remembered until the next wait, and rings that come together are one.
//! To ring takes no lock, so that a thread of a forked child may do it too.

use std::sync::OnceLock;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(crate) struct Bell(OnceLock<Thread>);

impl Bell {
    /// Makes this thread the one that is woken.
    pub(crate) fn listen(&self) {
        self.0.get_or_init(thread::current);
    }

    /// Ends the wait of the thread that listens, or its next one.
    pub(crate) fn ring(&self) {
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }

    /// Waits on the thread that listens. True: the bell was rung before the time was
    /// over.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let start = Instant::now();
        thread::park_timeout(timeout);
        start.elapsed() < timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREVER: Duration = Duration::MAX;

    #[test]
    fn a_ring_ends_the_next_wait() {
        let bell = Bell::default();
        bell.listen();
        bell.ring();
        assert!(bell.wait(FOREVER));
    }

    #[test]
    fn a_ring_from_elsewhere_ends_a_wait() {
        let bell = Bell::default();
        bell.listen();
        thread::scope(|scope| {
            scope.spawn(|| bell.ring());
            assert!(bell.wait(FOREVER));
        });
    }
}
