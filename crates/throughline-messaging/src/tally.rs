//! Counters that many threads count in, each by itself: adding is a load and a store, where a counter for all of them
//! locks a line of the cache for each message.
//!
//! Rules of concurrency:
//!
//! 1. A thread that counts holds a place of its own, of which there are a few; threads past those share one, and add to
//!    it atomically.
//! 2. A thread gives its place back when it ends, and whoever gets it goes on with what is counted there: taking a place
//!    acquires what giving it back released. All else is relaxed.
//! 3. What is counted is the sum over all places; it never goes down unless somebody takes something back.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// So many counters, added up over all threads.
#[derive(Debug)]
pub(crate) struct Tally<const N: usize> {
    places: [Place<N>; PLACES],
    shared: Place<N>,
}

/// What one thread writes: a line of the cache.
#[derive(Debug)]
#[repr(align(64))]
struct Place<const N: usize>([AtomicU64; N]);

impl<const N: usize> Tally<N> {
    pub(crate) const fn new() -> Self {
        Self {
            places: [const { Place::new() }; PLACES],
            shared: Place::new(),
        }
    }

    /// Adds to the counter with that number.
    #[inline(always)]
    pub(crate) fn add(&self, counter: usize, n: u64) {
        match self.places.get(place()) {
            Some(Place(mine)) => {
                // Nobody else writes it: rule 1.
                let sum = mine[counter].load(Ordering::Relaxed).wrapping_add(n);
                mine[counter].store(sum, Ordering::Relaxed);
            }
            None => {
                self.shared.0[counter].fetch_add(n, Ordering::Relaxed);
            }
        }
    }

    /// Takes back what any thread added.
    pub(crate) fn take_back(&self, counter: usize, n: u64) {
        self.shared.0[counter].fetch_sub(n, Ordering::Relaxed);
    }

    /// Raises what is the largest of all so far.
    #[inline(always)]
    pub(crate) fn raise(&self, counter: usize, to: u64) {
        match self.places.get(place()) {
            Some(Place(mine)) => {
                if mine[counter].load(Ordering::Relaxed) < to {
                    mine[counter].store(to, Ordering::Relaxed);
                }
            }
            None => {
                self.shared.0[counter].fetch_max(to, Ordering::Relaxed);
            }
        }
    }

    /// What was added to the counter, by all threads.
    pub(crate) fn sum(&self, counter: usize) -> u64 {
        self.each(counter).fold(0, u64::wrapping_add)
    }

    /// The largest that the counter was raised to.
    pub(crate) fn largest(&self, counter: usize) -> u64 {
        self.each(counter).max().unwrap_or_default()
    }

    fn each(&self, counter: usize) -> impl Iterator<Item = u64> {
        let all = self.places.iter().chain([&self.shared]);
        all.map(move |Place(counters)| counters[counter].load(Ordering::Relaxed))
    }
}

impl<const N: usize> Place<N> {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; N])
    }
}

/// The place of this thread; past the last one if it has none.
#[inline(always)]
fn place() -> usize {
    match PLACE.get() {
        UNKNOWN => find_place(),
        place => place,
    }
}

#[cold]
#[inline(never)]
fn find_place() -> usize {
    // A thread that is about to end finds none.
    let place = LEASE.try_with(|lease| lease.0).unwrap_or(PLACES);
    PLACE.set(place);
    place
}

/// A place, until the thread ends.
struct Lease(usize);

impl Lease {
    fn take() -> Self {
        let mut taken = TAKEN.load(Ordering::Relaxed);
        loop {
            let place = taken.trailing_ones() as usize;
            if place >= PLACES {
                return Self(PLACES);
            }
            let with = taken | 1 << place;
            // Acquire: see rule 2.
            match TAKEN.compare_exchange_weak(taken, with, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Self(place),
                Err(now) => taken = now,
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What the thread counts from here on, in other destructors, it counts with all others.
        PLACE.set(PLACES);
        if self.0 < PLACES {
            // Release: see rule 2.
            TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
        }
    }
}

/// Threads that count by themselves at a time: the workers of a runtime and some more, at a line of the cache for each.
const PLACES: usize = 16;
/// The thread did not look for a place yet.
const UNKNOWN: usize = usize::MAX;

/// A bit for each place that a thread has.
static TAKEN: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static LEASE: Lease = Lease::take();
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn nothing_is_lost_among_more_threads_than_places() {
        static TALLY: Tally<2> = Tally::new();
        const THREADS: u64 = 3 * PLACES as u64;
        // All of them hold what place they got, so that some have to share.
        let barrier = Barrier::new(THREADS as usize);
        // Twice, so that places are taken over.
        for _ in 0..2 {
            thread::scope(|scope| {
                for thread in 1..=THREADS {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        TALLY.add(0, 1);
                        barrier.wait();
                        for _ in 1..1000 {
                            TALLY.add(0, 1);
                            TALLY.raise(1, thread);
                        }
                    });
                }
            });
        }
        assert_eq!(TALLY.sum(0), 2 * THREADS * 1000);
        assert_eq!(TALLY.largest(1), THREADS);
        TALLY.take_back(0, 1);
        assert_eq!(TALLY.sum(0), 2 * THREADS * 1000 - 1);
    }

    #[test]
    fn what_a_thread_counts_while_it_ends_is_counted() {
        static TALLY: Tally<1> = Tally::new();
        struct Late;
        impl Drop for Late {
            fn drop(&mut self) {
                TALLY.add(0, 1);
            }
        }
        thread_local!(static LATE: Late = const { Late });
        for first in [true, false] {
            let ended = thread::spawn(move || {
                // Whichever was made first is destroyed last.
                if first {
                    LATE.with(|_| ());
                }
                TALLY.add(0, 1);
                LATE.with(|_| ());
            });
            ended.join().expect("it ends");
        }
        assert_eq!(TALLY.sum(0), 4);
    }
}
