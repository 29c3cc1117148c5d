//! The context: what children inherit, and what crosses tasks, threads and queues.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::id::{SpanId, TraceFlags, TraceId};
use crate::local::{self, Token};
use crate::propagate::{Baggage, Decision, Extras, TraceState};
use crate::rest::Rest;
use crate::span_context::SpanContext;
use crate::switch;

/// The identity of a span together with the recorder its trace goes to: cheap to copy, to send and to store.
///
/// A context never holds its span open. A message that waits in a queue with a context does not delay the end of the
/// sender's span.
///
/// ```
/// use throughline_core::Context;
///
/// let context = Context::current();
/// std::thread::spawn(move || {
///     let _guard = context.attach();
///     // Spans that start here are children of the span that was current above.
/// })
/// .join()
/// .unwrap();
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Context {
    trace_id: TraceId,
    span_id: SpanId,
    /// What most traces do not have; never there without content, so that contexts compare by what they mean.
    extras: Option<Arc<Extras>>,
    rest: Rest,
}

impl Context {
    #[inline]
    pub(crate) const fn new(span: SpanContext, recorder: u32) -> Self {
        Self::with_extras(span, recorder, None)
    }

    #[inline]
    pub(crate) const fn with_extras(
        span: SpanContext,
        recorder: u32,
        extras: Option<Arc<Extras>>,
    ) -> Self {
        Self {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            extras,
            rest: Rest::new(recorder, span.trace_flags(), span.is_remote()),
        }
    }

    /// The context that is current on this thread; an empty one where none is.
    #[inline]
    pub fn current() -> Self {
        if let Some(inner) = switch::inner() {
            return inner.context;
        }
        local::with(local::Local::here).unwrap_or_default()
    }

    /// Whether a context is current on this thread: what schedulers ask before they look at it.
    ///
    /// ```
    /// use throughline_core::Context;
    ///
    /// assert!(!Context::has_current());
    /// let _guard = Context::default().attach();
    /// assert!(Context::has_current());
    /// ```
    #[inline]
    pub fn has_current() -> bool {
        local::with(|local| !local.is_vacant()).unwrap_or(false)
    }

    /// The span's identity; [invalid](SpanContext::is_valid) in an empty context.
    #[inline]
    pub const fn span_context(&self) -> SpanContext {
        SpanContext::new(
            self.trace_id,
            self.span_id,
            self.rest.flags(),
            self.rest.is_remote(),
        )
    }

    /// The same recorder without the span: what starts under it starts a new trace.
    ///
    /// ```
    /// use throughline_core::Context;
    ///
    /// assert!(!Context::current().without_span().span_context().is_valid());
    /// ```
    #[must_use]
    pub const fn without_span(&self) -> Self {
        Self::new(SpanContext::INVALID, self.recorder())
    }

    #[inline]
    pub(crate) const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    #[inline]
    pub(crate) const fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// The number of the recorder, zero for whichever is process-wide.
    #[inline]
    pub(crate) const fn recorder(&self) -> u32 {
        self.rest.recorder()
    }

    /// The context of a local child that has nothing of its own but an identifier.
    #[inline(always)]
    pub(crate) const fn with_span_id(&self, span_id: SpanId) -> Self {
        Self {
            trace_id: self.trace_id,
            span_id,
            extras: None,
            rest: self.rest.local(),
        }
    }

    /// This context in that recorder.
    #[inline]
    pub(crate) fn in_recorder(mut self, recorder: u32) -> Self {
        self.rest = self.rest.in_recorder(recorder);
        self
    }

    /// A copy in that recorder of a context without extras.
    #[inline(always)]
    pub(crate) const fn plain_in_recorder(&self, recorder: u32) -> Self {
        Self {
            trace_id: self.trace_id,
            span_id: self.span_id,
            extras: None,
            rest: self.rest.in_recorder(recorder),
        }
    }

    /// The same, as what it is, if there are no extras.
    #[inline(always)]
    pub(crate) const fn plain(&self) -> Option<Plain> {
        match self.extras {
            None => Some(Plain {
                trace_id: self.trace_id,
                span_id: self.span_id,
                rest: self.rest,
            }),
            Some(_) => None,
        }
    }

    /// The vendors' data that travels with the trace; empty unless some came with a request or was set.
    ///
    /// ```
    /// use throughline_core::{Context, SpanContext, propagate::TraceState};
    ///
    /// let parent = SpanContext::parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")?;
    /// let context = Context::from(parent).with_tracestate(TraceState::parse(["vendor=x"]).unwrap());
    /// assert_eq!(context.tracestate().get("vendor"), Some("x"));
    /// # Ok::<(), throughline_core::TraceparentError>(())
    /// ```
    pub fn tracestate(&self) -> &TraceState {
        self.extras
            .as_deref()
            .map_or(&NO_TRACESTATE, |extras| &extras.tracestate)
    }

    /// This context with that `tracestate`, which its spans export and their children inherit.
    ///
    /// A tracestate belongs to a trace: a context without a [valid](SpanContext::is_valid) span keeps none.
    #[must_use]
    pub fn with_tracestate(self, tracestate: TraceState) -> Self {
        // As most traces have it: told without a look at texts.
        let has_none = self.extras.is_none() && tracestate.is_empty();
        if has_none || !self.span_context().is_valid() || *self.tracestate() == tracestate {
            return self;
        }
        self.edit_extras(|extras| extras.tracestate = tracestate)
    }

    /// What the application sends along with its requests; empty unless some came with a request or was set.
    ///
    /// ```
    /// use throughline_core::{Context, propagate::Baggage};
    ///
    /// let mut baggage = Baggage::new();
    /// baggage.insert("tenant", "blue")?;
    /// let _here = Context::current().with_baggage(baggage).attach();
    /// assert_eq!(Context::current().baggage().get("tenant"), Some("blue"));
    /// # Ok::<(), throughline_core::propagate::BaggageError>(())
    /// ```
    pub fn baggage(&self) -> &Baggage {
        self.extras
            .as_deref()
            .map_or(&NO_BAGGAGE, |extras| &extras.baggage)
    }

    /// This context with that baggage, which everything under it inherits. An empty one clears it.
    #[must_use]
    pub fn with_baggage(self, baggage: Baggage) -> Self {
        if *self.baggage() == baggage {
            return self;
        }
        self.edit_extras(|extras| extras.baggage = baggage)
    }

    /// What most contexts do not have.
    #[inline]
    pub(crate) const fn extras(&self) -> Option<&Arc<Extras>> {
        self.extras.as_ref()
    }

    pub(crate) fn edit_extras(mut self, edit: impl FnOnce(&mut Extras)) -> Self {
        let mut extras = self.extras.take().unwrap_or_default();
        edit(Arc::make_mut(&mut extras));
        self.extras = (*extras != Extras::default()).then_some(extras);
        self
    }

    /// Gives up what a pooled span would keep alive.
    #[inline]
    pub(crate) fn forget_extras(&mut self) {
        if self.extras.is_some() {
            self.extras = None;
        }
    }

    /// Whether the span's caller left it to us whether the trace is recorded, and nobody has decided since.
    pub(crate) fn is_deferred(&self) -> bool {
        self.rest.is_remote() && self.decision() == Decision::Deferred
    }

    pub(crate) fn decision(&self) -> Decision {
        let extras = self.extras.as_deref();
        extras.map_or(Decision::InFlags, |extras| extras.decision)
    }

    pub(crate) fn is_debug(&self) -> bool {
        self.extras.as_deref().is_some_and(|extras| extras.debug)
    }

    /// This context with what a header said. What belongs to the trace stays if it is the same trace.
    pub(crate) fn received(self, span: SpanContext, decision: Decision, debug: bool) -> Self {
        let context = self.with_remote(span);
        if context.decision() == decision && (context.is_debug() || !debug) {
            return context;
        }
        context.edit_extras(|extras| {
            extras.decision = decision;
            extras.debug |= debug;
        })
    }

    fn with_remote(mut self, span: SpanContext) -> Self {
        let mut flags = span.trace_flags();
        if self.trace_id == span.trace_id() {
            flags = TraceFlags::from_u8(
                flags.to_u8() | self.rest.flags().to_u8() & TraceFlags::RANDOM.to_u8(),
            );
        } else if let Some(extras) = self.extras.take() {
            self.extras = extras.baggage_only();
        }
        let span = SpanContext::new(span.trace_id(), span.span_id(), flags, true);
        Self::with_extras(span, self.recorder(), self.extras)
    }

    /// The context of another span whose trace goes to the same recorder as this one's. Baggage stays; what belongs to
    /// the trace stays if it is the same one.
    ///
    /// ```
    /// use throughline_core::{Context, SpanContext};
    ///
    /// let here = Context::current().with_span(SpanContext::INVALID);
    /// assert!(!here.span_context().is_valid());
    /// ```
    #[must_use]
    pub fn with_span(&self, span: SpanContext) -> Self {
        let extras = self.extras.as_ref();
        let extras = if self.trace_id == span.trace_id() {
            extras.cloned()
        } else {
            extras.and_then(|extras| extras.baggage_only())
        };
        Self::with_extras(span, self.recorder(), extras).with_hops(self.hops())
    }

    /// How many messages passed between the start of the trace in this process and this context.
    ///
    /// Spans inherit the number from their parent, a new trace begins at zero; what hands messages on adds one, and
    /// starts a new trace once there are too many, so that a trace cannot go on forever.
    #[inline]
    pub const fn hops(&self) -> u8 {
        self.rest.hops()
    }

    /// The same context with another number of [hops](Self::hops).
    ///
    /// ```
    /// use throughline_core::Context;
    ///
    /// let sent = Context::current();
    /// let received = sent.clone().with_hops(sent.hops().saturating_add(1));
    /// assert_eq!(received.hops(), 1);
    /// ```
    #[inline]
    #[must_use]
    pub const fn with_hops(mut self, hops: u8) -> Self {
        self.rest = self.rest.with_hops(hops);
        self
    }

    /// Makes this the current context of the thread until the guard is dropped.
    #[inline]
    pub fn attach(&self) -> ContextGuard {
        ContextGuard {
            token: local::attach(self),
            not_send: PhantomData,
        }
    }
}

/// A context that has nothing beside its identifiers, as most have: copied in a few words, and there is nothing to drop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain {
    trace_id: TraceId,
    span_id: SpanId,
    rest: Rest,
}

impl Plain {
    #[inline(always)]
    pub(crate) const fn recorder(self) -> u32 {
        self.rest.recorder()
    }

    /// The context of a local child.
    #[inline(always)]
    pub(crate) const fn child(self, span_id: SpanId) -> Self {
        Self {
            trace_id: self.trace_id,
            span_id,
            rest: self.rest.local(),
        }
    }

    /// The same as any other context.
    #[inline(always)]
    pub(crate) const fn context(self) -> Context {
        Context {
            trace_id: self.trace_id,
            span_id: self.span_id,
            extras: None,
            rest: self.rest,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("trace_id", &self.trace_id)
            .field("span_id", &self.span_id)
            .field("recorder", &self.rest.recorder())
            .field("flags", &self.rest.flags())
            .field("remote", &self.rest.is_remote())
            .field("extras", &self.extras)
            .field("hops", &self.rest.hops())
            .finish()
    }
}

static NO_TRACESTATE: TraceState = TraceState::new();
static NO_BAGGAGE: Baggage = Baggage::new();

impl From<SpanContext> for Context {
    /// A context received from elsewhere; its trace goes to the recorder that is current where it is used.
    fn from(span: SpanContext) -> Self {
        Self::new(span, 0)
    }
}

/// Restores the previous context of the thread when dropped.
///
/// Guards may be dropped in any order: each removes what it added and nothing else.
#[derive(Debug)]
#[must_use = "the context is current only while the guard lives"]
pub struct ContextGuard {
    token: Option<Token>,
    not_send: PhantomData<*const ()>,
}

impl Drop for ContextGuard {
    #[inline]
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            local::detach(token);
        }
    }
}

/// What a new span is a child of.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Parent {
    /// The context that is current on the thread.
    #[default]
    Current,
    /// Nothing: the span starts a trace, in the recorder that is current.
    Root,
    /// This context.
    Context(Context),
}

impl From<Context> for Parent {
    fn from(context: Context) -> Self {
        Self::Context(context)
    }
}

impl From<&Context> for Parent {
    fn from(context: &Context) -> Self {
        Self::Context(context.clone())
    }
}

impl From<SpanContext> for Parent {
    fn from(span: SpanContext) -> Self {
        Self::Context(Context::from(span))
    }
}

impl<T: Into<Self>> From<Option<T>> for Parent {
    /// `None` starts a trace.
    fn from(parent: Option<T>) -> Self {
        parent.map_or(Self::Root, Into::into)
    }
}
