//! Owns base-128 varints and field tags, for constants and for buffers. Knows no message.

use alloc::vec::Vec;

/// The number of bytes that `value` takes as a varint: 1 to 10.
///
/// ```
/// const LEN: usize = throughline_wire::varint_len(300);
/// assert_eq!(LEN, 2);
/// ```
#[inline]
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    // Seven bits to a byte; zero takes a byte as well, hence the `| 1`.
    let bits = (value | 1).ilog2() as usize + 1;
    bits.div_ceil(7)
}

/// The tag of a length-delimited field. Every field that this crate writes with it has a number
/// below 16, so that the tag is one byte.
pub(crate) const fn len_tag(number: u8) -> u8 {
    assert!(number < 16);
    number << 3 | 2
}

/// The tag of a varint field with a number below 16.
pub(crate) const fn varint_tag(number: u8) -> u8 {
    assert!(number < 16);
    number << 3
}

/// The tag of a 64-bit field with a number below 16.
pub(crate) const fn fixed64_tag(number: u8) -> u8 {
    assert!(number < 16);
    number << 3 | 1
}

/// Writes `value` to the front of `slots` and answers how many bytes it took. With fewer slots
/// than [`varint_len`] the varint is cut, so callers pass at least that many.
#[inline]
pub(crate) fn write_varint(slots: &mut [u8], mut value: u64) -> usize {
    let mut len = 0;
    for slot in slots {
        len += 1;
        if value < 0x80 {
            *slot = value as u8;
            break;
        }
        *slot = value as u8 | 0x80;
        value >>= 7;
    }
    len
}

/// Appends `value` as a varint.
#[inline]
pub(crate) fn put_varint(buf: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        buf.push(value as u8);
    } else {
        let mut slots = [0; 10];
        let len = write_varint(&mut slots, value);
        put_prefix(buf, slots, len);
    }
}

/// Appends the first `len` bytes of `slots`.
///
/// The whole array is copied and the rest cut off again: a copy of a constant size is two or
/// three store instructions, a copy of a variable size is a call of `memcpy`.
#[inline]
pub(crate) fn put_prefix<const N: usize>(buf: &mut Vec<u8>, slots: [u8; N], len: usize) {
    let end = buf.len() + len;
    buf.extend_from_slice(&slots);
    buf.truncate(end);
}

/// Appends a one-byte tag and a length.
#[inline]
pub(crate) fn put_tag_and_len(buf: &mut Vec<u8>, tag: u8, len: usize) {
    if len < 0x80 {
        buf.extend_from_slice(&[tag, len as u8]);
    } else {
        buf.push(tag);
        put_varint(buf, len as u64);
    }
}

/// Appends a whole length-delimited field.
#[inline]
pub(crate) fn put_len_field(buf: &mut Vec<u8>, tag: u8, content: &[u8]) {
    buf.reserve(len_field_len(content.len()));
    put_tag_and_len(buf, tag, content.len());
    buf.extend_from_slice(content);
}

/// As [`put_len_field`], but a field without content is left out: that is how proto3 writes an
/// empty string.
#[inline]
pub(crate) fn put_len_field_unless_empty(buf: &mut Vec<u8>, tag: u8, content: &[u8]) {
    if !content.is_empty() {
        put_len_field(buf, tag, content);
    }
}

/// The length of a length-delimited field with a one-byte tag.
#[inline]
pub(crate) const fn len_field_len(content: usize) -> usize {
    1 + varint_len(content as u64) + content
}

/// The length of what [`put_len_field_unless_empty`] writes.
#[inline]
pub(crate) const fn len_field_len_unless_empty(content: usize) -> usize {
    if content == 0 {
        0
    } else {
        len_field_len(content)
    }
}

/// Fills a byte array from front to back in constant evaluation. The array's length is computed
/// beforehand; a wrong length is an error at compile time.
pub(crate) struct ConstWriter<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> ConstWriter<N> {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    pub(crate) const fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    pub(crate) const fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    pub(crate) const fn slice(&mut self, slice: &[u8]) {
        let (_, rest) = self.bytes.split_at_mut(self.len);
        let (target, _) = rest.split_at_mut(slice.len());
        target.copy_from_slice(slice);
        self.len += slice.len();
    }

    pub(crate) const fn len_field(&mut self, tag: u8, content: &[u8]) {
        self.byte(tag);
        self.varint(content.len() as u64);
        self.slice(content);
    }

    pub(crate) const fn finish(self) -> [u8; N] {
        assert!(self.len == N, "the length was computed wrongly");
        self.bytes
    }
}
