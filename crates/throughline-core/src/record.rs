//! The record of an ended span: what the recording thread hands to the drain.
//!
//! A record is a fixed header and the span's OTLP fields as they were appended while it was open. The header is a
//! private format that never leaves the process; only this module reads and writes it.

use std::fmt;

use throughline_wire as wire;

use crate::callsite::Callsite;
use crate::clock::{self, Anchor, Ticks};
use crate::id::{SpanId, TraceFlags, TraceId};
use crate::kind::{Outcome, SpanKind, Status};
use crate::limits::SpanLimits;
use crate::span_context::SpanContext;

/// The numbers of a span that are not protobuf yet when it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) context: SpanContext,
    pub(crate) parent: SpanId,
    pub(crate) start: Ticks,
    pub(crate) end: Ticks,
    pub(crate) busy: u64,
    pub(crate) longest_poll: u64,
    pub(crate) polls: u32,
    pub(crate) callsite: u32,
    pub(crate) kind: SpanKind,
    pub(crate) status: Status,
    pub(crate) outcome: Outcome,
    pub(crate) marks: Marks,
}

/// What the drain has to know about a body before it copies it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(u8);

impl Marks {
    /// The body holds a name, which replaces the callsite's.
    pub(crate) const RENAMED: Self = Self(1);
    /// The body holds events, whose times are still ticks.
    pub(crate) const EVENTS: Self = Self(2);
    /// The parent runs in another process.
    pub(crate) const REMOTE_PARENT: Self = Self(4);

    #[inline]
    pub(crate) const fn set(&mut self, mark: Self) {
        self.0 |= mark.0;
    }

    pub(crate) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }
}

impl Header {
    pub(crate) const LEN: usize = 80;

    #[inline]
    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let [high, low] = self.context.trace_id().halves();
        let flags = self.context.trace_flags().to_u8();
        let small = [
            flags,
            self.kind.to_otlp(),
            self.status.to_otlp(),
            self.outcome as u8,
            self.marks.0,
            0,
            0,
            0,
        ];
        let words = [
            high,
            low,
            self.context.span_id().number(),
            self.parent.number(),
            self.start.get(),
            self.end.get(),
            self.busy,
            self.longest_poll,
            u64::from(self.polls) << 32 | u64::from(self.callsite),
            u64::from_ne_bytes(small),
        ];
        let mut bytes = [0; Self::LEN];
        for (word, to) in words.iter().zip(bytes.chunks_exact_mut(8)) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let mut words = [0; Self::LEN / 8];
        for (word, from) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_ne_bytes(*from);
        }
        let [
            high,
            low,
            span_id,
            parent,
            start,
            end,
            busy,
            longest_poll,
            numbers,
            small,
        ] = words;
        let [flags, kind, status, outcome, marks, ..] = small.to_ne_bytes();
        let trace_id = TraceId::from_halves([high, low]);
        let span_id = SpanId::from_number(span_id);
        Self {
            context: SpanContext::new(trace_id, span_id, TraceFlags::from_u8(flags), false),
            parent: SpanId::from_number(parent),
            start: Ticks::from_raw(start),
            end: Ticks::from_raw(end),
            busy,
            longest_poll,
            polls: (numbers >> 32) as u32,
            callsite: numbers as u32,
            kind: SpanKind::from_otlp(kind),
            status: Status::from_otlp(status),
            outcome: Outcome::from_number(outcome),
            marks: Marks(marks),
        }
    }
}

/// An ended span, as [`Recorder::drain`](crate::Recorder::drain) offers it.
pub struct Record<'a> {
    header: Header,
    callsite: &'static Callsite,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a record; `None` if it is no record or its callsite is unknown, which only a defect could cause.
    pub(crate) fn read(bytes: &'a [u8], callsites: &mut Vec<&'static Callsite>) -> Option<Self> {
        let (header, body) = bytes.split_first_chunk()?;
        let header = Header::decode(header);
        let number = header.callsite as usize;
        if number >= callsites.len() {
            crate::callsite::refresh(callsites);
        }
        Some(Self {
            header,
            callsite: callsites.get(number)?,
            body,
        })
    }

    /// The span's identity.
    pub const fn context(&self) -> SpanContext {
        self.header.context
    }

    /// The parent's id; invalid for a root.
    pub const fn parent_span_id(&self) -> SpanId {
        self.header.parent
    }

    /// Where the span was made.
    pub const fn callsite(&self) -> &'static Callsite {
        self.callsite
    }

    /// The span's kind.
    pub const fn kind(&self) -> SpanKind {
        self.header.kind
    }

    /// The span's status.
    pub const fn status(&self) -> Status {
        self.header.status
    }

    /// How the span ended.
    pub const fn outcome(&self) -> Outcome {
        self.header.outcome
    }

    /// When the span started and ended; the end is never before the start.
    pub fn range(&self) -> (Ticks, Ticks) {
        (self.header.start, self.header.end.max(self.header.start))
    }

    /// The bytes this record takes in the recorder.
    pub const fn len(&self) -> usize {
        Header::LEN + self.body.len()
    }

    /// Whether the span has no fields of its own; it is exported all the same.
    pub const fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Appends the span to `out` as one element of `ScopeSpans.spans`. `scratch` is any buffer, kept between calls.
    pub fn encode(&self, anchor: &Anchor, scratch: &mut Scratch, out: &mut Vec<u8>) {
        let header = &self.header;
        let (start_unix_nano, end_unix_nano) = anchor.unix_range(header.start, header.end);
        // A span that was entered once was busy all the time, which says nothing.
        let static_fields = if header.polls > 1 {
            scratch.fields.clear();
            scratch
                .fields
                .extend_from_slice(self.callsite.static_fields());
            self.put_polls(&mut scratch.fields);
            &scratch.fields
        } else {
            self.callsite.static_fields()
        };
        let body = if header.marks.has(Marks::EVENTS) {
            scratch.body.clear();
            scratch.body.extend_from_slice(self.body);
            // An event lies inside its span, whatever the conversion rounds to.
            let unix = |ticks| {
                anchor
                    .unix_nanos(Ticks::from_raw(ticks))
                    .clamp(start_unix_nano, end_unix_nano)
            };
            wire::patch_event_times(&mut scratch.body, unix);
            &scratch.body
        } else {
            self.body
        };
        let remote = if header.marks.has(Marks::REMOTE_PARENT) {
            PARENT_IS_REMOTE
        } else {
            0
        };
        wire::put_span(
            out,
            &wire::SpanHead {
                trace_id: header.context.trace_id().to_bytes(),
                span_id: header.context.span_id().to_bytes(),
                parent_span_id: header.parent.to_bytes(),
                flags: u32::from(header.context.trace_flags().to_u8()) | HAS_IS_REMOTE | remote,
                kind: header.kind.to_otlp(),
                start_unix_nano,
                end_unix_nano,
                name: (!header.marks.has(Marks::RENAMED)).then_some(self.callsite.name()),
                static_fields,
                body,
            },
        );
    }

    fn put_polls(&self, fields: &mut Vec<u8>) {
        let (start, end) = self.range();
        let busy = clock::ticks_to_nanos(self.header.busy);
        let idle = clock::nanos_between(start, end).saturating_sub(busy);
        let longest = clock::ticks_to_nanos(self.header.longest_poll);
        let values = [
            (
                const { wire::key!("poll_count") },
                u64::from(self.header.polls),
            ),
            (const { wire::key!("busy_ns") }, busy),
            (const { wire::key!("idle_ns") }, idle),
            (const { wire::key!("longest_poll_ns") }, longest),
        ];
        for (key, value) in values {
            let limits = SpanLimits::DEFAULT.values();
            wire::put_attribute(fields, wire::AttributeField::Span, &key, limits, |writer| {
                writer.u64(value);
            });
        }
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("name", &self.callsite.name())
            .field("context", &self.header.context)
            .finish_non_exhaustive()
    }
}

/// Buffers that [`Record::encode`] reuses from record to record.
#[derive(Debug, Default)]
pub struct Scratch {
    fields: Vec<u8>,
    body: Vec<u8>,
}

/// `SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK` of the OTLP trace definitions.
const HAS_IS_REMOTE: u32 = 0x100;
/// `SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK` of the OTLP trace definitions.
const PARENT_IS_REMOTE: u32 = 0x200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_round_trips() {
        let context = SpanContext::new(
            TraceId::from_bytes([7; 16]),
            SpanId::from_bytes([8; 8]),
            TraceFlags::SAMPLED,
            false,
        );
        let header = Header {
            context,
            parent: SpanId::from_bytes([9; 8]),
            start: Ticks::from_raw(1),
            end: Ticks::from_raw(u64::MAX),
            busy: 3,
            longest_poll: 4,
            polls: 5,
            callsite: 6,
            kind: SpanKind::Consumer,
            status: Status::Error,
            outcome: Outcome::Panicked,
            marks: Marks(7),
        };
        assert_eq!(
            format!("{:?}", Header::decode(&header.encode())),
            format!("{header:?}")
        );
    }
}
