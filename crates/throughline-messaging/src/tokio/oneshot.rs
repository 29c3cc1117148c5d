//! [`tokio::sync::oneshot`], the way back of an ask.
//!
//! A reply brings its sender's context along, and the receiver makes use of it in one case only: where the reply comes
//! out of another trace (the handler was made the root of one), the span that waited for it gets a link to the span
//! that replied. In the same trace the reply says nothing new, since the replier is below the asker already. The
//! context that is current for the asker never changes, and the received value is the bare `T`, as Tokio's is.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use throughline_core::{Context, SpanContext, current, handler};
use tokio::sync::oneshot;

/// The errors of the channel: Tokio's own.
pub mod error {
    pub use tokio::sync::oneshot::error::{RecvError, TryRecvError};
}

use self::error::{RecvError, TryRecvError};

/// A channel for one value: [`tokio::sync::oneshot::channel`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (tx, rx) = throughline_messaging::oneshot::channel();
/// tx.send(7).unwrap();
/// assert_eq!(rx.await.unwrap(), 7);
/// # });
/// ```
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = oneshot::channel();
    (Sender { inner: Some(tx) }, Receiver(rx))
}

/// [`tokio::sync::oneshot::Sender`] whose reply brings the current context along.
///
/// Dropped or sent while nobody waits any more, it says so of the handler that it was given to: the outcome is
/// *abandoned*.
pub struct Sender<T> {
    /// There until it is sent.
    inner: Option<oneshot::Sender<Reply<T>>>,
}

/// The value and who sent it.
struct Reply<T> {
    value: T,
    from: SpanContext,
}

impl<T> Sender<T> {
    /// Sends the value.
    ///
    /// # Errors
    ///
    /// Nobody waits any more; the error is the value.
    pub fn send(mut self, value: T) -> Result<(), T> {
        let Some(inner) = self.inner.take() else {
            return Err(value);
        };
        let from = Context::current().span_context();
        let sent = inner.send(Reply { value, from });
        sent.map_err(|reply| {
            handler::abandon();
            reply.value
        })
    }

    /// Waits until nobody waits for the value any more.
    pub async fn closed(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.closed().await;
        }
    }

    /// Whether nobody waits for the value any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Polls whether nobody waits for the value any more.
    pub fn poll_closed(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        match &mut self.inner {
            Some(inner) => inner.poll_closed(cx),
            None => Poll::Ready(()),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.inner.as_ref().is_some_and(oneshot::Sender::is_closed) {
            handler::abandon();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// [`tokio::sync::oneshot::Receiver`]: a future of the value.
#[must_use = "futures do nothing unless polled"]
pub struct Receiver<T>(oneshot::Receiver<Reply<T>>);

impl<T> Receiver<T> {
    /// Lets nobody send any more; a value that was sent can still be received.
    pub fn close(&mut self) {
        self.0.close();
    }

    /// Whether the value was received, or will never be.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.0.is_terminated()
    }

    /// Whether there is no value to receive now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value, if it is there.
    ///
    /// # Errors
    ///
    /// It is not there yet, or the sender is gone without it.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.0.try_recv().map(Reply::receive)
    }

    /// Blocks until the value is there.
    ///
    /// # Errors
    ///
    /// The sender is gone without it.
    ///
    /// # Panics
    ///
    /// As Tokio's does, within an asynchronous context.
    #[track_caller]
    pub fn blocking_recv(self) -> Result<T, RecvError> {
        self.0.blocking_recv().map(Reply::receive)
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|reply| reply.map(Reply::receive))
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl<T> Reply<T> {
    /// The value; the span that waited is linked to one of another trace that replied.
    fn receive(self) -> T {
        let here = Context::current().span_context();
        if self.from.is_valid() && here.is_valid() && self.from.trace_id() != here.trace_id() {
            current().add_link(self.from);
        }
        self.value
    }
}
