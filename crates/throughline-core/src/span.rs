//! Spans as values: made, entered, edited and ended by whoever holds them.

use std::error::Error;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;

use throughline_wire::AsKey;

use crate::callsite::Callsite;
use crate::clock::{self, Ticks};
use crate::context::{Context, Parent};
use crate::fields::EventFields;
use crate::kind::{Outcome, SpanKind, Status};
use crate::live::LiveSpan;
use crate::local::{self, Started, Token};
use crate::schedule;
use crate::shared::SharedSpan;
use crate::span_context::SpanContext;
use crate::value::AttributeValue;

/// A span that is open and not entered. It ends when it is dropped.
///
/// A span may be held, sent to another thread and ended there. To make it the parent of what happens next, [enter
/// it](Self::enter) for a synchronous block, or wrap a future with
/// [`FutureExt::in_span`](crate::FutureExt::in_span).
#[derive(Debug)]
#[must_use = "a span that is dropped at once measures nothing; enter it or wrap a future in it"]
pub struct Span {
    /// The destructor takes it, so that dropping a span without one is a test of a word.
    live: ManuallyDrop<Option<Box<LiveSpan>>>,
}

impl Span {
    /// Starts a span under the current context.
    ///
    /// Costs one relaxed load if the callsite is disabled, two identifiers at most if the trace is not sampled.
    #[inline]
    pub fn start(callsite: &'static Callsite) -> Self {
        if !callsite.is_enabled() {
            return Self::disabled();
        }
        Self {
            live: ManuallyDrop::new(local::start_here(callsite)),
        }
    }

    /// Starts a span under the given parent.
    #[inline]
    pub fn start_with(callsite: &'static Callsite, parent: impl Into<Parent>) -> Self {
        if !callsite.is_enabled() {
            return Self::disabled();
        }
        Self {
            live: ManuallyDrop::new(local::start(callsite, &parent.into())),
        }
    }

    /// Starts a child of that context at that reading of this process's clock: where something else ends when the span
    /// begins, such as the wait of a message, one reading serves both.
    ///
    /// ```
    /// use throughline_core::{Callsite, Context, Span, callsite, clock};
    ///
    /// static HANDLE: Callsite = callsite!("handle", Internal);
    ///
    /// let sender = Context::current();
    /// let span = Span::start_child_at(&HANDLE, &sender, clock::now());
    /// ```
    #[inline]
    pub fn start_child_at(callsite: &'static Callsite, parent: &Context, at: Ticks) -> Self {
        if !callsite.is_enabled() {
            return Self::disabled();
        }
        Self {
            live: ManuallyDrop::new(local::start_child(callsite, parent, at)),
        }
    }

    /// A span that is not there: it records nothing and does not become current.
    #[inline]
    pub const fn disabled() -> Self {
        Self {
            live: ManuallyDrop::new(None),
        }
    }

    /// A span that is no new one: it makes the context current wherever it is entered, and records nothing. What starts
    /// under it is a child of the context's span.
    ///
    /// ```
    /// use throughline_core::{Context, Span};
    ///
    /// let sender = Context::current();
    /// let span = Span::standing_for(&sender);
    /// assert!(!span.is_recording());
    /// assert_eq!(span.context(), sender);
    /// ```
    pub fn standing_for(context: &Context) -> Self {
        Self {
            live: ManuallyDrop::new(Some(local::stand_in(context))),
        }
    }

    /// Whether what is recorded on the span goes anywhere. Expensive values need not be computed otherwise.
    #[inline]
    pub fn is_recording(&self) -> bool {
        self.live.as_deref().is_some_and(LiveSpan::is_recording)
    }

    /// Whether the span is not there at all; an unsampled span is there.
    #[inline]
    pub fn is_disabled(&self) -> bool {
        self.live.is_none()
    }

    /// The context that makes others children of this span; an empty one if the span is disabled.
    pub fn context(&self) -> Context {
        self.live
            .as_deref()
            .map(|live| live.context().clone())
            .unwrap_or_default()
    }

    /// Adds an attribute whose key the span does not have yet, without looking for an earlier value.
    #[inline]
    pub fn attribute(&mut self, key: &impl AsKey, value: impl AttributeValue) {
        self.edit(|live| live.attribute(key, value));
    }

    /// Edits the span, if it is recording.
    #[inline]
    pub fn edit<R>(&mut self, edit: impl FnOnce(&mut LiveSpan) -> R) -> Option<R> {
        self.recording().map(edit)
    }

    /// The open span, if it is recording: several edits ask once.
    #[inline]
    pub fn recording(&mut self) -> Option<&mut LiveSpan> {
        self.live.as_deref_mut().filter(|live| live.is_recording())
    }

    /// Makes the span current on this thread until the guard is dropped, which ends it.
    #[inline]
    pub fn enter(mut self) -> SpanGuard {
        match self.push() {
            Some(token) => SpanGuard::of_frame(token),
            None => SpanGuard {
                place: Place::Outside(self),
                not_send: PhantomData,
            },
        }
    }

    /// Runs `f` with the span current, then ends the span.
    pub fn in_scope<R>(self, f: impl FnOnce() -> R) -> R {
        let _guard = self.enter();
        f()
    }

    /// Turns the span into one that several threads may enter and edit.
    pub fn share(mut self) -> SharedSpan {
        SharedSpan::new(self.live.take())
    }

    /// Ends the span now.
    #[inline]
    pub fn end(self) {
        drop(self);
    }

    #[inline]
    pub(crate) fn from_live(live: Box<LiveSpan>) -> Self {
        Self {
            live: ManuallyDrop::new(Some(live)),
        }
    }

    #[inline]
    pub(crate) fn live(&self) -> Option<&LiveSpan> {
        self.live.as_deref()
    }

    #[inline]
    pub(crate) fn live_mut(&mut self) -> Option<&mut LiveSpan> {
        self.live.as_deref_mut()
    }

    /// Moves the span onto the thread's stack; it stays here if it is disabled or the stack cannot be reached.
    #[inline]
    pub(crate) fn push(&mut self) -> Option<Token> {
        if self.live.is_some() {
            local::enter(&mut self.live)
        } else {
            None
        }
    }

    /// Makes the span current for a poll, which begins when the span started if it is `fresh`.
    #[inline(never)]
    pub(crate) fn begin_poll(&mut self, fresh: bool) -> Poll {
        let Some(live) = self.live.as_deref_mut() else {
            return Poll::UNCOUNTED;
        };
        let began = match live.counts_polls() {
            true if fresh => live.start(),
            true => {
                let waited = schedule::waited_since(live.start());
                if waited > 0 {
                    live.add_schedule_latency(waited);
                }
                clock::now()
            }
            false => Poll::UNCOUNTED.began,
        };
        Poll {
            token: local::enter_inlined(&mut self.live),
            began,
        }
    }

    /// Makes the span current for something else than a poll.
    pub(crate) fn begin_uncounted(&mut self) -> Poll {
        Poll {
            token: self.push(),
            ..Poll::UNCOUNTED
        }
    }

    /// Moves the span back from the thread's stack. Returns when the poll ended, if it counts.
    #[inline(never)]
    pub(crate) fn end_poll(&mut self, poll: Poll) -> Option<Ticks> {
        if let Some(token) = poll.token {
            *self.live = local::leave_inlined(token);
        }
        if poll.began == Poll::UNCOUNTED.began {
            return None;
        }
        let left = clock::now();
        self.edit(|live| live.add_poll(poll.began, left));
        Some(left)
    }

    /// Notes that a poll of the span unwound.
    #[cold]
    pub(crate) fn mark_unwound(&mut self) {
        if let Some(live) = self.live.as_deref_mut() {
            live.mark_unwound();
        }
    }

    /// Ends the span at that time, in that way.
    pub(crate) fn finish(&mut self, outcome: Outcome, end: Option<Ticks>) {
        if let Some(mut live) = self.live.take() {
            live.finish(outcome);
            local::end(live, end);
        }
    }

    #[cold]
    fn finish_as_it_is(&mut self) {
        let outcome = self
            .live
            .as_deref()
            .map_or(Outcome::Completed, LiveSpan::outcome_so_far);
        self.finish(outcome, None);
    }
}

/// A poll that a span is current in. Two words, which stay in registers.
#[derive(Clone, Copy)]
pub(crate) struct Poll {
    token: Option<Token>,
    began: Ticks,
}

impl Poll {
    /// A poll whose time does not matter. No reading is zero.
    const UNCOUNTED: Self = Self {
        token: None,
        began: Ticks::from_raw(0),
    };

    /// The same, whose time does not matter after all.
    pub(crate) const fn uncounted(self) -> Self {
        Self {
            token: self.token,
            ..Self::UNCOUNTED
        }
    }
}

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        if self.live.is_some() {
            self.finish_as_it_is();
        }
    }
}

/// Keeps a span current on this thread; ends it when dropped.
///
/// Guards may be dropped in any order. The type is neither `Send` nor usable across `.await`: a future that holds one
/// cannot be spawned on a multi-threaded runtime, which turns that mistake into a compile error.
#[derive(Debug)]
#[must_use = "the span is current only while the guard lives; bind it to a name such as `_guard`"]
pub struct SpanGuard {
    place: Place,
    not_send: PhantomData<*const ()>,
}

/// Where the span of a guard is.
#[derive(Debug)]
enum Place {
    /// On the thread's stack.
    Frame(Token),
    /// Nowhere else: it is disabled, or the stack could not take it.
    Outside(Span),
}

impl SpanGuard {
    /// Starts a span under the current context, lets `fill` record what it starts with, and enters it.
    #[inline]
    pub(crate) fn start(callsite: &'static Callsite, fill: impl FnOnce(&mut LiveSpan)) -> Self {
        Self::of(local::start_to_enter(callsite), fill)
    }

    /// Like [`start`](Self::start), under the given parent.
    #[inline]
    pub(crate) fn start_with(
        callsite: &'static Callsite,
        parent: &Parent,
        fill: impl FnOnce(&mut LiveSpan),
    ) -> Self {
        Self::of(local::start_to_enter_under(callsite, parent), fill)
    }

    #[inline(always)]
    fn of(started: Started, fill: impl FnOnce(&mut LiveSpan)) -> Self {
        match started {
            Started::Nothing => Self::disabled(),
            Started::Entered(token) => Self::of_frame(token),
            Started::Span(live) => Self::fill_and_enter(live, fill),
        }
    }

    #[inline(always)]
    fn fill_and_enter(live: Box<LiveSpan>, fill: impl FnOnce(&mut LiveSpan)) -> Self {
        let mut span = Span::from_live(live);
        span.edit(fill);
        span.enter()
    }

    #[inline(always)]
    const fn of_frame(token: Token) -> Self {
        Self {
            place: Place::Frame(token),
            not_send: PhantomData,
        }
    }

    /// The guard of a span that is not there.
    #[inline(always)]
    pub(crate) const fn disabled() -> Self {
        Self {
            place: Place::Outside(Span::disabled()),
            not_send: PhantomData,
        }
    }

    /// Leaves the span without ending it.
    pub fn exit(mut self) -> Span {
        self.leave()
    }

    /// Takes the span to where only this guard has it.
    fn leave(&mut self) -> Span {
        match std::mem::replace(&mut self.place, Place::Outside(Span::disabled())) {
            Place::Frame(token) => Span {
                live: ManuallyDrop::new(local::leave_as_span(token)),
            },
            Place::Outside(span) => span,
        }
    }

    /// Edits the span, if it is recording.
    pub fn edit<R>(&mut self, edit: impl FnOnce(&mut LiveSpan) -> R) -> Option<R> {
        let token = match &mut self.place {
            Place::Outside(span) => return span.edit(edit),
            Place::Frame(token) => *token,
        };
        let mut span = Span {
            live: ManuallyDrop::new(local::leave_as_span(token)),
        };
        // What unwinds out of the edit ends the span, since nothing else has it.
        self.place = Place::Outside(Span::disabled());
        let result = span.edit(edit);
        *self = span.enter();
        result
    }
}

impl Drop for SpanGuard {
    #[inline(always)]
    fn drop(&mut self) {
        if let Place::Frame(token) = self.place {
            local::end_entered(token);
        }
    }
}

/// The editing methods that every handle of a span has. `$edit` is the handle's way to an open span.
macro_rules! editing {
    ($receiver:ty) => {
        /// Sets an attribute, replacing an earlier value of the same key.
        pub fn set_attribute(self: $receiver, key: impl AsKey, value: impl AttributeValue) {
            self.edit(|span| span.set_attribute(key, value));
        }

        /// Adds an event that happens now; `fill` gives it attributes.
        pub fn add_event(self: $receiver, name: &str, fill: impl FnOnce(&mut EventFields<'_, '_>)) {
            self.edit(|span| span.add_event(name, fill));
        }

        /// Adds an `exception` event that describes the error; the status is not changed.
        pub fn record_error<E: Error + ?Sized>(self: $receiver, error: &E) {
            self.edit(|span| span.record_error(error));
        }

        /// Sets the status. [`Status::Ok`] is final; the message belongs to errors only.
        pub fn set_status(self: $receiver, status: Status, message: &str) {
            self.edit(|span| span.set_status(status, message));
        }

        /// Links another span.
        pub fn add_link(self: $receiver, to: impl Into<SpanContext>) {
            let to = to.into();
            self.edit(|span| span.add_link(to));
        }

        /// Replaces the name.
        pub fn update_name(self: $receiver, name: &str) {
            self.edit(|span| span.update_name(name));
        }

        /// Replaces the kind.
        pub fn set_kind(self: $receiver, kind: SpanKind) {
            self.edit(|span| span.set_kind(kind));
        }
    };
}

pub(crate) use editing;

impl Span {
    editing!(&mut Self);
}

impl SpanGuard {
    editing!(&mut Self);
}

impl From<Context> for SpanContext {
    fn from(context: Context) -> Self {
        context.span_context()
    }
}

impl From<&Context> for SpanContext {
    fn from(context: &Context) -> Self {
        context.span_context()
    }
}
