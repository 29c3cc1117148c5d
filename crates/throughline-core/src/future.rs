//! Futures and streams that carry a span or a context through every poll.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::clock::Ticks;
use crate::context::Context;
use crate::kind::Outcome;
use crate::live::LiveSpan;
use crate::span::{Poll as PollOfSpan, Span};
use crate::unwound;

/// Wraps futures and streams.
pub trait FutureExt: Sized {
    /// Makes `span` current whenever this is polled, and ends it when this is done.
    ///
    /// The span ends with the poll that is ready (for a stream, the one that returns `None`). Dropped earlier, it ends
    /// cancelled; unwound, panicked. The wrapped value is dropped while the span is current.
    fn in_span(self, span: Span) -> InSpan<Self> {
        InSpan::new(span, self, NoInspection)
    }

    /// Makes `context` current whenever this is polled.
    fn with_context(self, context: Context) -> WithContext<Self> {
        WithContext {
            inner: Some(self),
            context,
        }
    }

    /// Makes the context that is current now current whenever this is polled, wherever that is.
    fn in_current_context(self) -> WithContext<Self> {
        self.with_context(Context::current())
    }
}

impl<T> FutureExt for T {}

/// Looks at what a future returned before its span ends.
pub trait Inspect<T> {
    /// Records `output` on `span`.
    fn inspect(&mut self, output: &T, span: &mut Span);

    /// What [`inspect`](Self::inspect) would record as `error.type`, for a handler whose span is not recorded but whose
    /// end is measured. None, by default.
    fn error_type(&self, _output: &T) -> Option<&'static str> {
        None
    }
}

/// Records nothing of the output.
#[derive(Clone, Copy, Debug)]
pub struct NoInspection;

impl<T> Inspect<T> for NoInspection {
    #[inline]
    fn inspect(&mut self, _output: &T, _span: &mut Span) {}
}

impl<T, F: FnMut(&T, &mut Span)> Inspect<T> for F {
    #[inline]
    fn inspect(&mut self, output: &T, span: &mut Span) {
        self(output, span);
    }
}

pin_project! {
    /// What [`FutureExt::in_span`] returns.
    #[must_use = "futures do nothing unless polled"]
    pub struct InSpan<F, I = NoInspection> {
        // Emptied by the destructor, so that the wrapped value is dropped while the span is current.
        #[pin]
        inner: Option<F>,
        span: Span,
        fresh: Fresh,
        inspect: I,
    }

    impl<F, I> PinnedDrop for InSpan<F, I> {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // Without a span the value is dropped as any other.
            if !this.span.is_disabled() {
                drop_in_span(this.inner, this.span);
            }
        }
    }
}

/// Drops the value while the span is current, and ends what is not ended.
#[inline(never)]
fn drop_in_span<F>(mut inner: Pin<&mut Option<F>>, span: &mut Span) {
    let unwound = span.live().is_some_and(LiveSpan::was_unwound);
    let poll = span.begin_uncounted();
    let entered = Entered { span, poll };
    inner.set(None);
    entered.leave();
    if span.live().is_some_and(LiveSpan::ends_somehow) {
        let outcome = if unwound {
            Outcome::Panicked
        } else {
            Outcome::Cancelled
        };
        span.finish(outcome, None);
    }
}

impl<F, I> InSpan<F, I> {
    /// Wraps `inner`; `inspect` sees the output before the span ends.
    #[inline]
    pub fn new(span: Span, inner: F, inspect: I) -> Self {
        Self {
            inner: Some(inner),
            span,
            fresh: Fresh(0),
            inspect,
        }
    }

    /// Like [`new`](Self::new) for a span that was started just now, within the poll that polls this for the first
    /// time: the start of the span is taken for the start of that poll, which saves a clock read.
    #[inline]
    pub fn fresh(span: Span, inner: F, inspect: I) -> Self {
        Self {
            inner: Some(inner),
            span,
            fresh: Fresh(1),
            inspect,
        }
    }
}

/// Whether the span was started within the poll that is the first. A word, since a future is moved before that poll, and
/// what is moved around a single byte goes in pieces.
#[derive(Clone, Copy, Debug, Default)]
struct Fresh(usize);

/// A span on the thread's stack that returns to its place, also when the code in between unwinds.
struct Entered<'a> {
    span: &'a mut Span,
    poll: PollOfSpan,
}

impl Entered<'_> {
    /// Returns when the poll ended, if polls are counted.
    #[inline]
    fn leave(self) -> Option<Ticks> {
        let left = self.span.end_poll(self.poll);
        // Spares each poll a destructor that has nothing left to do.
        mem::forget(self);
        left
    }
}

impl Drop for Entered<'_> {
    #[cold]
    fn drop(&mut self) {
        // Only unwinding skips `leave`.
        self.span.end_poll(self.poll.uncounted());
        self.span.mark_unwound();
        unwound::note(self.span);
    }
}

/// Runs one poll with the span current. Returns when the poll ended, if polls are counted.
#[inline]
fn poll_in_span<R>(
    span: &mut Span,
    fresh: &mut Fresh,
    poll: impl FnOnce() -> R,
) -> (R, Option<Ticks>) {
    let begun = span.begin_poll(mem::take(fresh).0 != 0);
    let entered = Entered { span, poll: begun };
    let result = poll();
    (result, entered.leave())
}

impl<F: Future, I: Inspect<F::Output>> Future for InSpan<F, I> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Pending;
        };
        if this.span.is_disabled() {
            return inner.poll(cx);
        }
        let (result, left) = poll_in_span(this.span, this.fresh, || inner.poll(cx));
        if let Poll::Ready(output) = &result
            && this.span.is_recording()
        {
            this.inspect.inspect(output, this.span);
            this.span.finish(Outcome::Completed, left);
        } else if let Poll::Ready(output) = &result
            && let Some(live) = this.span.live_mut()
            && live.ends_somehow()
        {
            if let Some(error_type) = this.inspect.error_type(output) {
                live.note_failure(error_type);
            }
            this.span.finish(Outcome::Completed, left);
        }
        result
    }
}

impl<S: Stream, I> Stream for InSpan<S, I> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(None);
        };
        if this.span.is_disabled() {
            return inner.poll_next(cx);
        }
        let (result, left) = poll_in_span(this.span, this.fresh, || inner.poll_next(cx));
        if let Poll::Ready(None) = &result {
            this.span.finish(Outcome::Completed, left);
        }
        result
    }
}

impl<F, I> fmt::Debug for InSpan<F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InSpan")
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// What [`FutureExt::with_context`] returns.
    #[must_use = "futures do nothing unless polled"]
    pub struct WithContext<F> {
        // Emptied by the destructor, so that the wrapped value is dropped in the context.
        #[pin]
        inner: Option<F>,
        context: Context,
    }

    impl<F> PinnedDrop for WithContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _guard = this.context.attach();
            this.inner.set(None);
        }
    }
}

impl<F: Future> Future for WithContext<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Pending;
        };
        let _guard = this.context.attach();
        inner.poll(cx)
    }
}

impl<S: Stream> Stream for WithContext<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let _guard = this.context.attach();
        inner.poll_next(cx)
    }
}

impl<F> fmt::Debug for WithContext<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithContext")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
