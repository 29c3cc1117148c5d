//! Owns the fields of a span's body other than its own attributes: events, links, status, name,
//! tracestate, dropped counts. Does not know ids, times or what belongs to the span's head.
//!
//! Fields may be appended in any order. A field that must not repeat (name, status) is appended
//! at most once, or taken out by [`remove_fields`](crate::remove_fields) before.

use crate::buffer::Buffer;

use crate::frame::Frame;
use crate::key::AsKey;
use crate::value::{AttributeField, Limits, ValueWriter, put_attribute};
use crate::varint::{
    fixed64_tag, len_tag, put_len_field_unless_empty, put_prefix, put_tag_and_len, short_varint,
    varint_tag,
};

/// Appends an event with the attributes that `f` writes.
///
/// The time is written first, at a fixed place, so that what is not nanoseconds yet can be
/// turned into them by [`patch_event_times`](crate::patch_event_times).
///
/// # Panics
///
/// If `f` does; the event is taken back then.
#[inline]
pub fn put_event(
    buf: &mut Buffer,
    time_unix_nano: u64,
    name: &str,
    f: impl FnOnce(&mut EventWriter<'_>),
) {
    buf.reserve(name.len() + 16);
    let frame = Frame::open(buf, EVENT_TAG);
    let [a, b, c, d, e, f_, g, h] = time_unix_nano.to_le_bytes();
    let time = [EVENT_TIME_TAG, a, b, c, d, e, f_, g, h];
    frame.buf.extend_from_slice(&time);
    put_len_field_unless_empty(frame.buf, EVENT_NAME_TAG, name.as_bytes());
    f(&mut EventWriter { buf: frame.buf });
    frame.close();
}

/// Writes the attributes of an event; see [`put_event`].
#[derive(Debug)]
pub struct EventWriter<'a> {
    buf: &'a mut Buffer,
}

impl EventWriter<'_> {
    /// Appends an attribute; see [`put_attribute`].
    #[inline]
    pub fn attribute(&mut self, key: &impl AsKey, limits: Limits, f: impl FnOnce(ValueWriter<'_>)) {
        put_attribute(self.buf, AttributeField::Event, key, limits, f);
    }

    /// Says how many attributes the event had beyond its limit. To be called at most once.
    #[inline]
    pub fn dropped_attributes(&mut self, count: u32) {
        put_count(self.buf, EVENT_DROPPED_TAG, count);
    }
}

/// Appends a link with the attributes that `f` writes. `flags` are the bits of
/// `opentelemetry.proto.trace.v1.SpanFlags`.
///
/// # Panics
///
/// If `f` does; the link is taken back then.
#[inline]
pub fn put_link(
    buf: &mut Buffer,
    trace_id: [u8; 16],
    span_id: [u8; 8],
    tracestate: &str,
    flags: u32,
    f: impl FnOnce(&mut LinkWriter<'_>),
) {
    buf.reserve(tracestate.len() + 48);
    let frame = Frame::open(buf, LINK_TAG);
    frame.buf.extend_from_slice(&[LINK_TRACE_ID_TAG, 16]);
    frame.buf.extend_from_slice(&trace_id);
    frame.buf.extend_from_slice(&[LINK_SPAN_ID_TAG, 8]);
    frame.buf.extend_from_slice(&span_id);
    put_len_field_unless_empty(frame.buf, LINK_TRACESTATE_TAG, tracestate.as_bytes());
    if flags != 0 {
        let [a, b, c, d] = flags.to_le_bytes();
        frame.buf.extend_from_slice(&[LINK_FLAGS_TAG, a, b, c, d]);
    }
    f(&mut LinkWriter { buf: frame.buf });
    frame.close();
}

/// Writes the attributes of a link; see [`put_link`].
#[derive(Debug)]
pub struct LinkWriter<'a> {
    buf: &'a mut Buffer,
}

impl LinkWriter<'_> {
    /// Appends an attribute; see [`put_attribute`].
    #[inline]
    pub fn attribute(&mut self, key: &impl AsKey, limits: Limits, f: impl FnOnce(ValueWriter<'_>)) {
        put_attribute(self.buf, AttributeField::Link, key, limits, f);
    }

    /// Says how many attributes the link had beyond its limit. To be called at most once.
    #[inline]
    pub fn dropped_attributes(&mut self, count: u32) {
        put_count(self.buf, LINK_DROPPED_TAG, count);
    }
}

/// Appends the status: code 0 for unset, 1 for ok, 2 for error. An unset status without a
/// message is the default and takes no bytes.
#[inline]
pub fn put_status(buf: &mut Buffer, code: u32, message: &str) {
    if code == 0 && message.is_empty() {
        return;
    }
    let frame = Frame::open(buf, STATUS_TAG);
    put_len_field_unless_empty(frame.buf, STATUS_MESSAGE_TAG, message.as_bytes());
    put_count(frame.buf, STATUS_CODE_TAG, code);
    frame.close();
}

/// Appends the span's name, for a span whose [`SpanHead`](crate::SpanHead) has none.
#[inline]
pub fn put_name(buf: &mut Buffer, name: &str) {
    put_name_parts(buf, &[name]);
}

/// Appends the span's name as [`put_name`] does, from parts that follow one another.
///
/// ```
/// use throughline_wire::{Buffer, put_name, put_name_parts};
///
/// for parts in [&["GET", " ", "/orders"][..], &["GET", "", &"long".repeat(99)], &["", ""], &[]] {
///     let [mut whole, mut parted] = [Buffer::new(), Buffer::new()];
///     put_name(&mut whole, &parts.concat());
///     put_name_parts(&mut parted, parts);
///     assert_eq!(*whole, *parted);
/// }
/// ```
#[inline]
pub fn put_name_parts(buf: &mut Buffer, parts: &[&str]) {
    let len = parts.iter().map(|part| part.len()).sum();
    if len > 0 {
        put_tag_and_len(buf, NAME_TAG, len);
        for part in parts {
            buf.extend_from_slice(part.as_bytes());
        }
    }
}

/// Appends the span's tracestate, in the form of the W3C header.
#[inline]
pub fn put_tracestate(buf: &mut Buffer, tracestate: &str) {
    put_len_field_unless_empty(buf, TRACESTATE_TAG, tracestate.as_bytes());
}

/// Appends how many attributes, events and links the span had beyond its limits. Zeros take no
/// bytes.
#[inline]
pub fn put_dropped_counts(buf: &mut Buffer, attributes: u32, events: u32, links: u32) {
    put_count(buf, DROPPED_ATTRIBUTES_TAG, attributes);
    put_count(buf, DROPPED_EVENTS_TAG, events);
    put_count(buf, DROPPED_LINKS_TAG, links);
}

#[inline]
fn put_count(buf: &mut Buffer, tag: u8, count: u32) {
    if count != 0 {
        // A 32-bit number takes five bytes at most, so field and tag fit the word.
        let (digits, len) = short_varint(u64::from(count));
        let field = digits << 8 | u64::from(tag);
        put_prefix(buf, field.to_le_bytes(), 1 + len);
    }
}

/// `Span.events`.
const EVENT_TAG: u8 = len_tag(11);
/// `Span.Event.time_unix_nano`.
pub(crate) const EVENT_TIME_TAG: u8 = fixed64_tag(1);
const EVENT_NAME_TAG: u8 = len_tag(2);
const EVENT_DROPPED_TAG: u8 = varint_tag(4);

/// `Span.links`.
const LINK_TAG: u8 = len_tag(13);
const LINK_TRACE_ID_TAG: u8 = len_tag(1);
const LINK_SPAN_ID_TAG: u8 = len_tag(2);
const LINK_TRACESTATE_TAG: u8 = len_tag(3);
const LINK_DROPPED_TAG: u8 = varint_tag(5);
/// `Span.Link.flags`: field 6, 32 bits.
const LINK_FLAGS_TAG: u8 = 6 << 3 | 5;

/// `Span.status`.
const STATUS_TAG: u8 = len_tag(15);
const STATUS_MESSAGE_TAG: u8 = len_tag(2);
const STATUS_CODE_TAG: u8 = varint_tag(3);

/// `Span.trace_state`.
const TRACESTATE_TAG: u8 = len_tag(3);
/// `Span.name`.
pub(crate) const NAME_TAG: u8 = len_tag(5);
const DROPPED_ATTRIBUTES_TAG: u8 = varint_tag(10);
const DROPPED_EVENTS_TAG: u8 = varint_tag(12);
const DROPPED_LINKS_TAG: u8 = varint_tag(14);
