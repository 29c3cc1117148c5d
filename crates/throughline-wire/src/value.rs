//! Owns attributes: `KeyValue` and `AnyValue` with their limits. Does not know how many
//! attributes there may be, or whether a key was there before.

use crate::buffer::Buffer;
use core::fmt::{self, Write};

use crate::container::{ArrayWriter, MapWriter, Room};
use crate::frame::Frame;
use crate::key::{AsKey, KeyRef};
use crate::text::{self, BoundedText};
use crate::varint::{
    fixed64_tag, len_field_len, len_tag, put_prefix, put_tag_and_len, varint_tag, varint_word,
};

/// Appends one attribute: `field` of the enclosing message, with `key` and the value that `f`
/// writes.
///
/// An `f` that writes no value leaves the buffer as it was. Scalars and strings are written with
/// exact lengths in one go; formatted values, arrays and maps move if they are 128 bytes or
/// longer.
///
/// ```
/// use throughline_wire::{AttributeField, Buffer, Limits, put_attribute};
///
/// let mut body = Buffer::new();
/// put_attribute(&mut body, AttributeField::Span, &"paid", Limits::default(), |v| v.bool(true));
/// assert_eq!(*body, *b"\x4A\x0A\x0A\x04paid\x12\x02\x10\x01");
/// ```
#[inline(always)]
pub fn put_attribute(
    buf: &mut Buffer,
    field: AttributeField,
    key: &impl AsKey,
    limits: Limits,
    f: impl FnOnce(ValueWriter<'_>),
) {
    f(ValueWriter::attribute(buf, field, key, limits));
}

/// Appends one attribute to the body of a `Resource` message. The specification exempts
/// resources from limits: pass [`Limits::default`].
#[inline]
pub fn put_resource_attribute(
    buf: &mut Buffer,
    key: &str,
    limits: Limits,
    f: impl FnOnce(ValueWriter<'_>),
) {
    f(ValueWriter {
        buf,
        tag: RESOURCE_ATTRIBUTE_TAG,
        key: Some(KeyRef::Name(key)),
        room: Room::new(limits),
    });
}

/// The number of the repeated field `attributes` in the message that the attribute belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttributeField {
    /// `Span.attributes`.
    Span,
    /// `Span.Event.attributes`.
    Event,
    /// `Span.Link.attributes`.
    Link,
    /// `NumberDataPoint.attributes`.
    NumberPoint,
    /// `HistogramDataPoint.attributes`.
    HistogramPoint,
}

impl AttributeField {
    #[inline]
    pub(crate) const fn tag(self) -> u8 {
        match self {
            Self::Span | Self::HistogramPoint => len_tag(9),
            Self::Event => len_tag(3),
            Self::Link => len_tag(4),
            Self::NumberPoint => len_tag(7),
        }
    }
}

/// Limits on one attribute's value. What goes beyond them is cut quietly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// The most characters (Unicode scalar values) that a string may have, also one inside an
    /// array or map; for a byte array, the most bytes. `u32::MAX` is no limit.
    pub value_chars: u32,
    /// The most levels of arrays and maps; the attribute's own value is level one. An array or
    /// map beyond that is written empty, and its closure is not called.
    ///
    /// Whatever is allowed here, a value stops nesting where the request around it would reach
    /// 100 nested messages: protobuf decoders reject a whole request that goes deeper. That is
    /// 46 levels of arrays, which take two messages each, or 31 levels of maps, which take three.
    pub depth: u8,
}

impl Default for Limits {
    /// No limit on characters, 64 levels: the defaults of the OpenTelemetry specification.
    fn default() -> Self {
        Self {
            value_chars: u32::MAX,
            depth: 64,
        }
    }
}

/// Writes exactly one value: an attribute's, an array's element or a map's entry.
///
/// It carries what stands before the value, so that a scalar is written together with its key
/// and all lengths at once. Dropping it without a call writes nothing, not even the key.
#[derive(Debug)]
#[must_use = "a value writer that is dropped writes nothing"]
pub struct ValueWriter<'a> {
    pub(crate) buf: &'a mut Buffer,
    /// The field that holds the `KeyValue`, or the `AnyValue` when there is no key.
    pub(crate) tag: u8,
    pub(crate) key: Option<KeyRef<'a>>,
    pub(crate) room: Room,
}

impl<'a> ValueWriter<'a> {
    /// Writes the value of one attribute: what [`put_attribute`] hands to its closure.
    #[inline(always)]
    pub fn attribute(
        buf: &'a mut Buffer,
        field: AttributeField,
        key: &'a impl AsKey,
        limits: Limits,
    ) -> Self {
        Self {
            buf,
            tag: field.tag(),
            key: Some(key.as_key()),
            room: Room::new(limits),
        }
    }

    /// Writes a truth value.
    #[inline]
    pub fn bool(self, value: bool) {
        self.put_scalar(word([0, 2, BOOL_TAG, 0]) | u128::from(value) << 24, 4);
    }

    /// Writes an integer.
    #[inline(always)]
    pub fn i64(self, value: i64) {
        let (digits, len) = varint_word(value as u64);
        let head = word([0, 1, INT_TAG, 0]) + ((len as u128) << 8);
        self.put_scalar(head | digits << 24, 3 + len);
    }

    /// Writes an integer; one above `i64::MAX`, which OTLP cannot hold, as a string of its
    /// decimal digits.
    #[inline]
    pub fn u64(self, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.i64(value),
            Err(_) => self.display(&value),
        }
    }

    /// Writes a floating-point number, bit for bit.
    #[inline]
    pub fn f64(self, value: f64) {
        let bits = u128::from(value.to_bits());
        self.put_scalar(word([0, 9, DOUBLE_TAG, 0]) | bits << 24, 11);
    }

    /// Writes a string.
    #[inline(always)]
    pub fn str(self, value: &str) {
        if value.len() <= self.room.value_chars as usize {
            self.put_len_value(STRING_TAG, value.as_bytes());
        } else {
            self.put_cut_str(value);
        }
    }

    /// Writes a byte array.
    #[inline]
    pub fn bytes(self, value: &[u8]) {
        let limit = self.room.value_chars;
        let value = match value.split_at_checked(limit as usize) {
            Some((head, _)) if limit != u32::MAX => head,
            _ => value,
        };
        self.put_len_value(BYTES_TAG, value);
    }

    /// Formats `value` straight into the buffer, as a string. Formatting that fails keeps what
    /// it wrote before.
    ///
    /// # Panics
    ///
    /// If `value` does; the attribute is taken back then.
    #[inline]
    pub fn display(self, value: &dyn fmt::Display) {
        self.formatted(format_args!("{value}"));
    }

    /// As [`display`](Self::display), with the `Debug` form.
    ///
    /// # Panics
    ///
    /// If `value` does; the attribute is taken back then.
    #[inline]
    pub fn debug(self, value: &dyn fmt::Debug) {
        self.formatted(format_args!("{value:?}"));
    }

    /// Writes the empty value, OTLP's null.
    #[inline]
    pub fn empty(self) {
        self.put_scalar(0, 2);
    }

    /// Writes an array of the elements that `f` writes.
    ///
    /// ```
    /// # use throughline_wire::{AttributeField, Buffer, Limits, put_attribute};
    /// # let mut body = Buffer::new();
    /// put_attribute(&mut body, AttributeField::Span, &"sizes", Limits::default(), |v| {
    ///     v.array(|elements| {
    ///         for size in [3, 5, 8] {
    ///             elements.value(|v| v.i64(size));
    ///         }
    ///     });
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If `f` does; the array is taken back then.
    #[inline]
    pub fn array(self, f: impl FnOnce(&mut ArrayWriter<'_>)) {
        let Some(room) = self.room.inside_array() else {
            return self.put_scalar(word([0, 2, ARRAY_TAG, 0]), 4);
        };
        let frame = Frame::open_value(self.buf, self.tag, self.key, ARRAY_TAG);
        f(&mut ArrayWriter {
            buf: frame.buf,
            room,
        });
        frame.close();
    }

    /// Writes a map of the entries that `f` writes. OTLP wants its keys unique; that is the
    /// caller's part.
    ///
    /// # Panics
    ///
    /// If `f` does; the map is taken back then.
    #[inline]
    pub fn map(self, f: impl FnOnce(&mut MapWriter<'_>)) {
        let Some(room) = self.room.inside_map() else {
            return self.put_scalar(word([0, 2, MAP_TAG, 0]), 4);
        };
        let frame = Frame::open_value(self.buf, self.tag, self.key, MAP_TAG);
        f(&mut MapWriter {
            buf: frame.buf,
            room,
        });
        frame.close();
    }

    #[inline(never)]
    fn put_cut_str(self, value: &str) {
        let value = text::cut(value, self.room.value_chars);
        self.put_len_value(STRING_TAG, value.as_bytes());
    }

    /// Writes the first `len` bytes of `value_field`, a little-endian word: the field that holds
    /// the `AnyValue`, complete but for its tag.
    #[inline(always)]
    fn put_scalar(self, value_field: u128, len: usize) {
        let Some(key) = self.key else {
            let value_field = value_field | u128::from(self.tag);
            return put_prefix(self.buf, value_field.to_le_bytes(), len);
        };
        let value_field = (value_field | u128::from(VALUE_TAG)).to_le_bytes();
        let message = key.encoded_len() + len;
        if message < 0x80 {
            let room = value_field.len();
            claim_value(self.buf, self.tag, key, message as u8, len, room)
                .copy_from_slice(&value_field);
        } else {
            put_tag_and_len(self.buf, self.tag, message);
            key.put(self.buf);
            put_prefix(self.buf, value_field, len);
        }
    }

    /// Writes an `AnyValue` whose only field is length-delimited.
    #[inline(always)]
    fn put_len_value(self, field: u8, content: &[u8]) {
        let len = content.len();
        // A field whose length is below 128 has two bytes beside its content.
        let value = 4 + len;
        let message = self.key.map_or(0, KeyRef::encoded_len) + value;
        if message >= 0x80 {
            return self.put_long_len_value(field, content);
        }
        let (tag, slot) = match self.key {
            Some(key) => {
                let slot = claim_value(self.buf, self.tag, key, message as u8, value, value);
                (VALUE_TAG, slot)
            }
            None => (self.tag, self.buf.claim(value)),
        };
        let (head, text) = slot.split_at_mut(4);
        head.copy_from_slice(&[tag, 2 + len as u8, field, len as u8]);
        text.copy_from_slice(content);
    }

    #[inline(never)]
    fn put_long_len_value(self, field: u8, content: &[u8]) {
        let value = len_field_len(content.len());
        let mut tag = self.tag;
        if let Some(key) = self.key {
            let message = key.encoded_len() + len_field_len(value);
            self.buf.reserve(len_field_len(message));
            put_tag_and_len(self.buf, tag, message);
            key.put(self.buf);
            tag = VALUE_TAG;
        }
        put_tag_and_len(self.buf, tag, value);
        put_tag_and_len(self.buf, field, content.len());
        self.buf.extend_from_slice(content);
    }

    /// Writes a string by what `format_args!` made, straight into the buffer: what [`display`](Self::display) and
    /// [`debug`](Self::debug) do, with one call less between.
    ///
    /// # Panics
    ///
    /// If a formatted value does; the attribute is taken back then.
    #[inline(always)]
    pub fn formatted(self, value: fmt::Arguments<'_>) {
        let frame = Frame::open_value(self.buf, self.tag, self.key, STRING_TAG);
        let mut text = BoundedText::new(frame.buf, self.room.value_chars);
        // An error means that the value ends here: at the limit, or because the implementation
        // gave up. Both leave valid text.
        let _ = text.write_fmt(value);
        frame.close();
    }
}

/// Appends a `KeyValue` of fewer than 128 bytes as field `tag`, in one piece: the key, and `len`
/// bytes for the caller to write, within the `room` bytes that are returned.
#[inline(always)]
pub(crate) fn claim_value<'a>(
    buf: &'a mut Buffer,
    tag: u8,
    key: KeyRef<'_>,
    message: u8,
    len: usize,
    room: usize,
) -> &'a mut [u8] {
    let key_len = key.encoded_len();
    let slot = buf.claim_part(2 + key_len + len, 2 + key_len + room);
    let (head, rest) = slot.split_at_mut(2);
    head.copy_from_slice(&[tag, message]);
    let (key_slot, value) = rest.split_at_mut(key_len);
    key.put_short(key_slot);
    value
}

/// Four bytes as the low end of a little-endian word.
#[inline]
const fn word(bytes: [u8; 4]) -> u128 {
    u32::from_le_bytes(bytes) as u128
}

/// `KeyValue.value`.
pub(crate) const VALUE_TAG: u8 = len_tag(2);
/// `AnyValue.string_value`.
pub(crate) const STRING_TAG: u8 = len_tag(1);
/// `AnyValue.bool_value`.
pub(crate) const BOOL_TAG: u8 = varint_tag(2);
/// `AnyValue.int_value`.
pub(crate) const INT_TAG: u8 = varint_tag(3);
/// `AnyValue.double_value`.
const DOUBLE_TAG: u8 = fixed64_tag(4);
/// `AnyValue.array_value`.
const ARRAY_TAG: u8 = len_tag(5);
/// `AnyValue.kvlist_value`.
const MAP_TAG: u8 = len_tag(6);
/// `AnyValue.bytes_value`.
const BYTES_TAG: u8 = len_tag(7);
/// `Resource.attributes`.
const RESOURCE_ATTRIBUTE_TAG: u8 = len_tag(1);
