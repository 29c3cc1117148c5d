//! Owns the memory of one chunk and the form of a record in it. Knows nothing
//! of lanes, budgets or threads: its callers say who may touch which bytes.
//!
//! A chunk is one allocation: a header on its own cache line, then `capacity`
//! bytes that are never zeroed. Records follow one another as frames, each a
//! multiple of four bytes long, so that every length is aligned:
//!
//! ```text
//! plain frame      length: u32 < OVERSIZE   record bytes   padding to 4
//! oversize frame   OVERSIZE: u32            address and length of a separate allocation
//! ```
//!
//! Rules:
//! 1. Bytes below `committed` are initialised, hold whole frames and are never
//!    written again until the chunk is reset.
//! 2. Only the chunk's writer writes, and only at or above `committed`.
//! 3. Whoever makes the writer's bytes visible to a reader does so by
//!    `publish` (release) and `committed` (acquire), or by something that is
//!    itself so ordered.

use std::alloc::Layout;
use std::ptr::{self, NonNull};

use crate::prefetch::{CACHE_LINE, expect_write};
use crate::sync::{AtomicPtr, AtomicUsize, Ordering, Shadow, alloc, dealloc};

/// Bytes of a chunk that are not record space, as counted in the byte bound.
pub(crate) const OVERHEAD: usize = 64;

/// The least record space of a chunk: an oversize frame must fit.
pub(crate) const MIN_CAPACITY: usize = 64;

/// Size of the frame that refers to a record outside of its chunk.
pub(crate) const OVERSIZE_FRAME: usize = LENGTH_BYTES + size_of::<Oversize>();

/// Size of the plain frame of a record of `len` bytes. `len` must be at most
/// `usize::MAX - 7`, which holds for what two slices hold together when one of
/// them is short.
#[inline]
pub(crate) const fn frame_len(len: usize) -> usize {
    (LENGTH_BYTES + len + (ALIGN - 1)) & !(ALIGN - 1)
}

/// A pointer to a live chunk. Copying it does not share ownership; who owns
/// the chunk is told by the rules of the module that holds the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk(NonNull<Header>);

// SAFETY: the pointer may move between threads; what may be done through it is
// restricted by the contracts of the unsafe methods, and the header consists of
// atomics.
unsafe impl Send for Chunk {}

impl Chunk {
    /// Allocates an empty chunk, or `None` if the allocator has no memory.
    pub(crate) fn allocate(capacity: usize) -> Option<Self> {
        // SAFETY: the layout's size is at least `DATA_OFFSET`, which is not 0.
        let memory = unsafe { alloc(layout(capacity)?) };
        let header = NonNull::new(memory.cast::<Header>())?;
        let empty = Header {
            committed: AtomicUsize::new(0),
            next: AtomicPtr::new(ptr::null_mut()),
            shadow: Shadow::new(capacity),
        };
        // SAFETY: the allocation is fresh, large enough for a header, and
        // aligned for it by `layout`.
        unsafe { header.write(empty) };
        Some(Self(header))
    }

    /// Frees the chunk, without looking at what its frames refer to.
    ///
    /// # Safety
    ///
    /// The chunk must have been made by `allocate` with this capacity, and
    /// nobody may use it afterwards.
    pub(crate) unsafe fn free(self, capacity: usize) {
        let Some(layout) = layout(capacity) else {
            return; // Unreachable: it was allocated with this layout.
        };
        // SAFETY: the caller owns the chunk alone, and its header is initialised.
        unsafe { self.0.drop_in_place() };
        // SAFETY: allocated with the same layout, by the caller's promise.
        unsafe { dealloc(self.0.as_ptr().cast(), layout) };
    }

    /// Makes the chunk empty again.
    ///
    /// # Safety
    ///
    /// The caller must own the chunk alone.
    pub(crate) unsafe fn reset(self) {
        // SAFETY: live by the caller's promise.
        let header = unsafe { self.header() };
        // Relaxed: the owner is alone, and handing the chunk on orders both.
        header.committed.store(0, Ordering::Relaxed);
        header.next.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Writes a plain frame at `at` without publishing it.
    ///
    /// # Safety
    ///
    /// The caller must be the chunk's writer; `at` must be a multiple of
    /// [`ALIGN`], not below `committed`; and `at + frame_len(head + body)` must
    /// be within the capacity.
    #[inline]
    pub(crate) unsafe fn write_frame(self, at: usize, head: &[u8], body: &[u8]) {
        // SAFETY: live by the caller's promise.
        let header = unsafe { self.header() };
        header
            .shadow
            .write(at, at + frame_len(head.len() + body.len()));
        // SAFETY: `at` is within the capacity.
        let frame = unsafe { self.data(at) };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a frame fits its chunk, and a chunk is at most 1 GiB"
        )]
        let length = (head.len() + body.len()) as u32;
        // SAFETY: in bounds, aligned since `at` and the data's start are, and
        // not read by anybody before it is published.
        unsafe { frame.cast::<u32>().write(length) };
        // SAFETY: within the frame, which is within the capacity.
        let to = unsafe { frame.add(LENGTH_BYTES) };
        // SAFETY: `head` fits the frame; it cannot overlap bytes that only this
        // writer knows of, since it is a shared borrow made outside.
        unsafe { to.copy_from_nonoverlapping(head.as_ptr(), head.len()) };
        // SAFETY: still within the frame.
        let to = unsafe { to.add(head.len()) };
        // SAFETY: as for `head`.
        unsafe { to.copy_from_nonoverlapping(body.as_ptr(), body.len()) };
    }

    /// Writes an oversize frame at `at` without publishing it.
    ///
    /// # Safety
    ///
    /// As for [`write_frame`](Self::write_frame), with [`OVERSIZE_FRAME`] bytes
    /// needed. Ownership of the record passes to whoever reads the frame.
    pub(crate) unsafe fn write_oversize(self, at: usize, record: Oversize) {
        // SAFETY: live by the caller's promise.
        let header = unsafe { self.header() };
        header.shadow.write(at, at + OVERSIZE_FRAME);
        // SAFETY: `at` is within the capacity.
        let frame = unsafe { self.data(at) };
        // SAFETY: in bounds, aligned, and not read before it is published.
        unsafe { frame.cast::<u32>().write(OVERSIZE) };
        // SAFETY: within the frame, which is within the capacity.
        let to = unsafe { frame.add(LENGTH_BYTES) };
        // SAFETY: in bounds; the write does not need alignment.
        unsafe { to.cast::<Oversize>().write_unaligned(record) };
    }

    /// Reads the frame at `at`.
    ///
    /// # Safety
    ///
    /// `at` must be the start of a frame below a `committed` the caller has
    /// acquired, and the chunk must not be reset or freed during `'a`. An
    /// oversize frame must be read once only, since it hands over ownership.
    #[inline]
    pub(crate) unsafe fn read_frame<'a>(self, at: usize) -> Frame<'a> {
        // SAFETY: live by the caller's promise.
        let header = unsafe { self.header() };
        // SAFETY: a frame starts here, so this is within the capacity.
        let frame = unsafe { self.data(at) };
        header.shadow.read(at, at + LENGTH_BYTES);
        // SAFETY: rule 1: initialised and no longer written; aligned since
        // frames start at multiples of `ALIGN`.
        let length = unsafe { frame.cast::<u32>().read() };
        // SAFETY: a frame is longer than its length field.
        let content = unsafe { frame.add(LENGTH_BYTES) };
        if length == OVERSIZE {
            header.shadow.read(at, at + OVERSIZE_FRAME);
            // SAFETY: the marker says that an `Oversize` was written here.
            let record = unsafe { content.cast::<Oversize>().read_unaligned() };
            return Frame::Oversize(record);
        }
        let length = length as usize;
        header.shadow.read(at, at + frame_len(length));
        // SAFETY: rule 1: these bytes are initialised and stay as they are for
        // as long as the chunk is not reset, which the caller promises.
        Frame::Plain(unsafe { std::slice::from_raw_parts(content, length) })
    }

    /// Makes all bytes below `committed` readable by others.
    ///
    /// # Safety
    ///
    /// The caller must be the chunk's writer and have written whole frames up
    /// to there.
    #[inline]
    pub(crate) unsafe fn publish(self, committed: usize) {
        // SAFETY: live by the caller's promise.
        let header = unsafe { self.header() };
        // Release pairs with the acquire in `committed`: who sees the number
        // sees the bytes below it.
        header.committed.store(committed, Ordering::Release);
    }

    /// Asks the processor for the memory that the records after the next ones
    /// will be written to.
    ///
    /// The consumer has read a chunk before it comes back to a writer, so its
    /// lines lie in another core's cache, too, and each first store to one
    /// would wait until they are gone from there.
    #[inline(always)]
    pub(crate) fn expect_writes(self, at: usize) {
        // Wrapping, since the lines may lie beyond the chunk.
        let data = self.0.as_ptr().cast::<u8>().wrapping_add(DATA_OFFSET + at);
        for line in 0..LINES_AHEAD {
            expect_write(data.wrapping_add(BYTES_AHEAD + line * CACHE_LINE));
        }
    }

    /// How many bytes are readable.
    ///
    /// # Safety
    ///
    /// The chunk must be live.
    pub(crate) unsafe fn committed(self) -> usize {
        // SAFETY: live by the caller's promise.
        let header = unsafe { self.header() };
        // Acquire pairs with the release in `publish`.
        header.committed.load(Ordering::Acquire)
    }

    /// Sets the chunk that follows this one.
    ///
    /// # Safety
    ///
    /// The caller must be the chunk's writer. It is the last thing a writer may
    /// do with the chunk.
    pub(crate) unsafe fn link(self, next: Self) {
        // SAFETY: live by the caller's promise.
        let header = unsafe { self.header() };
        // Relaxed: the lane's tail is stored after this with release, and a
        // reader follows the link only after it acquired that tail.
        header.next.store(next.0.as_ptr(), Ordering::Relaxed);
    }

    /// The chunk that follows this one, if one was linked.
    ///
    /// # Safety
    ///
    /// The chunk must be live.
    pub(crate) unsafe fn next(self) -> Option<Self> {
        // SAFETY: live by the caller's promise.
        let header = unsafe { self.header() };
        // Relaxed: see `link`.
        Self::from_ptr(header.next.load(Ordering::Relaxed))
    }

    /// The pointer form, for storing in an atomic.
    pub(crate) fn as_ptr(self) -> *mut Header {
        self.0.as_ptr()
    }

    /// The reverse of [`as_ptr`](Self::as_ptr); `None` for null.
    pub(crate) fn from_ptr(header: *mut Header) -> Option<Self> {
        NonNull::new(header).map(Self)
    }

    /// # Safety
    ///
    /// The chunk must stay live during `'a`.
    #[inline]
    unsafe fn header<'a>(self) -> &'a Header {
        // SAFETY: live and initialised; all shared access is through atomics.
        unsafe { self.0.as_ref() }
    }

    /// # Safety
    ///
    /// The chunk must be live and `at` within its capacity.
    #[inline]
    unsafe fn data(self, at: usize) -> *mut u8 {
        // SAFETY: header and data are one allocation, and `at` is inside.
        unsafe { self.0.as_ptr().cast::<u8>().add(DATA_OFFSET + at) }
    }
}

/// One record as found in a chunk.
pub(crate) enum Frame<'a> {
    /// The record lies in the chunk.
    Plain(&'a [u8]),
    /// The record lies in an allocation of its own, handed over by this value.
    Oversize(Oversize),
}

/// A record in an allocation of its own: the reference an oversize frame holds.
/// Plain data, not an owner; [`free`](Self::free) ends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oversize {
    start: NonNull<u8>,
    length: usize,
}

impl Oversize {
    /// Copies `head` and `body` to a fresh allocation, or `None` if the
    /// allocator has no memory or there is nothing to copy.
    pub(crate) fn allocate(head: &[u8], body: &[u8]) -> Option<Self> {
        let length = head
            .len()
            .checked_add(body.len())
            .filter(|length| *length > 0)?;
        let layout = Layout::array::<u8>(length).ok()?;
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { alloc(layout) })?;
        let to = start.as_ptr();
        // SAFETY: the allocation is fresh and holds both parts.
        unsafe { to.copy_from_nonoverlapping(head.as_ptr(), head.len()) };
        // SAFETY: the allocation is not shorter than `head`.
        let to = unsafe { to.add(head.len()) };
        // SAFETY: the rest is as long as `body`.
        unsafe { to.copy_from_nonoverlapping(body.as_ptr(), body.len()) };
        Some(Self { start, length })
    }

    /// Length of the record, which is also the size of the allocation.
    pub(crate) fn len(self) -> usize {
        self.length
    }

    /// The record.
    ///
    /// # Safety
    ///
    /// The allocation must not be freed during `'a`.
    pub(crate) unsafe fn bytes<'a>(self) -> &'a [u8] {
        // SAFETY: initialised by `allocate`, never written again, and live.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    /// Frees the allocation.
    ///
    /// # Safety
    ///
    /// Nobody may use any copy of this value afterwards.
    pub(crate) unsafe fn free(self) {
        let Ok(layout) = Layout::array::<u8>(self.length) else {
            return; // Unreachable: it was allocated with this layout.
        };
        // SAFETY: allocated with the same layout, and not used any more.
        unsafe { dealloc(self.start.as_ptr(), layout) };
    }
}

/// The part of a chunk that is not record space. Aligned to a cache line so
/// that the first record does not share the line the reader looks at.
#[repr(C, align(64))]
pub(crate) struct Header {
    committed: AtomicUsize,
    next: AtomicPtr<Self>,
    shadow: Shadow,
}

fn layout(capacity: usize) -> Option<Layout> {
    let size = DATA_OFFSET.checked_add(capacity)?;
    Layout::from_size_align(size, align_of::<Header>()).ok()
}

/// How far behind the last record the lines lie that are asked for, and how
/// many they are: about a record and a half of usual size, twice.
const BYTES_AHEAD: usize = 256;
const LINES_AHEAD: usize = 3;
/// Frames start at multiples of this.
const ALIGN: usize = 4;
const LENGTH_BYTES: usize = 4;
/// A length no record in a chunk can have.
const OVERSIZE: u32 = u32::MAX;
const DATA_OFFSET: usize = size_of::<Header>();

#[cfg(not(throughline_loom))]
const _: () = assert!(
    DATA_OFFSET == OVERHEAD,
    "the byte bound must count the real size"
);
const _: () = assert!(OVERSIZE_FRAME <= MIN_CAPACITY && OVERSIZE_FRAME.is_multiple_of(ALIGN));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_take_their_length_field_and_whole_words() {
        assert_eq!([0, 1, 4, 5, 8].map(frame_len), [4, 8, 8, 12, 12]);
    }
}
