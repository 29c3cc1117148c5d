//! Owns the byte bound and the chunks that wait for reuse. Knows chunks only as
//! memory; not who writes or reads them. Any thread may call it at any time;
//! nothing in it blocks.

use crate::chunk::{Chunk, OVERHEAD, Oversize};
use crate::config::HubConfig;
use crate::sync::{ArrayQueue, AtomicBool, AtomicUsize, Ordering};

/// Where chunks come from and go back to.
pub(crate) struct Pool {
    free: ArrayQueue<Chunk>,
    /// Bytes of all live allocations: chunks in lanes, chunks in `free` and
    /// oversize records. Raised before an allocation is made and lowered after
    /// it is freed, so that the real sum is never above it.
    allocated: AtomicUsize,
    /// No reuse and no further allocation: the hub is gone.
    closed: AtomicBool,
    max_bytes: usize,
    capacity: usize,
}

impl Pool {
    pub(crate) fn new(config: &HubConfig) -> Self {
        let capacity = config.chunk_capacity();
        let chunks = config.max_bytes / (OVERHEAD + capacity);
        Self {
            free: ArrayQueue::new(chunks.clamp(1, MAX_POOLED_CHUNKS)),
            allocated: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            max_bytes: config.max_bytes,
            capacity,
        }
    }

    /// Record space of each chunk in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn allocated_bytes(&self) -> usize {
        // Relaxed: a count; nothing is read on the strength of it.
        self.allocated.load(Ordering::Relaxed)
    }

    /// An empty chunk, reused if there is one, else new if the bound allows.
    /// The caller owns it alone.
    pub(crate) fn take(&self) -> Option<Chunk> {
        // Relaxed: a chunk taken while the hub is being dropped is freed with
        // the lane it is in.
        if self.closed.load(Ordering::Relaxed) {
            return None;
        }
        if let Some(chunk) = self.free.pop() {
            return Some(chunk);
        }
        let bytes = OVERHEAD + self.capacity;
        if !self.reserve(bytes) {
            return None;
        }
        let chunk = Chunk::allocate(self.capacity);
        if chunk.is_none() {
            self.release(bytes);
        }
        chunk
    }

    /// Takes back a chunk for reuse.
    ///
    /// # Safety
    ///
    /// The chunk must have come from `take` of this pool, and the caller must
    /// own it alone and not use it afterwards.
    pub(crate) unsafe fn give_back(&self, chunk: Chunk) {
        // SAFETY: the caller owns the chunk alone.
        unsafe { chunk.reset() };
        // Relaxed: a chunk pooled while the pool closes is freed with it.
        if !self.closed.load(Ordering::Relaxed) && self.free.push(chunk).is_ok() {
            return;
        }
        // SAFETY: as promised by the caller; the pool did not keep it.
        unsafe { self.free_chunk(chunk) };
    }

    /// An allocation of its own for a record too big for a chunk. Idle chunks
    /// are given up for it if the bound asks for that.
    pub(crate) fn take_oversize(&self, head: &[u8], body: &[u8]) -> Option<Oversize> {
        // Relaxed: as in `take`.
        if self.closed.load(Ordering::Relaxed) {
            return None;
        }
        let bytes = head.len() + body.len();
        if bytes > self.max_bytes {
            return None;
        }
        while !self.reserve(bytes) {
            let idle = self.free.pop()?;
            // SAFETY: the free list owned the chunk alone, and gave it to us.
            unsafe { self.free_chunk(idle) };
        }
        let record = Oversize::allocate(head, body);
        if record.is_none() {
            self.release(bytes);
        }
        record
    }

    /// Frees an oversize record.
    ///
    /// # Safety
    ///
    /// The record must have come from `take_oversize` of this pool, and nobody
    /// may use it afterwards.
    pub(crate) unsafe fn free_oversize(&self, record: Oversize) {
        let bytes = record.len();
        // SAFETY: as promised by the caller.
        unsafe { record.free() };
        self.release(bytes);
    }

    /// Gives up all idle chunks, and makes no more.
    pub(crate) fn close(&self) {
        // Relaxed: see `take` and `give_back`.
        self.closed.store(true, Ordering::Relaxed);
        while let Some(idle) = self.free.pop() {
            // SAFETY: the free list owned the chunk alone, and gave it to us.
            unsafe { self.free_chunk(idle) };
        }
    }

    /// # Safety
    ///
    /// As for `give_back`.
    unsafe fn free_chunk(&self, chunk: Chunk) {
        // SAFETY: made by `take` with this capacity, and owned by the caller.
        unsafe { chunk.free(self.capacity) };
        self.release(OVERHEAD + self.capacity);
    }

    /// Counts `bytes` if the bound allows them.
    fn reserve(&self, bytes: usize) -> bool {
        // Relaxed: the count alone matters, and read-modify-writes of one
        // variable never miss each other.
        self.allocated
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |allocated| {
                allocated
                    .checked_add(bytes)
                    .filter(|sum| *sum <= self.max_bytes)
            })
            .is_ok()
    }

    fn release(&self, bytes: usize) {
        // Relaxed: as in `reserve`.
        self.allocated.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

/// Bounds the free list itself (16 bytes a slot) when the byte bound is huge;
/// chunks beyond it are freed instead of kept.
const MAX_POOLED_CHUNKS: usize = 16 * 1024;
