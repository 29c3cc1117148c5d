//! Owns the inside of arrays and maps, and how deep they may nest. Does not know how a value is
//! written.

use crate::buffer::Buffer;

use crate::key::AsKey;
use crate::value::{Limits, ValueWriter};
use crate::varint::len_tag;

/// Writes the elements of an array; see [`ValueWriter::array`].
#[derive(Debug)]
pub struct ArrayWriter<'a> {
    pub(crate) buf: &'a mut Buffer,
    pub(crate) room: Room,
}

impl ArrayWriter<'_> {
    /// Appends the element that `f` writes; none if it writes none. An absent element that has
    /// to keep its place is [`ValueWriter::empty`].
    #[inline]
    pub fn value(&mut self, f: impl FnOnce(ValueWriter<'_>)) {
        f(ValueWriter {
            buf: self.buf,
            tag: VALUES_TAG,
            key: None,
            room: self.room,
        });
    }
}

/// Writes the entries of a map; see [`ValueWriter::map`].
#[derive(Debug)]
pub struct MapWriter<'a> {
    pub(crate) buf: &'a mut Buffer,
    pub(crate) room: Room,
}

impl MapWriter<'_> {
    /// Appends an entry with the value that `f` writes; none if it writes none.
    #[inline]
    pub fn entry(&mut self, key: &impl AsKey, f: impl FnOnce(ValueWriter<'_>)) {
        f(ValueWriter {
            buf: self.buf,
            tag: VALUES_TAG,
            key: Some(key.as_key()),
            room: self.room,
        });
    }
}

/// What a value at some depth may still take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) value_chars: u32,
    /// How many levels of arrays and maps may begin here.
    depth: u8,
    /// How many protobuf messages may nest inside this `AnyValue`.
    messages: u8,
}

impl Room {
    #[inline]
    pub(crate) const fn new(limits: Limits) -> Self {
        Self {
            value_chars: limits.value_chars,
            depth: limits.depth,
            messages: DECODER_LIMIT - ENVELOPE,
        }
    }

    /// The room of an array's elements: inside `ArrayValue` and `AnyValue`.
    #[inline]
    pub(crate) fn inside_array(self) -> Option<Self> {
        self.inside(2)
    }

    /// The room of a map's values: inside `KeyValueList`, `KeyValue` and `AnyValue`.
    #[inline]
    pub(crate) fn inside_map(self) -> Option<Self> {
        self.inside(3)
    }

    #[inline]
    fn inside(self, messages: u8) -> Option<Self> {
        let inner = Self {
            value_chars: self.value_chars,
            depth: self.depth.checked_sub(1)?,
            messages: self.messages.checked_sub(messages)?,
        };
        // One message is left for an array or map in there that has to be written empty.
        (inner.messages > 0).then_some(inner)
    }
}

/// How many messages may nest inside the outermost one: the default of the C++, Java and prost
/// decoders.
const DECODER_LIMIT: u8 = 100;

/// How many of them an attribute's `AnyValue` may be inside of, itself counted: `ResourceSpans`,
/// `ScopeSpans`, `Span`, `Event` or `Link`, `KeyValue`, `AnyValue`.
const ENVELOPE: u8 = 6;

/// `ArrayValue.values` and `KeyValueList.values`.
const VALUES_TAG: u8 = len_tag(1);
