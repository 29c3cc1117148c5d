//! The sending side of a bounded channel.

use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::coop;

use super::error::{SendError, SendTimeoutError, TrySendError};
use super::permit::{OwnedPermit, Permit, PermitIterator};
use crate::envelope::Envelope;
use crate::polled::Polled;
use crate::queued::Queued;
use crate::stats::Channel;

/// [`tokio::sync::mpsc::Sender`] whose messages bring the current context along.
pub struct Sender<T> {
    inner: mpsc::Sender<Queued<T>>,
    channel: &'static Channel,
}

impl<T> Sender<T> {
    pub(super) const fn channel(&self) -> &'static Channel {
        self.channel
    }

    pub(super) const fn new(inner: mpsc::Sender<Queued<T>>, channel: &'static Channel) -> Self {
        Self { inner, channel }
    }

    /// Waits for room, then sends: [`tokio::sync::mpsc::Sender::send`].
    ///
    /// # Errors
    ///
    /// The channel is closed; the error has the message.
    pub async fn send(&self, message: T) -> Result<(), SendError<T>> {
        match self.room().await {
            Ok(permit) => {
                permit.send(Queued::new(Envelope::new(message), self.channel));
                Ok(())
            }
            Err(_) => Err(SendError(self.refused(message))),
        }
    }

    /// Like [`send`](Self::send), for a message that is in an envelope already.
    ///
    /// # Errors
    ///
    /// The channel is closed; the error has the message.
    pub async fn send_envelope(&self, mut envelope: Envelope<T>) -> Result<(), SendError<T>> {
        match self.room().await {
            Ok(permit) => {
                envelope.enqueue();
                permit.send(Queued::new(envelope, self.channel));
                Ok(())
            }
            Err(_) => Err(SendError(self.refused(envelope.into_message()))),
        }
    }

    /// Sends if there is room: [`tokio::sync::mpsc::Sender::try_send`].
    ///
    /// # Errors
    ///
    /// The channel is full or closed; the error has the message.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.inner.try_reserve() {
            Ok(permit) => {
                permit.send(Queued::new(Envelope::new(message), self.channel));
                Ok(())
            }
            Err(TrySendError::Full(())) => Err(TrySendError::Full(self.refused(message))),
            Err(TrySendError::Closed(())) => Err(TrySendError::Closed(self.refused(message))),
        }
    }

    /// Waits for room no longer than that, then sends: [`tokio::sync::mpsc::Sender::send_timeout`].
    ///
    /// # Errors
    ///
    /// There was no room in time, or the channel is closed; the error has the message.
    ///
    /// # Panics
    ///
    /// As Tokio's does, outside of a runtime with a timer.
    pub async fn send_timeout(
        &self,
        message: T,
        timeout: Duration,
    ) -> Result<(), SendTimeoutError<T>> {
        match tokio::time::timeout(timeout, self.room()).await {
            Ok(Ok(permit)) => {
                permit.send(Queued::new(Envelope::new(message), self.channel));
                Ok(())
            }
            Ok(Err(_)) => Err(SendTimeoutError::Closed(self.refused(message))),
            Err(_) => Err(SendTimeoutError::Timeout(self.refused(message))),
        }
    }

    /// Blocks until there is room, then sends: [`tokio::sync::mpsc::Sender::blocking_send`]. Here the wait of the
    /// message begins with the call.
    ///
    /// # Errors
    ///
    /// The channel is closed; the error has the message.
    ///
    /// # Panics
    ///
    /// As Tokio's does, within an asynchronous context.
    #[track_caller]
    pub fn blocking_send(&self, message: T) -> Result<(), SendError<T>> {
        let queued = Queued::new(Envelope::new(message), self.channel);
        let sent = self.inner.blocking_send(queued);
        sent.map_err(|SendError(queued)| SendError(queued.refuse()))
    }

    /// Waits for room and keeps it: [`tokio::sync::mpsc::Sender::reserve`]. The context and the enqueue instant of the
    /// message are those of [`Permit::send`].
    ///
    /// # Errors
    ///
    /// The channel is closed.
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        let permit = self.room().await?;
        Ok(Permit::new(permit, self.channel))
    }

    /// Waits for room for several messages: [`tokio::sync::mpsc::Sender::reserve_many`].
    ///
    /// # Errors
    ///
    /// The channel is closed, or has never that much room.
    pub async fn reserve_many(
        &self,
        messages: usize,
    ) -> Result<PermitIterator<'_, T>, SendError<()>> {
        let permits = self.inner.reserve_many(messages).await?;
        Ok(PermitIterator::new(permits, self.channel))
    }

    /// Keeps room, if there is any: [`tokio::sync::mpsc::Sender::try_reserve`].
    ///
    /// # Errors
    ///
    /// The channel is full or closed.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        let permit = self.inner.try_reserve()?;
        Ok(Permit::new(permit, self.channel))
    }

    /// Keeps room for several messages, if there is any: [`tokio::sync::mpsc::Sender::try_reserve_many`].
    ///
    /// # Errors
    ///
    /// The channel is too full or closed.
    pub fn try_reserve_many(
        &self,
        messages: usize,
    ) -> Result<PermitIterator<'_, T>, TrySendError<()>> {
        let permits = self.inner.try_reserve_many(messages)?;
        Ok(PermitIterator::new(permits, self.channel))
    }

    /// Waits for room and keeps it, together with the sender: [`tokio::sync::mpsc::Sender::reserve_owned`].
    ///
    /// # Errors
    ///
    /// The channel is closed.
    pub async fn reserve_owned(self) -> Result<OwnedPermit<T>, SendError<()>> {
        let channel = self.channel;
        let permit = self.inner.reserve_owned().await?;
        Ok(OwnedPermit::new(permit, channel))
    }

    /// Keeps room together with the sender, if there is any: [`tokio::sync::mpsc::Sender::try_reserve_owned`].
    ///
    /// # Errors
    ///
    /// The channel is full or closed; the error has the sender.
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T>, TrySendError<Self>> {
        let channel = self.channel;
        match self.inner.try_reserve_owned() {
            Ok(permit) => Ok(OwnedPermit::new(permit, channel)),
            Err(TrySendError::Full(inner)) => Err(TrySendError::Full(Self::new(inner, channel))),
            Err(TrySendError::Closed(inner)) => {
                Err(TrySendError::Closed(Self::new(inner, channel)))
            }
        }
    }

    /// Waits until the receiver is closed or gone: [`tokio::sync::mpsc::Sender::closed`].
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

    /// How many messages there is room for now.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.inner.capacity()
    }

    /// How many messages there is room for in the empty channel.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.inner.max_capacity()
    }

    /// Waits for room: only where there is none, with the future that keeps a place in the queue of those who wait.
    #[inline]
    async fn room(&self) -> Result<mpsc::Permit<'_, Queued<T>>, SendError<()>> {
        let now = Polled(|cx: &mut TaskContext<'_>| Poll::Ready(self.room_now(cx)));
        match now.await {
            Some(permit) => Ok(permit),
            None => self.inner.reserve().await,
        }
    }

    /// Takes room if there is any, which costs the task as much of its budget as waiting for it does. Nobody is overtaken:
    /// as long as senders wait, what room there is goes to them.
    #[inline(always)]
    fn room_now(&self, cx: &mut TaskContext<'_>) -> Option<mpsc::Permit<'_, Queued<T>>> {
        let Poll::Ready(budget) = coop::poll_proceed(cx) else {
            return None;
        };
        // Where there is no room the budget is given back: the future that waits takes its own.
        let permit = self.inner.try_reserve().ok()?;
        budget.made_progress();
        Some(permit)
    }

    /// Counts a message that the channel did not take.
    #[cold]
    fn refused(&self, message: T) -> T {
        self.channel.rejected();
        message
    }
}

weak_sender! {
    /// [`tokio::sync::mpsc::WeakSender`]: it does not keep the channel open.
    WeakSender, Sender, mpsc::WeakSender<Queued<T>>
}
