//! Spans as values: made, entered, edited and ended by whoever holds them.

use std::error::Error;
use std::marker::PhantomData;

use throughline_wire::AsKey;

use crate::callsite::Callsite;
use crate::clock::{self, Ticks};
use crate::context::{Context, Parent};
use crate::kind::{Outcome, SpanKind, Status};
use crate::live::{EventFields, LiveSpan};
use crate::local::{self, Live, Token};
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
    context: Context,
    live: Option<Box<LiveSpan>>,
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
        local::with_any(|local| local.start_here(callsite))
    }

    /// Starts a span under the given parent.
    #[inline]
    pub fn start_with(callsite: &'static Callsite, parent: impl Into<Parent>) -> Self {
        if !callsite.is_enabled() {
            return Self::disabled();
        }
        let parent = parent.into();
        local::with_any(|local| local.start(callsite, &parent))
    }

    /// A span that is not there: it records nothing and does not become current.
    #[inline]
    pub fn disabled() -> Self {
        Self {
            context: Context::default(),
            live: None,
        }
    }

    /// Whether what is recorded on the span goes anywhere. Expensive values need not be computed otherwise.
    #[inline]
    pub const fn is_recording(&self) -> bool {
        self.live.is_some()
    }

    /// Whether the span is not there at all; an unsampled span is there.
    #[inline]
    pub fn is_disabled(&self) -> bool {
        self.live.is_none() && !self.context.span_context().is_valid()
    }

    /// The context that makes others children of this span.
    #[inline]
    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// Adds an attribute whose key the span does not have yet, without looking for an earlier value.
    #[inline]
    pub fn attribute(&mut self, key: &impl AsKey, value: impl AttributeValue) {
        if let Some(live) = &mut self.live {
            live.attribute(key, value);
        }
    }

    /// Edits the span, if it is recording.
    #[inline]
    pub fn edit<R>(&mut self, edit: impl FnOnce(&mut LiveSpan) -> R) -> Option<R> {
        self.live.as_deref_mut().map(edit)
    }

    /// Makes the span current on this thread until the guard is dropped, which ends it.
    #[inline]
    pub fn enter(mut self) -> SpanGuard {
        let mut guard = SpanGuard {
            token: None,
            outside: None,
            not_send: PhantomData,
        };
        if self.is_disabled() {
            return guard;
        }
        guard.token = self.push();
        if guard.token.is_none() {
            guard.outside = Some(Box::new(self));
        }
        guard
    }

    /// Runs `f` with the span current, then ends the span.
    pub fn in_scope<R>(self, f: impl FnOnce() -> R) -> R {
        let _guard = self.enter();
        f()
    }

    /// Turns the span into one that several threads may enter and edit.
    pub fn share(mut self) -> SharedSpan {
        SharedSpan::new(self.context.clone(), self.live.take())
    }

    /// Ends the span now.
    #[inline]
    pub fn end(self) {
        drop(self);
    }

    #[inline]
    pub(crate) fn from_parts(context: Context, live: Option<Box<LiveSpan>>) -> Self {
        Self { context, live }
    }

    #[inline]
    pub(crate) const fn live(&self) -> Option<&LiveSpan> {
        match &self.live {
            Some(live) => Some(live),
            None => None,
        }
    }

    /// Moves the span onto the thread's stack; it stays here if the stack cannot be reached.
    #[inline]
    pub(crate) fn push(&mut self) -> Option<Token> {
        local::with(|local| {
            let live = self.live.take().map_or(Live::None, Live::Owned);
            local.push(self.context.clone(), live)
        })
    }

    /// Like [`push`](Self::push), for a span that is there.
    pub(crate) fn push_unless_disabled(&mut self) -> Option<Token> {
        if self.is_disabled() {
            None
        } else {
            self.push()
        }
    }

    /// Moves the span back from the thread's stack.
    #[inline]
    pub(crate) fn pop(&mut self, token: Token) {
        let frame = local::with(|local| local.remove(token)).flatten();
        if let Some(Live::Owned(live)) = frame.map(|frame| frame.live) {
            self.live = Some(live);
        }
    }

    /// Ends the span at that time, in that way.
    #[inline]
    pub(crate) fn finish(&mut self, outcome: Outcome, end: Ticks) {
        if let Some(live) = self.live.take() {
            finish(&self.context, live, outcome, end);
        }
    }
}

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            let outcome = if live.is_unwinding() {
                Outcome::Panicked
            } else {
                Outcome::Completed
            };
            finish(&self.context, live, outcome, clock::now());
        }
    }
}

#[inline]
pub(crate) fn finish(context: &Context, mut live: Box<LiveSpan>, outcome: Outcome, end: Ticks) {
    live.finish(outcome);
    local::with_any(|local| local.end(context, live, end));
}

/// Keeps a span current on this thread; ends it when dropped.
///
/// Guards may be dropped in any order. The type is neither `Send` nor usable across `.await`: a future that holds one
/// cannot be spawned on a multi-threaded runtime, which turns that mistake into a compile error.
#[derive(Debug)]
#[must_use = "the span is current only while the guard lives; bind it to a name such as `_guard`"]
pub struct SpanGuard {
    token: Option<Token>,
    /// The span, if the thread's stack could not take it.
    outside: Option<Box<Span>>,
    not_send: PhantomData<*const ()>,
}

impl SpanGuard {
    /// Leaves the span without ending it.
    pub fn exit(mut self) -> Span {
        self.take().unwrap_or_else(Span::disabled)
    }

    /// Edits the span, if it is recording.
    pub fn edit<R>(&mut self, edit: impl FnOnce(&mut LiveSpan) -> R) -> Option<R> {
        if let Some(span) = &mut self.outside {
            return span.edit(edit);
        }
        let token = self.token?;
        let mut frame = local::with(|local| local.remove(token)).flatten()?;
        let result = match &mut frame.live {
            Live::Owned(live) => Some(edit(live)),
            _ => None,
        };
        self.token = local::with(|local| local.push(frame.context, frame.live));
        result
    }

    fn take(&mut self) -> Option<Span> {
        // Taken, so that the destructor finds nothing to end.
        let Some(token) = self.token.take() else {
            return self.outside.take().map(|span| *span);
        };
        let frame = local::with(|local| local.remove(token)).flatten()?;
        let live = if let Live::Owned(live) = frame.live {
            Some(live)
        } else {
            None
        };
        Some(Span::from_parts(frame.context, live))
    }
}

impl Drop for SpanGuard {
    #[inline]
    fn drop(&mut self) {
        if let Some(token) = self.token {
            local::with(|local| local.end_entered(token));
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
