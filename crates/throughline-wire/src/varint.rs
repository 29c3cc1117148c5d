//! Owns base-128 varints and field tags, for constants and for buffers. Knows no message.

use crate::buffer::{Append, Buffer};

/// The number of bytes that `value` takes as a varint: 1 to 10.
///
/// ```
/// const LEN: usize = throughline_wire::varint_len(300);
/// assert_eq!(LEN, 2);
/// ```
#[inline]
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    // Seven bits to a byte, and one byte for zero. For the highest bit's place, 0 to 63, this
    // equals the division by seven, rounded up, and takes no division.
    ((value | 1).ilog2() as usize * 9 + 73) / 64
}

/// The tag of a length-delimited field. Every field that this crate writes with it has a number
/// below 16, so that the tag is one byte.
#[inline]
pub(crate) const fn len_tag(number: u8) -> u8 {
    assert!(number < 16);
    number << 3 | 2
}

/// The tag of a varint field with a number below 16.
#[inline]
pub(crate) const fn varint_tag(number: u8) -> u8 {
    assert!(number < 16);
    number << 3
}

/// The tag of a 64-bit field with a number below 16.
#[inline]
pub(crate) const fn fixed64_tag(number: u8) -> u8 {
    assert!(number < 16);
    number << 3 | 1
}

/// The bytes of `value` as a varint, as a little-endian word, and how many there are; for values
/// up to [`GROUPS_OF_EIGHT`].
///
/// Everything on the hot path is put together in registers: an array that is filled byte by byte
/// and then read as a whole makes the processor wait for its own stores.
#[inline]
pub(crate) const fn short_varint(value: u64) -> (u64, usize) {
    let len = varint_len(value);
    // All bytes but the last are marked as followed by another.
    let continued = CONTINUED & ((1 << (8 * (len - 1))) - 1);
    (spread(value) | continued, len)
}

/// As [`short_varint`], for any value.
#[inline]
pub(crate) const fn varint_word(value: u64) -> (u128, usize) {
    if value < 0x80 {
        return (value as u128, 1);
    }
    if value <= GROUPS_OF_EIGHT {
        let (word, len) = short_varint(value);
        return (word as u128, len);
    }
    let low = spread(value & GROUPS_OF_EIGHT) | CONTINUED;
    // Two groups are left, of seven bits and of one.
    let (ninth, tenth) = (value >> 56 & 0x7F, value >> 63);
    let high = ninth | tenth << 7 | tenth << 8;
    (low as u128 | (high as u128) << 64, 9 + tenth as usize)
}

/// Moves the eight groups of seven bits of a 56-bit number to the low ends of eight bytes.
#[inline]
const fn spread(value: u64) -> u64 {
    let value = (value & 0x00FF_FFFF_F000_0000) << 4 | value & 0x0FFF_FFFF;
    let value = (value & 0x0FFF_C000_0FFF_C000) << 2 | value & 0x0000_3FFF_0000_3FFF;
    (value & 0x3F80_3F80_3F80_3F80) << 1 | value & 0x007F_007F_007F_007F
}

/// The greatest number that eight groups of seven bits hold.
const GROUPS_OF_EIGHT: u64 = (1 << 56) - 1;

/// The marks of all bytes of a word.
const CONTINUED: u64 = u64::from_le_bytes([0x80; 8]);

/// Writes `value` as a varint to `slots`, which has [`varint_len`] bytes.
pub(crate) fn write_varint(slots: &mut [u8], value: u64) {
    let (word, _) = varint_word(value);
    for (slot, byte) in slots.iter_mut().zip(word.to_le_bytes()) {
        *slot = byte;
    }
}

/// Appends the first `len` bytes of `slots`.
///
/// The whole array is copied, since that takes two or three store instructions.
#[inline]
pub(crate) fn put_prefix<const N: usize>(buf: &mut Buffer, slots: [u8; N], len: usize) {
    buf.claim_part(len, N).copy_from_slice(&slots);
}

/// Appends a one-byte tag and a length.
#[inline]
pub(crate) fn put_tag_and_len(buf: &mut impl Append, tag: u8, len: usize) {
    if len < 0x80 {
        buf.append(&u16::from_le_bytes([tag, len as u8]).to_le_bytes());
    } else {
        put_tag_and_long_len(buf, tag, len);
    }
}

#[inline(never)]
fn put_tag_and_long_len(buf: &mut impl Append, tag: u8, len: usize) {
    if len < 0x4000 {
        buf.append(&[tag, len as u8 | 0x80, (len >> 7) as u8]);
        return;
    }
    // No address space holds more bytes than a short varint can count.
    let (digits, digits_len) = short_varint(len as u64 & GROUPS_OF_EIGHT);
    let field = u128::from(digits) << 8 | u128::from(tag);
    buf.append(&field.to_le_bytes()[..1 + digits_len]);
}

/// Appends a whole length-delimited field.
#[inline]
pub(crate) fn put_len_field(buf: &mut impl Append, tag: u8, content: &[u8]) {
    put_tag_and_len(buf, tag, content.len());
    buf.append(content);
}

/// As [`put_len_field`], but a field without content is left out: that is how proto3 writes an
/// empty string.
#[inline]
pub(crate) fn put_len_field_unless_empty(buf: &mut impl Append, tag: u8, content: &[u8]) {
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
