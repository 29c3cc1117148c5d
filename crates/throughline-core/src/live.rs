//! A span while it is open: numbers, and one append-only buffer of finished OTLP fields.
//!
//! Everything a user records goes straight into the buffer in its final form, in the order it comes. Nothing here
//! knows threads or recorders.

mod attributes;
mod course;
mod ending;
mod measured;
mod statics;

use std::error::Error;
use std::fmt;

use throughline_wire::{self as wire, AsKey, AttributeField, Buffer, ValueWriter};

use crate::callsite::Callsite;
use crate::clock::{self, Anchor, Ticks};
use crate::context::Context;
use crate::fields::{EventFields, LinkFields};
use crate::handler::{Handling, Told};
use crate::id::SpanId;
use crate::kind::{Outcome, SpanKind, Status};
use crate::limits::SpanLimits;
use crate::record::{Facts, Header, Marks};
use crate::recorder::RecorderConfig;
use crate::span_context::SpanContext;
use crate::value::{self, AttributeValue};

use attributes::Attributes;
use course::{Course, Dropped};

/// An open span, as it is edited through [`Span::edit`](crate::Span::edit), [`SharedSpan::edit`](crate::SharedSpan)
/// and [`CurrentSpan`](crate::CurrentSpan).
pub struct LiveSpan {
    context: Context,
    /// Whether anything below means anything: an unsampled span is its context only.
    recording: bool,
    /// See [`unsampled_in`](Self::unsampled_in).
    unsampled_in: u32,
    callsite: &'static Callsite,
    parent: SpanId,
    start: Ticks,
    generation: u32,
    facts: Facts,
    poll_statistics: bool,
    /// Whether the thread was unwinding when the span started: then an unwinding end says nothing about the span.
    began_in_panic: bool,
    last_exit: Ticks,
    attributes: Attributes,
    /// Whether the course has to be emptied for the next span.
    has_course: bool,
    course: Course,
    /// What a measurement of the span tells.
    pub(crate) told: Told,
    /// The number of the recorder that `limits` and `poll_statistics` are of.
    configured: u32,
    limits: SpanLimits,
    body: Buffer,
}

impl LiveSpan {
    /// Sets an attribute, replacing an earlier value of the same key.
    pub fn set_attribute(&mut self, key: impl AsKey, value: impl AttributeValue) {
        self.remove_attribute(key.name());
        self.attribute(&key, value);
    }

    /// Adds an attribute whose key the span does not have yet; cheaper than [`set_attribute`](Self::set_attribute).
    #[inline(always)]
    pub fn attribute(&mut self, key: &impl AsKey, value: impl AttributeValue) {
        if self.attributes.count() >= self.limits.attribute_count || key.name().is_empty() {
            return self.drop_attribute();
        }
        let before = self.body.len();
        let limits = self.limits.values();
        let field = AttributeField::Span;
        value.write(ValueWriter::attribute(&mut self.body, field, key, limits));
        self.attributes.add(self.body.len() != before, key.mark());
    }

    #[cold]
    const fn drop_attribute(&mut self) {
        let course = self.course();
        course.dropped.attributes += 1;
        course.unusual = true;
    }

    /// Adds an event that happens now.
    pub fn add_event(&mut self, name: &str, fill: impl FnOnce(&mut EventFields<'_, '_>)) {
        let time = if self.facts.marks.has(Marks::UNIX) {
            Anchor::now().taken_at_unix_nanos()
        } else {
            clock::now().get()
        };
        self.put_event(name, time, fill);
    }

    /// Adds an event that happened at that unix time, in nanoseconds.
    pub fn add_event_at(
        &mut self,
        name: &str,
        unix_nanos: u64,
        fill: impl FnOnce(&mut EventFields<'_, '_>),
    ) {
        let time = self.time_at(unix_nanos).get();
        self.put_event(name, time, fill);
    }

    fn put_event(&mut self, name: &str, time: u64, fill: impl FnOnce(&mut EventFields<'_, '_>)) {
        let most = self.limits.event_count;
        let course = self.course();
        if course.events >= most {
            course.dropped.events += 1;
            course.unusual = true;
            return;
        }
        course.events += 1;
        self.facts.marks.set(Marks::EVENTS);
        let (limits, most) = (self.limits.values(), self.limits.event_attribute_count);
        wire::put_event(&mut self.body, time, name, |writer| {
            EventFields::write(writer, limits, most, fill);
        });
    }

    /// Adds an `exception` event that describes the error, by the
    /// [conventions for exceptions](https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/). The
    /// status is not changed.
    pub fn record_error<E: Error + ?Sized>(&mut self, error: &E) {
        self.add_exception(
            std::any::type_name::<E>(),
            value::display(&DisplayError(error)),
        );
    }

    pub(crate) fn add_exception(&mut self, kind: &str, message: impl AttributeValue) {
        self.add_event("exception", |event| {
            event.attribute(const { &wire::key!("exception.type") }, kind);
            event.attribute(const { &wire::key!("exception.message") }, message);
        });
    }

    /// Sets the status. [`Status::Ok`] is final, [`Status::Unset`] is ignored; the message belongs to errors only.
    pub fn set_status(&mut self, status: Status, message: &str) {
        if status == Status::Unset || self.facts.status == Status::Ok {
            return;
        }
        if self.facts.status != Status::Unset {
            wire::remove_fields(&mut self.body, STATUS);
        }
        self.facts.status = status;
        if status == Status::Error {
            self.course().unusual = true;
        }
        let message = if status == Status::Error { message } else { "" };
        wire::put_status(&mut self.body, u32::from(status.to_otlp()), message);
    }

    /// Links another span.
    pub fn add_link(&mut self, to: SpanContext) {
        self.add_link_with(to, "", |_| ());
    }

    /// Links another span, with the `tracestate` it came with and attributes of the link.
    pub fn add_link_with(
        &mut self,
        to: SpanContext,
        tracestate: &str,
        fill: impl FnOnce(&mut LinkFields<'_, '_>),
    ) {
        let most = self.limits.link_count;
        let course = self.course();
        if course.links >= most {
            course.dropped.links += 1;
            course.unusual = true;
            return;
        }
        course.links += 1;
        let flags = u32::from(to.trace_flags().to_u8())
            | LINK_HAS_IS_REMOTE
            | if to.is_remote() { LINK_IS_REMOTE } else { 0 };
        let (limits, most) = (self.limits.values(), self.limits.link_attribute_count);
        wire::put_link(
            &mut self.body,
            to.trace_id().to_bytes(),
            to.span_id().to_bytes(),
            tracestate,
            flags,
            |writer| {
                LinkFields::write(writer, limits, most, fill);
            },
        );
    }

    /// Counts what was left out before it came here.
    pub fn add_dropped(&mut self, attributes: u32, events: u32, links: u32) {
        let course = self.course();
        let dropped = &mut course.dropped;
        dropped.attributes = dropped.attributes.saturating_add(attributes);
        dropped.events = dropped.events.saturating_add(events);
        dropped.links = dropped.links.saturating_add(links);
        course.unusual |= *dropped != Dropped::default();
    }

    /// Sets the `tracestate` that the span's context travels with.
    pub fn set_tracestate(&mut self, tracestate: &str) {
        wire::remove_fields(&mut self.body, TRACESTATE);
        wire::put_tracestate(&mut self.body, tracestate);
    }

    /// Sets when the span started, as a unix time in nanoseconds. All times of the span are kept to the nanosecond as
    /// they are given from then on; it comes before any event.
    pub fn start_at(&mut self, unix_nanos: u64) {
        self.facts.marks.set(Marks::UNIX);
        self.start = Ticks::from_raw(unix_nanos);
        self.course.ended_at = None;
    }

    /// Sets that the span started earlier, at that reading of this process's clock: what it is about was going on when
    /// it became known to be worth a span.
    pub fn start_since(&mut self, at: Ticks) {
        if !self.facts.marks.has(Marks::UNIX) {
            self.start = at;
        }
    }

    /// Settles when the span ends, as a unix time in nanoseconds.
    pub(crate) fn end_at(&mut self, unix_nanos: u64) {
        let end = self.time_at(unix_nanos);
        self.course().ended_at = Some(end);
    }

    /// The time as this span notes times.
    fn time_at(&self, unix_nanos: u64) -> Ticks {
        if self.facts.marks.has(Marks::UNIX) {
            Ticks::from_raw(unix_nanos)
        } else {
            Anchor::now().ticks_at(unix_nanos)
        }
    }

    /// The end that [`end_at`](Self::end_at) settled.
    pub(crate) const fn ended_at(&self) -> Option<Ticks> {
        self.course.ended_at
    }

    /// Replaces the name.
    pub fn update_name(&mut self, name: &str) {
        self.update_name_parts(&[name]);
    }

    /// Replaces the name by these parts, one after the other: they need not be put together first.
    ///
    /// ```
    /// use throughline_core::{Callsite, Span, callsite};
    ///
    /// static REQUEST: Callsite = callsite!("HTTP", Server);
    ///
    /// let mut span = Span::start(&REQUEST);
    /// span.edit(|span| span.update_name_parts(&["GET", " ", "/orders/{id}"]));
    /// ```
    pub fn update_name_parts(&mut self, parts: &[&str]) {
        if self.facts.marks.has(Marks::RENAMED) {
            wire::remove_fields(&mut self.body, NAME);
        }
        self.facts.marks.set(Marks::RENAMED);
        wire::put_name_parts(&mut self.body, parts);
    }

    /// Replaces the kind.
    pub const fn set_kind(&mut self, kind: SpanKind) {
        self.facts.kind = kind;
    }

    /// The status so far.
    pub const fn status(&self) -> Status {
        self.facts.status
    }

    /// What most spans do not have, to be written.
    #[inline(always)]
    const fn course(&mut self) -> &mut Course {
        self.has_course = true;
        &mut self.course
    }

    /// What the span knows of its being a handler's.
    #[inline(always)]
    pub(crate) const fn handling(&self) -> &Handling {
        &self.course.handling
    }

    /// The same, to be written.
    #[inline(always)]
    pub(crate) const fn handling_mut(&mut self) -> &mut Handling {
        &mut self.course().handling
    }

    #[inline]
    pub(crate) fn set_context(&mut self, context: Context, recording: bool) {
        self.context = context;
        self.recording = recording;
        if self.has_course {
            self.has_course = false;
            self.course = Course::default();
        }
    }

    /// Settles that no child in that recorder is sampled.
    #[inline]
    pub(crate) const fn settle_unsampled(&mut self, recorder: u32) {
        self.unsampled_in = recorder;
    }

    /// The recorder in which no child is sampled, whatever else holds; zero if a child has to be decided.
    #[inline]
    pub(crate) const fn unsampled_in(&self) -> u32 {
        self.unsampled_in
    }

    #[inline]
    pub(crate) const fn context(&self) -> &Context {
        &self.context
    }

    #[inline]
    pub(crate) const fn is_recording(&self) -> bool {
        self.recording
    }

    #[inline]
    pub(crate) fn begin(
        &mut self,
        callsite: &'static Callsite,
        parent: SpanContext,
        config: &RecorderConfig,
        generation: u32,
        start: Ticks,
    ) {
        self.callsite = callsite;
        self.parent = if parent.is_valid() {
            parent.span_id()
        } else {
            SpanId::INVALID
        };
        self.start = start;
        self.generation = generation;
        let context = self.context.span_context();
        self.facts = Facts {
            kind: callsite.kind(),
            status: Status::Unset,
            outcome: Outcome::Completed,
            marks: Marks::of(context.trace_flags(), parent.is_remote()),
        };
        if self.configured != self.context.recorder() {
            self.configure(config);
        }
        self.began_in_panic = std::thread::panicking();
        self.last_exit = start;
        self.attributes = Attributes::default();
        self.take_up_callsite();
    }

    /// Records the tracestate that the span inherited.
    pub(crate) fn put_tracestate(&mut self) {
        wire::put_tracestate(&mut self.body, self.context.tracestate().as_str());
    }

    /// A box is used for one recorder after another; as a rule for the same.
    #[cold]
    #[inline(never)]
    fn configure(&mut self, config: &RecorderConfig) {
        // Not before: a span that is not sampled has no body.
        if self.body.capacity() == 0 {
            self.body = Buffer::with_capacity(FIRST_CAPACITY);
        }
        self.configured = self.context.recorder();
        self.poll_statistics = config.poll_statistics;
        self.limits = config.limits;
        self.limits.attribute_count = self.limits.attribute_count.min(Attributes::MOST);
    }

    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }

    /// When the span started.
    pub const fn start(&self) -> Ticks {
        self.start
    }

    pub(crate) const fn last_exit(&self) -> Ticks {
        self.last_exit
    }

    pub(crate) const fn polls(&self) -> u32 {
        self.course.polls.count
    }

    /// Whether it matters how the span ends.
    #[inline]
    pub(crate) const fn ends_somehow(&self) -> bool {
        self.recording || self.course.handling.is_measured
    }

    pub(crate) const fn counts_polls(&self) -> bool {
        self.recording && self.poll_statistics
    }

    /// Whether the thread started to unwind since the span began.
    fn is_unwinding(&self) -> bool {
        std::thread::panicking() && !self.began_in_panic
    }

    pub(crate) const fn was_unwound(&self) -> bool {
        self.course.unwound
    }

    pub(crate) const fn abandon(&mut self) {
        let course = self.course();
        course.handling.is_abandoned = true;
        course.unusual = true;
    }

    pub(crate) const fn mark_unwound(&mut self) {
        self.course().unwound = true;
    }

    /// How the span ends if nobody knows better.
    #[inline]
    pub(crate) fn outcome_so_far(&self) -> Outcome {
        if self.is_unwinding() {
            Outcome::Panicked
        } else {
            Outcome::Completed
        }
    }

    /// Adds one poll, or one stay inside an entered span.
    #[inline]
    pub(crate) fn add_poll(&mut self, entered: Ticks, left: Ticks) {
        let busy = left.since(entered);
        let polls = &mut self.course().polls;
        polls.count = polls.count.saturating_add(1);
        polls.busy = polls.busy.saturating_add(busy);
        polls.longest = polls.longest.max(busy);
        self.last_exit = left;
    }

    /// Adds what the task of this future waited for a poll, while the span was open.
    #[inline]
    pub(crate) const fn add_schedule_latency(&mut self, nanos: u64) {
        let polls = &mut self.course().polls;
        polls.schedule_latency_nanos = polls.schedule_latency_nanos.saturating_add(nanos);
    }

    #[inline]
    pub(crate) fn header(&mut self, end: Ticks) -> Header {
        // A span that was entered once was busy all the time, which says nothing.
        let polls = &self.course.polls;
        if polls.count > 1 || polls.schedule_latency_nanos > 0 {
            self.put_polls();
        }
        self.header_under(self.parent, end)
    }

    #[inline(always)]
    fn header_under(&self, parent: SpanId, end: Ticks) -> Header {
        let end = if self.facts.marks.has(Marks::UNIX) {
            self.unix_end(end)
        } else {
            end
        };
        Header {
            trace_id: self.context.trace_id(),
            span_id: self.context.span_id(),
            parent,
            start: self.start,
            end,
            callsite: self.callsite.number(),
            facts: self.facts,
        }
    }

    /// The end of a span whose times are unix times.
    #[cold]
    #[inline(never)]
    fn unix_end(&self, end: Ticks) -> Ticks {
        self.course
            .ended_at
            .unwrap_or_else(|| Ticks::from_raw(Anchor::now().unix_nanos(end)))
    }

    #[inline(never)]
    fn put_polls(&mut self) {
        self.facts.marks.set(Marks::POLLS);
        let polls = self.course.polls;
        self.body.extend_from_slice(&polls.encode());
    }

    #[inline]
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Empties the buffer for the next span; one that grew large is given back.
    #[inline]
    pub(crate) fn recycle(&mut self) {
        self.body.clear();
        self.context.forget_extras();
        if self.body.capacity() > KEPT_CAPACITY {
            self.body = Buffer::new();
        }
    }
}

impl Default for LiveSpan {
    fn default() -> Self {
        Self {
            context: Context::default(),
            recording: false,
            unsampled_in: 0,
            callsite: &NOWHERE,
            parent: SpanId::INVALID,
            start: Ticks::default(),
            generation: 0,
            facts: Facts::default(),
            poll_statistics: false,
            began_in_panic: false,
            last_exit: Ticks::default(),
            attributes: Attributes::default(),
            has_course: false,
            course: Course::default(),
            told: Told::default(),
            configured: 0,
            limits: SpanLimits::DEFAULT,
            body: Buffer::new(),
        }
    }
}

impl fmt::Debug for LiveSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSpan")
            .field("context", &self.context)
            .field("status", &self.facts.status)
            .finish_non_exhaustive()
    }
}

/// Lets an unsized error be formatted through `dyn Display`.
struct DisplayError<'a, E: ?Sized>(&'a E);

impl<E: Error + ?Sized> fmt::Display for DisplayError<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)
    }
}

/// The callsite of a span that was never begun.
static NOWHERE: Callsite = crate::callsite!("", Internal);
/// Number of the field `Span.trace_state`.
const TRACESTATE: u32 = 3;
/// Number of the field `Span.name`.
const NAME: u32 = 5;
/// Number of the field `Span.status`.
const STATUS: u32 = 15;
/// `SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`, which links use as spans do.
const LINK_HAS_IS_REMOTE: u32 = 0x100;
/// `SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`, which links use as spans do.
const LINK_IS_REMOTE: u32 = 0x200;
/// What a new buffer can hold before it grows.
const FIRST_CAPACITY: usize = 512;
/// The largest buffer that is kept for the next span.
const KEPT_CAPACITY: usize = 64 << 10;
