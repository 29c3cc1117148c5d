//! Handlers: spans that stand for the handling of one message, which two layers may observe.
//!
//! A host's integration and an attribute on the handler see the same message. Whoever comes first starts the span and
//! offers it; the layer further in takes it over, once, instead of making one of its own. Where the trace is not sampled
//! there is no span to keep, and the handler runs in a context of its own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use crate::callsite::Callsite;
use crate::context::Context;
use crate::local::{self, Token};
use crate::span::Span;
use crate::switch;

/// What an open span knows of its being a handler's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handling {
    /// Whether it is.
    pub(crate) is_handler: bool,
    /// Whether a layer further in may still take it over.
    pub(crate) is_offered: bool,
    /// Whether nobody waits for the reply any more.
    pub(crate) is_abandoned: bool,
}

impl Span {
    /// Says that the span stands for the handling of a message: one layer further in may take it over.
    #[inline]
    pub fn offer(&mut self) {
        if let Some(live) = self.live_mut() {
            live.handling = Handling {
                is_handler: true,
                is_offered: true,
                is_abandoned: false,
            };
        }
    }
}

/// Takes the current span over, if it was offered and nobody did before: it becomes one of that callsite.
#[inline]
pub fn take_over(callsite: Option<&'static Callsite>) -> Option<TakenOver> {
    if switch::inner().is_some() {
        return None;
    }
    local::with(|local| local.take_over(callsite)).flatten()
}

/// What [`take_over`] took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a span is one or the other")]
pub enum TakenOver {
    /// A span that is current now.
    Span,
    /// A handler without one: its trace is not sampled.
    Unsampled,
}

/// Says of the innermost handler on this thread that nobody waits for its reply: its span ends *abandoned*, unless it is
/// cancelled or panics.
pub fn abandon() {
    local::with(local::Local::abandon_handler);
}

/// A handler whose trace is not sampled: its context, and nothing that would have to be ended.
#[derive(Debug)]
pub struct Unsampled {
    context: Context,
    is_offered: bool,
}

impl Unsampled {
    /// The handler under that context, offered; none where the callsite is disabled, or only the start of a
    /// span tells whether it is sampled.
    #[inline]
    pub fn start(callsite: &'static Callsite, parent: &Context) -> Option<Self> {
        if parent.span_context().trace_flags().is_sampled()
            || !callsite.is_enabled()
            || switch::is_installed()
        {
            return None;
        }
        let context = local::with(|local| local.start_unsampled(parent)).flatten()?;
        Some(Self {
            context,
            is_offered: true,
        })
    }

    /// Makes the context current until the guard is dropped.
    #[inline]
    fn enter(&mut self) -> Entered<'_> {
        Entered {
            token: local::attach_handler(&self.context, self.is_offered),
            is_offered: &mut self.is_offered,
        }
    }
}

/// Restores the context before, and remembers whether the handler is still there to be taken over.
struct Entered<'a> {
    token: Option<Token>,
    is_offered: &'a mut bool,
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(token) = self.token {
            *self.is_offered = local::detach_handler(token);
        }
    }
}

pin_project! {
    /// A future that runs in the context of a handler whose trace is not sampled.
    #[must_use = "futures do nothing unless polled"]
    pub struct InUnsampled<F> {
        // Emptied by the destructor, so that the wrapped value is dropped in the context.
        #[pin]
        inner: Option<F>,
        handler: Unsampled,
    }

    impl<F> PinnedDrop for InUnsampled<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.inner.is_some() {
                let _here = this.handler.enter();
                this.inner.set(None);
            }
        }
    }
}

impl<F> InUnsampled<F> {
    /// Wraps the handler.
    #[inline]
    pub const fn new(handler: Unsampled, inner: F) -> Self {
        Self {
            inner: Some(inner),
            handler,
        }
    }
}

impl<F: Future> Future for InUnsampled<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let _here = this.handler.enter();
        let polled = inner.poll(cx);
        if polled.is_ready() {
            // Here and now, where its context is current anyway.
            this.inner.set(None);
        }
        polled
    }
}

impl<F> fmt::Debug for InUnsampled<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InUnsampled")
            .field("handler", &self.handler)
            .finish_non_exhaustive()
    }
}
