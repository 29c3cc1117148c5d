//! Owns reading the fields of any protobuf message, one level at a time. Knows no message.
//!
//! Meant for bytes of unknown origin: malformed input ends the iteration with an error, and
//! nothing panics.

use core::fmt;
use core::iter::FusedIterator;
use core::ops::Range;

/// Iterates over the fields of `message`.
///
/// ```
/// use throughline_wire::{Buffer, put_name, read};
///
/// let mut body = Buffer::new();
/// put_name(&mut body, "place_order");
/// let field = read::fields(&body).next().unwrap().unwrap();
/// assert_eq!(field.number, 5);
/// assert_eq!(field.value, read::FieldValue::Len(b"place_order"));
/// assert_eq!(field.range, 0..13);
/// ```
#[must_use]
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields::new(message)
}

/// The fields of a message, in the order in which they stand; see [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// Starts at the first field of `message`.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Self { message, at: 0 }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        match scan(self.message, self.at) {
            Ok(Some(span)) => {
                let range = self.at..span.end;
                self.at = span.end;
                Some(Ok(Field {
                    number: span.number,
                    value: span.value(self.message),
                    range,
                }))
            }
            Ok(None) => None,
            Err(malformed) => {
                self.at = self.message.len();
                Some(Err(malformed))
            }
        }
    }
}

impl FusedIterator for Fields<'_> {}

/// One field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field<'a> {
    /// The field's number, 1 or more.
    pub number: u32,
    /// The field's value.
    pub value: FieldValue<'a>,
    /// Where the field stands in the message, tag included.
    pub range: Range<usize>,
}

/// A field's value as far as the encoding tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValue<'a> {
    /// Wire type 0: integers, booleans, enumerations.
    Varint(u64),
    /// Wire type 1: `fixed64`, `double`.
    Fixed64(u64),
    /// Wire type 5: `fixed32`, `float`.
    Fixed32(u32),
    /// Wire type 2: strings, bytes, messages.
    Len(&'a [u8]),
}

/// The bytes are not a protobuf message, or use groups, which OTLP does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    offset: usize,
}

impl Malformed {
    /// Where the field begins that could not be read.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed protobuf field at byte {}", self.offset)
    }
}

impl core::error::Error for Malformed {}

/// Where one field stands, without a borrow of the message, for callers that change it.
pub(crate) struct FieldSpan {
    pub(crate) number: u32,
    scalar: Scalar,
    /// Where the content begins, behind the tag and the length.
    pub(crate) content: usize,
    pub(crate) end: usize,
}

enum Scalar {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Len,
}

impl FieldSpan {
    /// The value; `message` has to be what was scanned.
    pub(crate) fn value<'a>(&self, message: &'a [u8]) -> FieldValue<'a> {
        match self.scalar {
            Scalar::Varint(value) => FieldValue::Varint(value),
            Scalar::Fixed64(value) => FieldValue::Fixed64(value),
            Scalar::Fixed32(value) => FieldValue::Fixed32(value),
            Scalar::Len => FieldValue::Len(message.get(self.content..self.end).unwrap_or_default()),
        }
    }
}

/// Reads the field at `at`; none at the end of the message.
#[inline]
pub(crate) fn scan(message: &[u8], at: usize) -> Result<Option<FieldSpan>, Malformed> {
    match message.get(at..) {
        None | Some([]) => Ok(None),
        Some(rest) => match scan_field(rest) {
            Some(field) => Ok(Some(FieldSpan {
                content: at + field.content,
                end: at + field.end,
                ..field
            })),
            None => Err(Malformed { offset: at }),
        },
    }
}

/// Reads the field at the front of `bytes`.
#[inline]
fn scan_field(bytes: &[u8]) -> Option<FieldSpan> {
    let (tag, tag_len) = varint(bytes)?;
    let tag = u32::try_from(tag).ok()?;
    let number = tag >> 3;
    if number == 0 {
        return None;
    }
    let rest = bytes.get(tag_len..)?;
    let (scalar, head, len) = match tag & 7 {
        0 => {
            let (value, len) = varint(rest)?;
            (Scalar::Varint(value), 0, len)
        }
        1 => {
            let value = u64::from_le_bytes(*rest.first_chunk()?);
            (Scalar::Fixed64(value), 0, 8)
        }
        2 => {
            let (len, head) = varint(rest)?;
            let len = usize::try_from(len).ok()?;
            if len > rest.len() - head {
                return None;
            }
            (Scalar::Len, head, len)
        }
        5 => {
            let value = u32::from_le_bytes(*rest.first_chunk()?);
            (Scalar::Fixed32(value), 0, 4)
        }
        _ => return None,
    };
    let content = tag_len + head;
    Some(FieldSpan {
        number,
        scalar,
        content,
        end: content + len,
    })
}

/// The varint at the front of `bytes` and its length; none if it is cut off or exceeds 64 bits.
#[inline]
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    match bytes {
        [byte @ ..0x80, ..] => Some((u64::from(*byte), 1)),
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7F);
        if index == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    None
}
