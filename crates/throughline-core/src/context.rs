//! The context: what children inherit, and what crosses tasks, threads and queues.

use std::marker::PhantomData;

use crate::id::{SpanId, TraceFlags, TraceId};
use crate::local::{self, Token};
use crate::span_context::SpanContext;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    // The fields of a `SpanContext`, laid out so that a context fills 32 bytes.
    trace_id: TraceId,
    span_id: SpanId,
    recorder: u32,
    flags: TraceFlags,
    remote: bool,
}

impl Context {
    #[inline]
    pub(crate) const fn new(span: SpanContext, recorder: u32) -> Self {
        Self {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            recorder,
            flags: span.trace_flags(),
            remote: span.is_remote(),
        }
    }

    /// The context that is current on this thread; an empty one where none is.
    #[inline]
    pub fn current() -> Self {
        local::with(|local| local.current()).unwrap_or_default()
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
        SpanContext::new(self.trace_id, self.span_id, self.flags, self.remote)
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
        Self::new(SpanContext::INVALID, self.recorder)
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
        self.recorder
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
