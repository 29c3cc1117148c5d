//! The record of an ended span: what the recording thread hands to the drain.
//!
//! A record is a fixed header and the span's OTLP fields as they were appended while it was open. The header is a
//! private format that never leaves the process; only this module reads and writes it. Measurements have the same one.

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
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) start: Ticks,
    pub(crate) end: Ticks,
    pub(crate) callsite: u32,
    pub(crate) facts: Facts,
}

/// What a span is and how it ended: four bytes that lie in the record as they lie in the open span, so that they are
/// copied in one go.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Facts {
    pub(crate) kind: SpanKind,
    pub(crate) status: Status,
    pub(crate) outcome: Outcome,
    pub(crate) marks: Marks,
}

impl Facts {
    #[inline]
    const fn encode(self) -> u32 {
        u32::from_ne_bytes([
            self.kind.to_otlp(),
            self.status.to_otlp(),
            self.outcome as u8,
            self.marks.0,
        ])
    }

    const fn decode(word: u32) -> Self {
        let [kind, status, outcome, marks] = word.to_ne_bytes();
        Self {
            kind: SpanKind::from_otlp(kind),
            status: Status::from_otlp(status),
            outcome: Outcome::from_number(outcome),
            marks: Marks(marks),
        }
    }
}

/// What the drain has to know about a span and its body before it copies it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(u8);

impl Marks {
    /// The body holds a name, which replaces the callsite's.
    pub(crate) const RENAMED: Self = Self(1);
    /// The body holds events, whose times are still ticks.
    pub(crate) const EVENTS: Self = Self(2);
    /// The parent runs in another process.
    pub(crate) const REMOTE_PARENT: Self = Self(4);
    /// The body ends with [`Polls`].
    pub(crate) const POLLS: Self = Self(8);
    /// The trace id is random as W3C level 2 means it. (Of a span that has a record, the other flag is always set.)
    const RANDOM: Self = Self(16);
    /// All times are unix nanoseconds already: they were given by a caller, and are kept as they are.
    pub(crate) const UNIX: Self = Self(32);
    /// The body holds the attributes of the callsite, which does not add them.
    pub(crate) const OWN_STATICS: Self = Self(64);

    /// The marks of a span that starts.
    #[inline]
    pub(crate) const fn of(flags: TraceFlags, remote_parent: bool) -> Self {
        let random = (flags.to_u8() & TraceFlags::RANDOM.to_u8()) * (Self::RANDOM.0 >> 1);
        Self(random | (remote_parent as u8) << 2)
    }

    #[inline]
    pub(crate) const fn set(&mut self, mark: Self) {
        self.0 |= mark.0;
    }

    pub(crate) const fn clear(&mut self, mark: Self) {
        self.0 &= !mark.0;
    }

    pub(crate) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    pub(crate) const fn trace_flags(self) -> TraceFlags {
        if self.has(Self::RANDOM) {
            TraceFlags::RANDOM.with_sampled(true)
        } else {
            TraceFlags::SAMPLED
        }
    }
}

impl Header {
    pub(crate) const LEN: usize = 56;

    #[inline]
    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let [high, low] = self.trace_id.halves();
        let words = [
            high,
            low,
            self.span_id.number(),
            self.parent.number(),
            self.start.get(),
            self.end.get(),
            u64::from(self.facts.encode()) << 32 | u64::from(self.callsite),
        ];
        let mut bytes = [0; Self::LEN];
        for (word, to) in words.iter().zip(bytes.chunks_exact_mut(8)) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// When it started and ended; the end is never before the start.
    pub(crate) fn range(&self) -> (Ticks, Ticks) {
        let (mut start, mut end) = (self.start, self.end);
        if self.facts.marks.has(Marks::UNIX) {
            let anchor = Anchor::now();
            start = anchor.ticks_at(start.get());
            end = anchor.ticks_at(end.get());
        }
        (start, end.max(start))
    }

    #[inline]
    pub(crate) fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let mut words = [0; Self::LEN / 8];
        for (word, from) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_ne_bytes(*from);
        }
        let [high, low, span_id, parent, start, end, numbers] = words;
        Self {
            trace_id: TraceId::from_halves([high, low]),
            span_id: SpanId::from_number(span_id),
            parent: SpanId::from_number(parent),
            start: Ticks::from_raw(start),
            end: Ticks::from_raw(end),
            callsite: numbers as u32,
            facts: Facts::decode((numbers >> 32) as u32),
        }
    }
}

/// How often and how long a span was entered, at the end of the body of a span that was entered more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Polls {
    pub(crate) count: u32,
    pub(crate) busy: u64,
    pub(crate) longest: u64,
    pub(crate) schedule_latency_nanos: u64,
}

impl Polls {
    const LEN: usize = 32;

    pub(crate) fn encode(self) -> [u8; Self::LEN] {
        let words = [
            u64::from(self.count),
            self.busy,
            self.longest,
            self.schedule_latency_nanos,
        ];
        let mut bytes = [0; Self::LEN];
        for (word, to) in words.iter().zip(bytes.chunks_exact_mut(8)) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let word = |at: usize| u64::from_ne_bytes(bytes.as_chunks::<8>().0[at]);
        Self {
            count: word(0) as u32,
            busy: word(1),
            longest: word(2),
            schedule_latency_nanos: word(3),
        }
    }
}

/// An ended span, as [`Recorder::drain`](crate::Recorder::drain) offers it.
pub struct Record<'a> {
    header: Header,
    callsite: &'static Callsite,
    polls: Option<Polls>,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a record; `None` if it is no record or its callsite is unknown, which only a defect could cause.
    pub(crate) fn read(bytes: &'a [u8], callsites: &mut Vec<&'static Callsite>) -> Option<Self> {
        let (header, body) = bytes.split_first_chunk()?;
        let header = Header::decode(header);
        let (body, polls) = if header.facts.marks.has(Marks::POLLS) {
            let (body, polls) = body.split_last_chunk()?;
            (body, Some(Polls::decode(polls)))
        } else {
            (body, None)
        };
        let number = header.callsite as usize;
        if number >= callsites.len() {
            crate::callsite::refresh(callsites);
        }
        Some(Self {
            header,
            callsite: callsites.get(number)?,
            polls,
            body,
        })
    }

    /// The span's identity.
    pub const fn context(&self) -> SpanContext {
        let Header {
            trace_id, span_id, ..
        } = self.header;
        SpanContext::new(
            trace_id,
            span_id,
            self.header.facts.marks.trace_flags(),
            false,
        )
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
        self.header.facts.kind
    }

    /// The span's status.
    pub const fn status(&self) -> Status {
        self.header.facts.status
    }

    /// How the span ended.
    pub const fn outcome(&self) -> Outcome {
        self.header.facts.outcome
    }

    /// When the span started and ended; the end is never before the start.
    pub fn range(&self) -> (Ticks, Ticks) {
        self.header.range()
    }

    fn unix_range(&self, anchor: &Anchor) -> (u64, u64) {
        let Header {
            start, end, facts, ..
        } = self.header;
        if facts.marks.has(Marks::UNIX) {
            (start.get(), end.max(start).get())
        } else {
            anchor.unix_range(start, end)
        }
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
        let (start_unix_nano, end_unix_nano) = self.unix_range(anchor);
        let marks = header.facts.marks;
        let of_callsite = if marks.has(Marks::OWN_STATICS) {
            &[]
        } else {
            self.callsite.static_fields()
        };
        let static_fields = if let Some(polls) = self.polls {
            scratch.fields.clear();
            scratch.fields.extend_from_slice(of_callsite);
            self.put_polls(polls, &mut scratch.fields);
            &scratch.fields
        } else {
            of_callsite
        };
        let body = if marks.has(Marks::EVENTS) && !marks.has(Marks::UNIX) {
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
        let remote = if marks.has(Marks::REMOTE_PARENT) {
            PARENT_IS_REMOTE
        } else {
            0
        };
        wire::put_span(
            out,
            &wire::SpanHead {
                trace_id: header.trace_id.to_bytes(),
                span_id: header.span_id.to_bytes(),
                parent_span_id: header.parent.to_bytes(),
                flags: u32::from(marks.trace_flags().to_u8()) | HAS_IS_REMOTE | remote,
                kind: header.facts.kind.to_otlp(),
                start_unix_nano,
                end_unix_nano,
                name: (!marks.has(Marks::RENAMED)).then_some(self.callsite.name()),
                static_fields,
                body,
            },
        );
    }

    fn put_polls(&self, polls: Polls, fields: &mut wire::Buffer) {
        let Header {
            start, end, facts, ..
        } = self.header;
        let took = if facts.marks.has(Marks::UNIX) {
            end.since(start)
        } else {
            clock::nanos_between(start, end)
        };
        let busy = clock::ticks_to_nanos(polls.busy);
        let idle = took.saturating_sub(busy);
        let longest = clock::ticks_to_nanos(polls.longest);
        let values = [
            (const { wire::key!("poll_count") }, u64::from(polls.count)),
            (const { wire::key!("busy_ns") }, busy),
            (const { wire::key!("idle_ns") }, idle),
            (const { wire::key!("longest_poll_ns") }, longest),
        ];
        // Known only where the runtime tells.
        let latency = (
            const { wire::key!("schedule_latency_ns") },
            polls.schedule_latency_nanos,
        );
        let latency = (latency.1 > 0).then_some(latency);
        for (key, value) in values.into_iter().chain(latency) {
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
            .field("context", &self.context())
            .finish_non_exhaustive()
    }
}

/// Buffers that [`Record::encode`] reuses from record to record.
#[derive(Debug, Default)]
pub struct Scratch {
    fields: wire::Buffer,
    body: wire::Buffer,
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
        let header = Header {
            trace_id: TraceId::from_bytes([7; 16]),
            span_id: SpanId::from_bytes([8; 8]),
            parent: SpanId::from_bytes([9; 8]),
            start: Ticks::from_raw(1),
            end: Ticks::from_raw(u64::MAX),
            callsite: 6,
            facts: Facts {
                kind: SpanKind::Consumer,
                status: Status::Error,
                outcome: Outcome::Panicked,
                marks: Marks(7),
            },
        };
        assert_eq!(
            format!("{:?}", Header::decode(&header.encode())),
            format!("{header:?}")
        );
    }

    #[test]
    fn polls_round_trip() {
        let polls = Polls {
            count: 5,
            busy: 3,
            longest: u64::MAX,
            schedule_latency_nanos: 7,
        };
        assert_eq!(Polls::decode(&polls.encode()), polls);
    }

    #[test]
    fn marks_tell_the_flags_and_the_parent() {
        for flags in [TraceFlags::SAMPLED, TraceFlags::RANDOM.with_sampled(true)] {
            for remote in [false, true] {
                let marks = Marks::of(flags, remote);
                assert_eq!(marks.trace_flags(), flags);
                assert_eq!(marks.has(Marks::REMOTE_PARENT), remote);
            }
        }
    }
}
