//! [`async_channel`] whose messages bring their sender's context along.
//!
//! Names and signatures are the crate's; receivers hand out a [`Delivery`], which derefs to the message. A message
//! counts as sent from the call on, so that one whose sender waits for room is part of the depth, its wait has begun,
//! and it counts as undelivered if the sender gives up.
//!
//! ```
//! use throughline_messaging::async_channel;
//!
//! let (tx, rx) = async_channel::unbounded();
//! tx.try_send(7).unwrap();
//! assert_eq!(*rx.try_recv().unwrap(), 7);
//! ```

use std::panic::Location;

pub use ::async_channel::{RecvError, SendError, TryRecvError, TrySendError};

use crate::delivery::Delivery;
use crate::envelope::Envelope;
use crate::policy::Policy;
use crate::queued::Queued;
use crate::stats::Channel;

type Pair<T> = (
    ::async_channel::Sender<Queued<T>>,
    ::async_channel::Receiver<Queued<T>>,
);

/// A bounded channel that is counted under the place of this call:
/// [`async_channel::bounded`].
///
/// # Panics
///
/// As the crate's does, if the capacity is zero.
#[track_caller]
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    make(
        Channel::located::<T>(Location::caller()),
        ::async_channel::bounded(capacity),
    )
}

/// A bounded channel with a name, which its spans and counts have.
///
/// # Panics
///
/// As the crate's `bounded` does, if the capacity is zero.
#[must_use]
pub fn named_bounded<T>(name: &str, capacity: usize) -> (Sender<T>, Receiver<T>) {
    make(
        Channel::named::<T>(name),
        ::async_channel::bounded(capacity),
    )
}

/// An unbounded channel that is counted under the place of this call:
/// [`async_channel::unbounded`].
#[track_caller]
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    make(
        Channel::located::<T>(Location::caller()),
        ::async_channel::unbounded(),
    )
}

/// An unbounded channel with a name, which its spans and counts have.
#[must_use]
pub fn named_unbounded<T>(name: &str) -> (Sender<T>, Receiver<T>) {
    make(Channel::named::<T>(name), ::async_channel::unbounded())
}

fn make<T>(channel: &'static Channel, (tx, rx): Pair<T>) -> (Sender<T>, Receiver<T>) {
    let policy = Policy::new();
    (
        Sender { inner: tx, channel },
        Receiver {
            inner: rx,
            channel,
            policy,
        },
    )
}

/// [`async_channel::Sender`] whose messages bring the current context along.
pub struct Sender<T> {
    inner: ::async_channel::Sender<Queued<T>>,
    channel: &'static Channel,
}

impl<T> Sender<T> {
    /// Sends, waiting while there is no room.
    ///
    /// # Errors
    ///
    /// The channel is closed; the error has the message.
    pub async fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.send_envelope(Envelope::new(message)).await
    }

    /// Like [`send`](Self::send), for a message that is in an envelope already.
    ///
    /// # Errors
    ///
    /// The channel is closed; the error has the message.
    pub async fn send_envelope(&self, envelope: Envelope<T>) -> Result<(), SendError<T>> {
        let sent = self.inner.send(Queued::new(envelope, self.channel)).await;
        sent.map_err(|SendError(queued)| SendError(queued.refuse()))
    }

    /// Sends, blocking while there is no room.
    ///
    /// # Errors
    ///
    /// The channel is closed; the error has the message.
    pub fn send_blocking(&self, message: T) -> Result<(), SendError<T>> {
        let sent = self.inner.send_blocking(self.queue(message));
        sent.map_err(|SendError(queued)| SendError(queued.refuse()))
    }

    /// Sends if there is room.
    ///
    /// # Errors
    ///
    /// There is none, or the channel is closed; the error has the message.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let sent = self.inner.try_send(self.queue(message));
        sent.map_err(|error| match error {
            TrySendError::Full(queued) => TrySendError::Full(queued.refuse()),
            TrySendError::Closed(queued) => TrySendError::Closed(queued.refuse()),
        })
    }

    /// Waits until the channel is closed.
    pub async fn closed(&self) {
        self.inner.closed().await;
    }

    /// Lets nobody send any more; whether this call did it.
    pub fn close(&self) -> bool {
        self.inner.close()
    }

    /// Whether the channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    fn queue(&self, message: T) -> Queued<T> {
        Queued::new(Envelope::new(message), self.channel)
    }
}

/// [`async_channel::Receiver`] that hands out messages with their contexts.
pub struct Receiver<T> {
    inner: ::async_channel::Receiver<Queued<T>>,
    channel: &'static Channel,
    policy: Policy,
}

impl<T> Receiver<T> {
    /// Gives everything received from now on this policy.
    #[must_use]
    pub fn with_policy(mut self, policy: impl Into<Policy>) -> Self {
        self.policy = policy.into();
        self
    }

    /// The next message, waiting until it comes.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty.
    pub async fn recv(&self) -> Result<Delivery<T>, RecvError> {
        Ok(self.inner.recv().await?.receive(self.policy))
    }

    /// The next message, blocking until it comes.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty.
    pub fn recv_blocking(&self) -> Result<Delivery<T>, RecvError> {
        Ok(self.inner.recv_blocking()?.receive(self.policy))
    }

    /// The next message, if it is there.
    ///
    /// # Errors
    ///
    /// The channel is empty, or closed too.
    pub fn try_recv(&self) -> Result<Delivery<T>, TryRecvError> {
        Ok(self.inner.try_recv()?.receive(self.policy))
    }

    /// Lets nobody send any more; whether this call did it.
    pub fn close(&self) -> bool {
        self.inner.close()
    }

    /// Whether the channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

side!(Sender);
side!(Receiver);
handle!(Sender { channel });
handle!(Receiver { channel, policy });
