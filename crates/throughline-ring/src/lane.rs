//! Owns the lane: the chain of chunks between one writer and the consumer, and
//! the writer's counters. Knows nothing of how lanes are listed, of who is the
//! consumer, or of what records mean.
//!
//! Who may touch what:
//! 1. A lane has at most one writer, and one consumer at a time. The writer
//!    holds it from the moment it was given until it calls `close`, or hands it
//!    back without ever having extended it.
//! 2. The writer appends to the last chunk of the chain only. When it extends
//!    the chain it links the old last chunk to the new one, then stores `tail`
//!    with release, and never touches the old one again.
//! 3. The consumer acquires `tail` first. Every chunk before it is final and
//!    belongs to the consumer, which reads it and gives it back to the pool.
//!    Of the tail itself the consumer reads what is committed and no more.
//! 4. `close` is the writer's last act (release). A consumer that acquired
//!    `closed` before it acquired `tail`, and read everything up to there, owns
//!    the whole lane: it gives back the tail, resets the lane, and may hand it
//!    to another writer.
//! 5. `reading` and `read` are the consumer's; they are atomics only because
//!    that spares `unsafe`.
//! 6. `tallies` are stored by the writer and loaded by anybody. They are never
//!    reset, so that sums over all lanes stay exact when a lane changes hands.

use std::ops::ControlFlow;
use std::ptr;

use crate::chunk::{Chunk, Frame, Header, OVERSIZE_FRAME, Oversize, frame_len};
use crate::config::TALLIES;
use crate::pool::Pool;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// See the module documentation. The parts are on cache lines of their own: the
/// writer counts often, the consumer keeps its place per record.
#[repr(C)]
pub(crate) struct Lane {
    tallies: Line<[AtomicU64; TALLIES]>,
    chain: Line<Chain>,
    place: Line<Place>,
}

#[repr(align(64))]
struct Line<T>(T);

/// What writer and consumer share.
struct Chain {
    /// The first chunk since the lane was given to its writer.
    head: AtomicPtr<Header>,
    /// The chunk being written; null until there is one.
    tail: AtomicPtr<Header>,
    closed: AtomicBool,
}

/// How far the consumer is.
struct Place {
    /// The chunk being read; null: `head`, not looked up yet.
    reading: AtomicPtr<Header>,
    /// Bytes of it already read.
    read: AtomicUsize,
}

/// What the consumer found when it visited a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visit {
    /// All that was published has been read; there may be more later.
    Read,
    /// The same, the writer is gone, and the lane is as new: rule 4.
    Retired,
    /// The callback asked to stop.
    Stopped,
}

impl Lane {
    pub(crate) fn new() -> Self {
        Self {
            tallies: Line(std::array::from_fn(|_| AtomicU64::new(0))),
            chain: Line(Chain {
                head: AtomicPtr::new(ptr::null_mut()),
                tail: AtomicPtr::new(ptr::null_mut()),
                closed: AtomicBool::new(false),
            }),
            place: Line(Place {
                reading: AtomicPtr::new(ptr::null_mut()),
                read: AtomicUsize::new(0),
            }),
        }
    }

    /// Adds to a counter; an index that does not exist is ignored. For the
    /// lane's writer only (another caller would lose counts, no worse).
    #[inline]
    pub(crate) fn tally(&self, index: usize, n: u64) {
        if let Some(tally) = self.tallies.0.get(index) {
            // Relaxed, and no read-modify-write: there is one writer, and the
            // count orders nothing. A successor in the lane is ordered by the
            // way the lane was handed over.
            tally.store(
                tally.load(Ordering::Relaxed).wrapping_add(n),
                Ordering::Relaxed,
            );
        }
    }

    /// Adds the counters to `sums`.
    pub(crate) fn add_tallies_to(&self, sums: &mut [u64; TALLIES]) {
        for (sum, tally) in sums.iter_mut().zip(&self.tallies.0) {
            // Relaxed: exact once the writer's thread is ordered before this
            // one by something else, which is what a quiescent point means.
            *sum = sum.wrapping_add(tally.load(Ordering::Relaxed));
        }
    }

    /// Appends an empty chunk to the chain, after `last`.
    ///
    /// # Safety
    ///
    /// For the lane's writer only. `last` must be the chain's last chunk, or
    /// `None` if there is none yet; it passes to the consumer. `new` must be
    /// owned by the caller, who stays its writer.
    pub(crate) unsafe fn extend(&self, last: Option<Chunk>, new: Chunk) {
        match last {
            // SAFETY: the writer is done with `last`, by rule 2.
            Some(last) => unsafe { last.link(new) },
            // Relaxed: published by `tail`, as the link is.
            None => self.chain.0.head.store(new.as_ptr(), Ordering::Relaxed),
        }
        // Release pairs with the acquire in `read`: rules 2 and 3.
        self.chain.0.tail.store(new.as_ptr(), Ordering::Release);
    }

    /// The writer is gone. For the lane's writer only, and its last act.
    pub(crate) fn close(&self) {
        // Release pairs with the acquire in `read`: rule 4.
        self.chain.0.closed.store(true, Ordering::Release);
    }

    /// Offers each record that was published when the visit began to `offer`,
    /// in order, and gives chunks that are done with back to `pool`. A record
    /// counts as read once it was offered, even if `offer` panics.
    ///
    /// # Safety
    ///
    /// For the one consumer only, and not from inside `offer`. All chunks of
    /// the lane must come from `pool`.
    pub(crate) unsafe fn read<F>(&self, pool: &Pool, offer: &mut F) -> Visit
    where
        F: FnMut(&[u8]) -> ControlFlow<()>,
    {
        let Chain { head, tail, closed } = &self.chain.0;
        let Place { reading, read } = &self.place.0;

        // Acquire pairs with the release in `close`. This load comes first, so
        // that "closed" covers all that the loads below can show.
        let closed_before = closed.load(Ordering::Acquire);
        // Acquire pairs with the release in `extend`.
        let Some(last) = Chunk::from_ptr(tail.load(Ordering::Acquire)) else {
            return Visit::Read;
        };
        // SAFETY: only the consumer, who is us, ends the life of a tail.
        let limit = unsafe { last.committed() };

        // Relaxed, here and below: the place is the consumer's own, and `head`
        // was stored before the tail that was just acquired.
        let mut chunk = Chunk::from_ptr(reading.load(Ordering::Relaxed))
            .or_else(|| Chunk::from_ptr(head.load(Ordering::Relaxed)))
            .unwrap_or(last);
        let mut at = read.load(Ordering::Relaxed);
        loop {
            let end = if chunk == last {
                limit
            } else {
                // SAFETY: live, since only we give back chunks of this chain.
                unsafe { chunk.committed() }
            };
            while at < end {
                // SAFETY: `at` is a frame's start below an acquired `end`; the
                // chunk is given back further down, after the callback.
                let frame = unsafe { chunk.read_frame(at) };
                let flow = match frame {
                    Frame::Plain(record) => {
                        at += frame_len(record.len());
                        read.store(at, Ordering::Relaxed);
                        offer(record)
                    }
                    Frame::Oversize(record) => {
                        at += OVERSIZE_FRAME;
                        read.store(at, Ordering::Relaxed);
                        let record = Lent { record, pool };
                        offer(record.bytes())
                    }
                };
                if flow.is_break() {
                    return Visit::Stopped;
                }
            }
            if chunk == last {
                break;
            }
            // SAFETY: live, as above.
            let Some(next) = (unsafe { chunk.next() }) else {
                break; // Unreachable: all but the tail are linked, rule 2.
            };
            reading.store(next.as_ptr(), Ordering::Relaxed);
            read.store(0, Ordering::Relaxed);
            // SAFETY: ours by rule 3, from this pool, and all of it is read.
            unsafe { pool.give_back(chunk) };
            chunk = next;
            at = 0;
        }
        if !closed_before {
            reading.store(chunk.as_ptr(), Ordering::Relaxed);
            return Visit::Read;
        }
        self.reset();
        // SAFETY: ours by rule 4, from this pool, and all of it is read.
        unsafe { pool.give_back(last) };
        Visit::Retired
    }

    /// Gives all chunks back, and drops the records nobody has read.
    ///
    /// # Safety
    ///
    /// The caller must be the only one to use the lane, now and later.
    pub(crate) unsafe fn dismantle(&self, pool: &Pool) {
        self.close();
        // SAFETY: alone, so no other consumer; and the callback does nothing.
        unsafe { self.read(pool, &mut |_| ControlFlow::Continue(())) };
    }

    /// Makes the lane as new, tallies excepted.
    fn reset(&self) {
        let Chain { head, tail, closed } = &self.chain.0;
        let Place { reading, read } = &self.place.0;
        // Relaxed: by rule 4 nobody else looks, and the queue that hands the
        // lane to its next writer orders these stores.
        head.store(ptr::null_mut(), Ordering::Relaxed);
        tail.store(ptr::null_mut(), Ordering::Relaxed);
        closed.store(false, Ordering::Relaxed);
        reading.store(ptr::null_mut(), Ordering::Relaxed);
        read.store(0, Ordering::Relaxed);
    }
}

/// An oversize record while it is being offered: freed even if that panics.
struct Lent<'a> {
    record: Oversize,
    pool: &'a Pool,
}

impl Lent<'_> {
    fn bytes(&self) -> &[u8] {
        // SAFETY: freed by our drop only, which ends the borrow of `self`.
        unsafe { self.record.bytes() }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // SAFETY: the frame handed the record over to us, and it came from the
        // pool that the lane's chunks come from.
        unsafe { self.pool.free_oversize(self.record) };
    }
}
