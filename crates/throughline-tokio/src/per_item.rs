//! Streams and sinks with a span for each item.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use pin_project_lite::pin_project;
use throughline_core::{FutureExt, Span};

/// Gives every item of a stream a span of its own.
pub trait StreamExt: Stream + Sized {
    /// Makes a span for each item: it starts when the stream is first polled for the item, is current whenever the
    /// stream is polled, and ends when the item is ready.
    ///
    /// The last span is the wait for the end of the stream. A stream that is dropped while somebody waits for an item
    /// ends that item's span as cancelled. For one span around the whole stream there is
    /// [`FutureExt::in_span`].
    ///
    /// The span is made in whatever context polls the stream; to fix it where the stream is made, follow with
    /// [`FutureExt::in_current_context`].
    fn each_in_span<M: FnMut() -> Span>(self, make: M) -> EachInSpan<Self, M> {
        EachInSpan {
            inner: self,
            waiting: Waiting(None),
            make,
        }
    }
}

impl<S: Stream> StreamExt for S {}

/// Gives every item that goes into a sink a span of its own.
pub trait SinkExt<Item>: Sink<Item> + Sized {
    /// Makes a span for each item: it starts when the item goes in, is current while the sink takes it and whenever the
    /// sink is flushed or closed, and ends when that is done or the next item comes.
    ///
    /// A sink that is dropped before it is flushed ends the span of its last item as cancelled.
    fn each_send_in_span<M: FnMut(&Item) -> Span>(self, make: M) -> EachSendInSpan<Self, M> {
        EachSendInSpan {
            inner: self,
            waiting: Waiting(None),
            make,
        }
    }
}

impl<S: Sink<Item>, Item> SinkExt<Item> for S {}

pin_project! {
    /// What [`StreamExt::each_in_span`] returns.
    #[must_use = "streams do nothing unless polled"]
    pub struct EachInSpan<S, M> {
        #[pin]
        inner: S,
        waiting: Waiting,
        make: M,
    }
}

impl<S: Stream, M: FnMut() -> Span> Stream for EachInSpan<S, M> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let span = match this.waiting.0.take() {
            Some(span) => span,
            None => (this.make)(),
        };
        let guard = span.enter();
        let polled = this.inner.poll_next(cx);
        if polled.is_pending() {
            this.waiting.0 = Some(guard.exit());
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl<S, M> fmt::Debug for EachInSpan<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EachInSpan").finish_non_exhaustive()
    }
}

pin_project! {
    /// What [`SinkExt::each_send_in_span`] returns.
    #[must_use = "sinks do nothing unless polled"]
    pub struct EachSendInSpan<S, M> {
        #[pin]
        inner: S,
        waiting: Waiting,
        make: M,
    }
}

impl<S: Sink<Item>, M: FnMut(&Item) -> Span, Item> Sink<Item> for EachSendInSpan<S, M> {
    type Error = S::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.project().inner.poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), S::Error> {
        let this = self.project();
        drop(this.waiting.0.take());
        let guard = (this.make)(&item).enter();
        let sent = this.inner.start_send(item);
        if sent.is_ok() {
            this.waiting.0 = Some(guard.exit());
        }
        sent
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let this = self.project();
        this.waiting.poll(|| this.inner.poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let this = self.project();
        this.waiting.poll(|| this.inner.poll_close(cx))
    }
}

impl<S, M> fmt::Debug for EachSendInSpan<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EachSendInSpan").finish_non_exhaustive()
    }
}

/// The span of the item that is under way.
struct Waiting(Option<Span>);

impl Waiting {
    fn poll<R>(&mut self, poll: impl FnOnce() -> Poll<R>) -> Poll<R> {
        let Some(span) = self.0.take() else {
            return poll();
        };
        let guard = span.enter();
        let polled = poll();
        if polled.is_pending() {
            self.0 = Some(guard.exit());
        }
        polled
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(span) = self.0.take() {
            // A future that is dropped before it is ready ends its span as cancelled.
            drop(std::future::pending::<()>().in_span(span));
        }
    }
}
