//! Owns what is put around finished span bodies: the span's head, its scope, the request. Does
//! not know what a body or a resource contains.
//!
//! All lengths are known here, so everything is written once, front to back.

use alloc::vec::Vec;

use crate::span::NAME_TAG;
use crate::varint::{
    fixed64_tag, len_field_len, len_field_len_unless_empty, len_tag, put_len_field_unless_empty,
    put_tag_and_len, varint_tag,
};

/// What a span has beside its body.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpanHead<'a> {
    /// The trace's id.
    pub trace_id: [u8; 16],
    /// The span's id.
    pub span_id: [u8; 8],
    /// The parent's id; zero for a span without a parent.
    pub parent_span_id: [u8; 8],
    /// The bits of `opentelemetry.proto.trace.v1.SpanFlags`.
    pub flags: u32,
    /// The number of `opentelemetry.proto.trace.v1.Span.SpanKind`, 0 to 5.
    pub kind: u8,
    /// When the span started, in nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// When the span ended, in nanoseconds since the Unix epoch.
    pub end_unix_nano: u64,
    /// The span's name; none if `body` has it.
    pub name: Option<&'a str>,
    /// Fields of the span that were encoded at compile time.
    pub static_fields: &'a [u8],
    /// Fields of the span that were encoded while it ran.
    pub body: &'a [u8],
}

/// Appends a span as field `ScopeSpans.spans`.
///
/// Reserves once and copies each part once.
// Inlined, so that the head stays in registers: an id that was just stored in two halves and is
// then loaded as a whole makes the processor wait.
#[inline]
pub fn put_span(out: &mut Vec<u8>, head: &SpanHead<'_>) {
    let name = head.name.unwrap_or_default();
    let has_parent = head.parent_span_id != [0; 8];
    let whole =
        head.kind != 0 && head.start_unix_nano != 0 && head.end_unix_nano != 0 && head.flags != 0;
    let message = IDS_LEN
        + if has_parent { ID_LEN } else { 0 }
        + if whole {
            DETAILS_LEN
        } else {
            details_len(head)
        }
        + len_field_len_unless_empty(name.len())
        + head.static_fields.len()
        + head.body.len();
    // A little more than it needs, so that the length of the length is not computed.
    out.reserve(MAX_TAG_AND_LEN + message);
    match message {
        // Nearly every span is this long.
        0x80..0x4000 => {
            out.extend_from_slice(&[SPANS_TAG, message as u8 | 0x80, (message >> 7) as u8]);
        }
        _ => put_tag_and_len(out, SPANS_TAG, message),
    }
    out.extend_from_slice(&ids(head));
    if has_parent {
        out.extend_from_slice(&id(PARENT_SPAN_ID_TAG, head.parent_span_id));
    }
    if whole {
        out.extend_from_slice(&details(head));
    } else {
        put_details(out, head);
    }
    put_len_field_unless_empty(out, NAME_TAG, name.as_bytes());
    out.extend_from_slice(head.static_fields);
    out.extend_from_slice(head.body);
}

/// An instrumentation scope: who made the spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope<'a> {
    /// The name of the instrumented library or module.
    pub name: &'a str,
    /// Its version; may be empty.
    pub version: &'a str,
    /// The schema of the telemetry that it emits; may be empty.
    pub schema_url: &'a str,
}

/// Appends the fields that a scope gives to `ScopeSpans`: the `InstrumentationScope` and the
/// schema URL. [`put_request`] takes what this writes.
pub fn put_scope(out: &mut Vec<u8>, scope: &Scope<'_>) {
    let message = len_field_len_unless_empty(scope.name.len())
        + len_field_len_unless_empty(scope.version.len());
    if message != 0 {
        put_tag_and_len(out, SCOPE_TAG, message);
        put_len_field_unless_empty(out, SCOPE_NAME_TAG, scope.name.as_bytes());
        put_len_field_unless_empty(out, SCOPE_VERSION_TAG, scope.version.as_bytes());
    }
    put_len_field_unless_empty(out, SCHEMA_URL_TAG, scope.schema_url.as_bytes());
}

/// Appends one `ResourceSpans` to an `ExportTraceServiceRequest`; on an empty buffer that makes
/// a whole request.
///
/// `resource` is the body of the `Resource` message. Each item of `scopes` is what [`put_scope`]
/// wrote for a scope, and that scope's spans as [`put_span`] wrote them, one after another. A
/// scope without spans is left out; without any span nothing is written.
///
/// ```
/// use throughline_wire::{Scope, SpanHead, put_request, put_scope, put_span};
///
/// let (mut scope, mut spans, mut request) = (Vec::new(), Vec::new(), Vec::new());
/// put_scope(&mut scope, &Scope { name: "shop", ..Scope::default() });
/// put_span(&mut spans, &SpanHead { name: Some("place_order"), ..SpanHead::default() });
/// put_request(&mut request, &[], "", [(&scope[..], &spans[..])].into_iter());
/// assert!(request.ends_with(&spans));
/// ```
pub fn put_request<'a>(
    out: &mut Vec<u8>,
    resource: &[u8],
    resource_schema_url: &str,
    scopes: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
) {
    let scopes_len = scopes_len(scopes.clone());
    if scopes_len == 0 {
        return;
    }
    out.reserve(request_head_room(resource.len(), resource_schema_url.len()) + scopes_len);
    put_resource_head(out, resource, resource_schema_url, scopes_len);
    put_scopes(out, scopes);
}

/// How much room in front of a scope's spans is enough for [`wrap_request`], given the lengths of
/// the resource and of what [`put_scope`] wrote.
#[must_use]
pub const fn request_head_room(resource: usize, scope: usize) -> usize {
    // Three fields have a tag and a length: the `ResourceSpans`, its resource and its scope.
    3 * MAX_TAG_AND_LEN + resource + scope
}

/// Makes a whole request of a scope's spans where they lie, and returns where it starts.
///
/// The spans of `scope`, at least one, follow `room` bytes of any content, into which the head of
/// the request is written. The spans of all other scopes are few by comparison, and copied; the
/// arguments are otherwise those of [`put_request`].
///
/// ```
/// use throughline_wire::{SpanHead, put_request, put_span, request_head_room, wrap_request};
///
/// let (mut spans, mut request) = (Vec::new(), Vec::new());
/// put_span(&mut spans, &SpanHead::default());
/// put_request(&mut request, &[], "", [(&[][..], &spans[..])].into_iter());
///
/// let room = request_head_room(0, 0);
/// let mut buffer = vec![0; room];
/// put_span(&mut buffer, &SpanHead::default());
/// let start = wrap_request(&mut buffer, room, &[], &[], [].into_iter());
/// assert_eq!(buffer[start..], request);
/// ```
pub fn wrap_request<'a>(
    buffer: &mut Vec<u8>,
    room: usize,
    resource: &[u8],
    scope: &[u8],
    others: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
) -> usize {
    let scope_spans = scope.len() + buffer.len().saturating_sub(room);
    let scopes_len = len_field_len(scope_spans) + scopes_len(others.clone());
    let mut head = Vec::with_capacity(request_head_room(resource.len(), scope.len()));
    put_resource_head(&mut head, resource, "", scopes_len);
    put_tag_and_len(&mut head, SCOPE_SPANS_TAG, scope_spans);
    head.extend_from_slice(scope);
    let start = room.saturating_sub(head.len());
    match buffer.get_mut(start..room) {
        Some(end_of_room) if end_of_room.len() == head.len() => end_of_room.copy_from_slice(&head),
        // The caller left too little room: everything moves, which is slow and right.
        _ => drop(buffer.splice(..room.min(buffer.len()), head)),
    }
    put_scopes(buffer, others);
    start
}

/// The length of all `ScopeSpans` that have spans.
fn scopes_len<'a>(scopes: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> usize {
    scopes
        .filter(|(_, spans)| !spans.is_empty())
        .map(|(scope, spans)| len_field_len(scope.len() + spans.len()))
        .sum()
}

/// Appends the start of a `ResourceSpans`, up to its scopes.
fn put_resource_head(
    out: &mut Vec<u8>,
    resource: &[u8],
    resource_schema_url: &str,
    scopes_len: usize,
) {
    let message = len_field_len_unless_empty(resource.len())
        + scopes_len
        + len_field_len_unless_empty(resource_schema_url.len());
    put_tag_and_len(out, RESOURCE_SPANS_TAG, message);
    put_len_field_unless_empty(out, RESOURCE_TAG, resource);
    put_len_field_unless_empty(out, SCHEMA_URL_TAG, resource_schema_url.as_bytes());
}

/// Appends a `ScopeSpans` for each scope that has spans.
fn put_scopes<'a>(out: &mut Vec<u8>, scopes: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
    for (scope, spans) in scopes.filter(|(_, spans)| !spans.is_empty()) {
        put_tag_and_len(out, SCOPE_SPANS_TAG, scope.len() + spans.len());
        out.extend_from_slice(scope);
        out.extend_from_slice(spans);
    }
}

/// `Span.trace_id` and `Span.span_id`.
#[inline]
fn ids(head: &SpanHead<'_>) -> [u8; IDS_LEN] {
    let mut fields = [0; IDS_LEN];
    fields[0] = TRACE_ID_TAG;
    fields[1] = 16;
    fields[2..18].copy_from_slice(&head.trace_id);
    fields[18..].copy_from_slice(&id(SPAN_ID_TAG, head.span_id));
    fields
}

#[inline]
fn id(tag: u8, id: [u8; 8]) -> [u8; ID_LEN] {
    let mut field = [tag, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    field[2..].copy_from_slice(&id);
    field
}

/// The kind, both times and the flags, for a head that has them all, as every real one does.
#[inline]
fn details(head: &SpanHead<'_>) -> [u8; DETAILS_LEN] {
    let mut fields = [0; DETAILS_LEN];
    fields[..2].copy_from_slice(&kind(head));
    fields[2..11].copy_from_slice(&time(START_TAG, head.start_unix_nano));
    fields[11..20].copy_from_slice(&time(END_TAG, head.end_unix_nano));
    fields[20..].copy_from_slice(&flags(head));
    fields
}

fn details_len(head: &SpanHead<'_>) -> usize {
    let mut len = 0;
    len += if head.kind != 0 { 2 } else { 0 };
    len += if head.start_unix_nano != 0 { 9 } else { 0 };
    len += if head.end_unix_nano != 0 { 9 } else { 0 };
    len += if head.flags != 0 { 6 } else { 0 };
    len
}

#[inline(never)]
fn put_details(out: &mut Vec<u8>, head: &SpanHead<'_>) {
    if head.kind != 0 {
        out.extend_from_slice(&kind(head));
    }
    if head.start_unix_nano != 0 {
        out.extend_from_slice(&time(START_TAG, head.start_unix_nano));
    }
    if head.end_unix_nano != 0 {
        out.extend_from_slice(&time(END_TAG, head.end_unix_nano));
    }
    if head.flags != 0 {
        out.extend_from_slice(&flags(head));
    }
}

#[inline]
fn kind(head: &SpanHead<'_>) -> [u8; 2] {
    // A varint of one byte: there are six kinds.
    [KIND_TAG, head.kind & 0x7F]
}

#[inline]
fn time(tag: u8, unix_nano: u64) -> [u8; 9] {
    let mut field = [tag, 0, 0, 0, 0, 0, 0, 0, 0];
    field[1..].copy_from_slice(&unix_nano.to_le_bytes());
    field
}

#[inline]
fn flags(head: &SpanHead<'_>) -> [u8; 6] {
    let [a, b, c, d] = head.flags.to_le_bytes();
    // Field 16, 32 bits: the only tag of two bytes.
    [0x85, 0x01, a, b, c, d]
}

/// A tag of one byte and the longest varint.
const MAX_TAG_AND_LEN: usize = 1 + 10;

const ID_LEN: usize = 10;
const IDS_LEN: usize = 18 + ID_LEN;
const DETAILS_LEN: usize = 2 + 9 + 9 + 6;

/// `ExportTraceServiceRequest.resource_spans`.
const RESOURCE_SPANS_TAG: u8 = len_tag(1);

/// `ResourceSpans.resource`.
const RESOURCE_TAG: u8 = len_tag(1);
/// `ResourceSpans.scope_spans`.
const SCOPE_SPANS_TAG: u8 = len_tag(2);
/// `ResourceSpans.schema_url` and `ScopeSpans.schema_url`.
const SCHEMA_URL_TAG: u8 = len_tag(3);

/// `ScopeSpans.scope`.
const SCOPE_TAG: u8 = len_tag(1);
/// `ScopeSpans.spans`.
const SPANS_TAG: u8 = len_tag(2);

const SCOPE_NAME_TAG: u8 = len_tag(1);
const SCOPE_VERSION_TAG: u8 = len_tag(2);

const TRACE_ID_TAG: u8 = len_tag(1);
const SPAN_ID_TAG: u8 = len_tag(2);
const PARENT_SPAN_ID_TAG: u8 = len_tag(4);
const KIND_TAG: u8 = varint_tag(6);
const START_TAG: u8 = fixed64_tag(7);
const END_TAG: u8 = fixed64_tag(8);

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn spans(count: u8) -> Vec<u8> {
        let mut spans = Vec::new();
        for number in 0..count {
            let span_id = [number; 8];
            let head = SpanHead {
                span_id,
                ..SpanHead::default()
            };
            put_span(&mut spans, &head);
        }
        spans
    }

    #[test]
    fn a_wrapped_request_is_the_same_request_whatever_room_there_was() {
        let (many, none, few) = (spans(200), spans(0), spans(3));
        let scopes = [
            (&b"\x0a\x01x"[..], &many[..]),
            (&b"\x0a\x01y"[..], &none[..]),
            (&b"\x0a\x01z"[..], &few[..]),
        ];
        let mut request = Vec::new();
        put_request(&mut request, b"resource", "", scopes.into_iter());
        for room in 0..2 * request_head_room(b"resource".len(), scopes[0].0.len()) {
            let mut buffer = vec![0xFF; room];
            buffer.extend_from_slice(&many);
            let others = scopes[1..].iter().copied();
            let start = wrap_request(&mut buffer, room, b"resource", scopes[0].0, others);
            assert_eq!(buffer[start..], request, "with {room} bytes of room");
        }
        let room = request_head_room(b"resource".len(), scopes[0].0.len());
        let mut buffer = vec![0; room];
        buffer.extend_from_slice(&many);
        let capacity = buffer.capacity();
        wrap_request(&mut buffer, room, b"resource", scopes[0].0, [].into_iter());
        assert_eq!(buffer.len(), room + many.len());
        assert_eq!(buffer.capacity(), capacity);
    }
}
