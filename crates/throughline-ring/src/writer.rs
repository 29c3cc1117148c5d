//! Owns the writer: the thread's end of a lane, and the fast path of the whole
//! project. Knows nothing of the consumer.
//!
//! Rules:
//! 1. `inner` holds one count of an `Arc`, so lane and pool outlive the hub.
//! 2. `chunk` is the last chunk of the lane; bytes below `at` are published,
//!    those from `at` to `end` are free. Without a chunk both are 0.
//! 3. When `generation` is not the current one, a fork lies between: nothing
//!    the pointers lead to is touched or freed, they are replaced.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Weak;

use crate::chunk::{Chunk, OVERSIZE_FRAME, frame_len};
use crate::config::HubConfig;
use crate::fork::fork_generation;
use crate::hub::Hub;
use crate::inner::{Inner, LaneRef};
use crate::lane::Lane;
use crate::sync::Arc;
use crate::wake::NONE_LEFT;

/// Appends records to a [`Hub`], in order. One thread at a time; it may be
/// moved to another, but not shared:
///
/// ```compile_fail
/// fn shared<T: Sync>() {}
/// shared::<throughline_ring::Writer>();
/// ```
///
/// Dropping it loses nothing: what it wrote stays for the consumer, its counts
/// stay in the hub's.
pub struct Writer {
    generation: Cell<u32>,
    chunk: Cell<Option<Chunk>>,
    at: Cell<usize>,
    end: Cell<usize>,
    lane: Cell<LaneRef>,
    inner: Cell<NonNull<Inner>>,
    hub: Weak<Hub>,
}

/// The record was not written: its hub's memory is used up (or the hub is
/// gone). Nothing was changed; a later push may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

// SAFETY: everything the pointers lead to may be used from any thread, by one
// thread at a time; the cells make the writer `!Sync`, and moving it orders the
// threads.
unsafe impl Send for Writer {}

impl Writer {
    pub(crate) fn new(hub: Weak<Hub>) -> Self {
        let (inner, lane) = attach(&hub);
        Self {
            // SAFETY: the count that came with `inner` keeps it alive.
            generation: Cell::new(unsafe { inner.as_ref() }.generation()),
            chunk: Cell::new(None),
            at: Cell::new(0),
            end: Cell::new(0),
            lane: Cell::new(lane),
            inner: Cell::new(inner),
            hub,
        }
    }

    /// Appends one record, `header` followed by `body`, and publishes it.
    ///
    /// Costs two copies and one release store while the current chunk has
    /// room, and a chunk from the hub otherwise. Never blocks, never panics.
    /// `H` may be at most 65536.
    ///
    /// # Errors
    ///
    /// [`Full`] if the hub's byte bound leaves no room for the record.
    #[inline]
    pub fn push<const H: usize>(&mut self, header: [u8; H], body: &[u8]) -> Result<(), Full> {
        const { assert!(H <= 1 << 16, "a record's fixed header is small") };
        // No overflow: a slice is at most `isize::MAX` long.
        let needed = frame_len(H + body.len());
        if let Some(chunk) = self.chunk.get()
            && needed <= self.end.get() - self.at.get()
            && !self.is_stale()
        {
            let at = self.at.get();
            // SAFETY: the chunk is ours to write (rule 2) and has the room.
            unsafe { chunk.write_frame(at, &header, body) };
            self.at.set(at + needed);
            // SAFETY: the frame is whole, and so are all below it.
            unsafe { chunk.publish(at + needed) };
            chunk.expect_writes(at + needed);
            return Ok(());
        }
        // A copy, so that the fast path may keep the header in registers.
        let spilled = header;
        self.push_slow(&spilled, body)
    }

    /// Adds `n` to a counter of this lane, see [`Hub::tallies`]. What the
    /// counter at `index` means is the caller's; an index from
    /// [`TALLIES`](crate::TALLIES) on is ignored. Costs a load, an addition and
    /// a store, none of them ordered.
    #[inline]
    pub fn tally(&self, index: usize, n: u64) {
        if self.is_stale() {
            self.reattach();
        }
        self.lane().tally(index, n);
    }

    /// Like [`tally`](Self::tally), unless the process was forked since: then it does
    /// nothing and returns `false`. It is for where no call may be in the way.
    #[inline]
    #[must_use]
    pub fn try_tally(&self, index: usize, n: u64) -> bool {
        let current = !self.is_stale();
        if current {
            self.lane().tally(index, n);
        }
        current
    }

    /// `push` where there is no room, no chunk, or another process.
    #[cold]
    #[inline(never)]
    fn push_slow(&self, header: &[u8], body: &[u8]) -> Result<(), Full> {
        if self.is_stale() {
            self.reattach();
        }
        let pushed = self.push_extending(header, body);
        // Once it is published, so that whoever is woken finds it; and when
        // there was no room, since the consumer can make some.
        self.inner().wake.announce(pushed.unwrap_or(NONE_LEFT));
        pushed.map(drop).ok_or(Full)
    }

    /// Returns how much memory it took.
    fn push_extending(&self, header: &[u8], body: &[u8]) -> Option<usize> {
        let pool = &self.inner().pool;
        let plain = frame_len(header.len() + body.len());
        let oversize = plain > pool.capacity();
        let needed = if oversize { OVERSIZE_FRAME } else { plain };
        let mut taken = 0;
        let chunk = match self.chunk.get() {
            Some(chunk) if needed <= self.end.get() - self.at.get() => chunk,
            last => {
                let new = pool.take()?;
                // SAFETY: we are the lane's writer, `last` is its last chunk by
                // rule 2, and the pool gave us `new` alone.
                unsafe { self.lane().extend(last, new) };
                self.chunk.set(Some(new));
                self.at.set(0);
                self.end.set(pool.capacity());
                taken += pool.capacity();
                new
            }
        };
        let at = self.at.get();
        if oversize {
            let record = pool.take_oversize(header, body)?;
            taken += record.len();
            // SAFETY: the chunk is ours to write and has the room.
            unsafe { chunk.write_oversize(at, record) };
        } else {
            // SAFETY: likewise; a whole chunk has room for what is not oversize.
            unsafe { chunk.write_frame(at, header, body) };
        }
        self.at.set(at + needed);
        // SAFETY: the frame is whole, and so are all below it.
        unsafe { chunk.publish(at + needed) };
        Some(taken)
    }

    /// Forgets the parent process's lane and takes one in this process's state.
    #[cold]
    fn reattach(&self) {
        let (inner, lane) = attach(&self.hub);
        self.chunk.set(None);
        self.at.set(0);
        self.end.set(0);
        self.lane.set(lane);
        self.inner.set(inner);
        self.generation.set(self.inner().generation());
    }

    #[inline]
    fn is_stale(&self) -> bool {
        self.generation.get() != fork_generation()
    }

    #[inline]
    fn lane(&self) -> &Lane {
        // SAFETY: a lane of `inner`, which rule 1 keeps alive; a replaced one
        // is never freed, rule 3.
        unsafe { self.lane.get().lane() }
    }

    #[inline]
    fn inner(&self) -> &Inner {
        // SAFETY: rule 1; a replaced one is never freed, rule 3.
        unsafe { &*self.inner.get().as_ptr() }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.is_stale() {
            return; // Rule 3.
        }
        let used = self.chunk.get().is_some();
        // SAFETY: our lane of `inner`, which is not used any more.
        unsafe { self.inner().leave_lane(self.lane.get(), used) };
        // SAFETY: gives up the count of rule 1.
        drop(unsafe { Arc::from_raw(self.inner.get().as_ptr().cast_const()) });
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("room_bytes", &(self.end.get() - self.at.get()))
            .field("stale", &self.is_stale())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record memory is used up")
    }
}

impl Error for Full {}

/// The hub's state with a count of its own, and a lane in it. A hub that is
/// gone is replaced by one that holds nothing, so that pushes fail.
fn attach(hub: &Weak<Hub>) -> (NonNull<Inner>, LaneRef) {
    let inner = match hub.upgrade() {
        Some(hub) => hub.share(),
        None => Arc::new(Inner::new(&HubConfig {
            max_bytes: 0,
            ..HubConfig::default()
        })),
    };
    let lane = inner.open_lane();
    // SAFETY: the pointer of an `Arc` is not null.
    let inner = unsafe { NonNull::new_unchecked(Arc::into_raw(inner).cast_mut()) };
    (inner, lane)
}
