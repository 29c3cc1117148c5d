//! The sending side of an unbounded channel.

use tokio::sync::mpsc;

use super::error::SendError;
use crate::envelope::Envelope;
use crate::queued::Queued;
use crate::stats::Channel;

/// [`tokio::sync::mpsc::UnboundedSender`] whose messages bring the current context along.
pub struct UnboundedSender<T> {
    inner: mpsc::UnboundedSender<Queued<T>>,
    channel: &'static Channel,
}

impl<T> UnboundedSender<T> {
    pub(super) const fn channel(&self) -> &'static Channel {
        self.channel
    }

    pub(super) const fn new(
        inner: mpsc::UnboundedSender<Queued<T>>,
        channel: &'static Channel,
    ) -> Self {
        Self { inner, channel }
    }

    /// Sends: [`tokio::sync::mpsc::UnboundedSender::send`].
    ///
    /// # Errors
    ///
    /// The channel is closed; the error has the message.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.enqueue(Envelope::new(message))
    }

    /// Like [`send`](Self::send), for a message that is in an envelope already.
    ///
    /// # Errors
    ///
    /// The channel is closed; the error has the message.
    pub fn send_envelope(&self, mut envelope: Envelope<T>) -> Result<(), SendError<T>> {
        envelope.enqueue();
        self.enqueue(envelope)
    }

    fn enqueue(&self, envelope: Envelope<T>) -> Result<(), SendError<T>> {
        let sent = self.inner.send(Queued::new(envelope, self.channel));
        sent.map_err(|SendError(queued)| SendError(queued.refuse()))
    }

    /// Waits until the receiver is closed or gone: [`tokio::sync::mpsc::UnboundedSender::closed`].
    pub async fn closed(&self) {
        self.inner.closed().await;
    }

    /// Whether the receiver is closed or gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Whether both send into the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.inner.same_channel(&other.inner)
    }
}

weak_sender! {
    /// [`tokio::sync::mpsc::WeakUnboundedSender`]: it does not keep the channel open.
    WeakUnboundedSender, UnboundedSender, mpsc::WeakUnboundedSender<Queued<T>>
}
