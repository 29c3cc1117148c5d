//! Owns the bytes of a span body that is being written. Knows nothing of protobuf.
//!
//! A `Vec<u8>` would do, but each append to it loads the length that the append before has just
//! stored and checks the capacity anew. Here all bytes up to the capacity are initialised, so that
//! a whole attribute is claimed at once and then put together in place, without a check between
//! its pieces.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// A growing sequence of bytes, as a slice of which it can be read.
///
/// ```
/// use throughline_wire::Buffer;
///
/// let mut buffer = Buffer::new();
/// buffer.extend_from_slice(b"throughline");
/// buffer.truncate(7);
/// assert_eq!(*buffer, *b"through");
/// ```
#[derive(Clone, Default)]
pub struct Buffer {
    /// As long as the capacity. What lies at `len` and beyond is left over or zero, and nobody
    /// reads it.
    bytes: Vec<u8>,
    len: usize,
}

impl Buffer {
    /// An empty buffer that has no memory yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            len: 0,
        }
    }

    /// An empty buffer that takes so many bytes before it grows.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: vec![0; capacity],
            len: 0,
        }
    }

    /// How many bytes it holds before it grows.
    #[inline]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Appends bytes.
    #[inline]
    pub fn extend_from_slice(&mut self, slice: &[u8]) {
        self.claim(slice.len()).copy_from_slice(slice);
    }

    /// Cuts off what is beyond `len`; does nothing if there are not more bytes.
    #[inline]
    pub const fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
        }
    }

    /// Empties the buffer and keeps its memory.
    #[inline]
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self
    }

    /// The bytes, without another copy.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        self.bytes.truncate(self.len);
        self.bytes
    }

    /// Makes room for the bytes of one piece, so that writing it grows the buffer at most once.
    #[inline]
    pub(crate) fn reserve(&mut self, additional: usize) {
        if additional > self.bytes.len() - self.len {
            self.grow(additional);
        }
    }

    /// Appends `len` bytes for the caller to write, all of them: what they hold is left over from
    /// before.
    #[inline(always)]
    pub(crate) fn claim(&mut self, len: usize) -> &mut [u8] {
        self.claim_part(len, len)
    }

    /// Appends `len` bytes for the caller to write, within a piece of `room` bytes that may all be
    /// overwritten: a copy of a constant size is a few store instructions, a copy of a variable
    /// size is a call.
    #[inline(always)]
    pub(crate) fn claim_part(&mut self, len: usize, room: usize) -> &mut [u8] {
        debug_assert!(len <= room, "a part is not more than the whole");
        if room > self.bytes.len() - self.len {
            return self.claim_grown(len, room);
        }
        self.claim_there(len, room)
    }

    #[inline(always)]
    fn claim_there(&mut self, len: usize, room: usize) -> &mut [u8] {
        let start = self.len;
        self.len = start + len;
        // Both ranges exist, as there is room; asked this way the compiler checks it but once.
        self.bytes
            .get_mut(start..)
            .and_then(|rest| rest.get_mut(..room))
            .unwrap_or_default()
    }

    #[cold]
    #[inline(never)]
    fn claim_grown(&mut self, len: usize, room: usize) -> &mut [u8] {
        self.grow(room);
        self.claim_there(len, room)
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, additional: usize) {
        let least = self.len + additional;
        let doubled = 2 * self.bytes.len();
        self.bytes.resize(least.max(doubled).max(FIRST_CAPACITY), 0);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            len: bytes.len(),
            bytes,
        }
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Buffer {}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// What can be appended to: a span's body, and the requests around finished bodies.
pub(crate) trait Append {
    fn append(&mut self, bytes: &[u8]);
}

impl Append for Buffer {
    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Append for Vec<u8> {
    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

const FIRST_CAPACITY: usize = 64;
