//! [`flume`] whose messages bring their sender's context along.
//!
//! Names and signatures are the crate's; receivers hand out a [`Delivery`], which derefs to the message. A message
//! counts as sent from the call on, so that one whose sender waits for room is part of the depth, its wait has begun,
//! and it counts as undelivered if the sender gives up.
//!
//! ```
//! use throughline_messaging::flume;
//!
//! let (tx, rx) = flume::unbounded();
//! tx.send(7).unwrap();
//! assert_eq!(*rx.recv().unwrap(), 7);
//! ```

use std::panic::Location;
use std::time::Duration;

pub use ::flume::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};

use crate::delivery::Delivery;
use crate::envelope::Envelope;
use crate::policy::Policy;
use crate::queued::Queued;
use crate::stats::Channel;

/// A bounded channel that is counted under the place of this call: [`flume::bounded`].
#[track_caller]
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    make(
        Channel::located::<T>(Location::caller()),
        ::flume::bounded(capacity),
    )
}

/// A bounded channel with a name, which its spans and counts have.
#[must_use]
pub fn named_bounded<T>(name: &str, capacity: usize) -> (Sender<T>, Receiver<T>) {
    make(Channel::named::<T>(name), ::flume::bounded(capacity))
}

/// An unbounded channel that is counted under the place of this call: [`flume::unbounded`].
#[track_caller]
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    make(
        Channel::located::<T>(Location::caller()),
        ::flume::unbounded(),
    )
}

/// An unbounded channel with a name, which its spans and counts have.
#[must_use]
pub fn named_unbounded<T>(name: &str) -> (Sender<T>, Receiver<T>) {
    make(Channel::named::<T>(name), ::flume::unbounded())
}

fn make<T>(
    channel: &'static Channel,
    (tx, rx): (::flume::Sender<Queued<T>>, ::flume::Receiver<Queued<T>>),
) -> (Sender<T>, Receiver<T>) {
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

/// [`flume::Sender`] whose messages bring the current context along.
pub struct Sender<T> {
    inner: ::flume::Sender<Queued<T>>,
    channel: &'static Channel,
}

impl<T> Sender<T> {
    /// Sends, blocking while there is no room.
    ///
    /// # Errors
    ///
    /// All receivers are gone; the error has the message.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let sent = self.inner.send(self.queue(message));
        sent.map_err(|SendError(queued)| SendError(queued.refuse()))
    }

    /// Sends, waiting while there is no room.
    ///
    /// # Errors
    ///
    /// All receivers are gone; the error has the message.
    pub async fn send_async(&self, message: T) -> Result<(), SendError<T>> {
        let sent = self.inner.send_async(self.queue(message)).await;
        sent.map_err(|SendError(queued)| SendError(queued.refuse()))
    }

    /// Sends if there is room.
    ///
    /// # Errors
    ///
    /// There is none, or all receivers are gone; the error has the message.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let sent = self.inner.try_send(self.queue(message));
        sent.map_err(|error| match error {
            TrySendError::Full(queued) => TrySendError::Full(queued.refuse()),
            TrySendError::Disconnected(queued) => TrySendError::Disconnected(queued.refuse()),
        })
    }

    /// Sends, blocking no longer than that while there is no room.
    ///
    /// # Errors
    ///
    /// There was none in time, or all receivers are gone; the error has the message.
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        let sent = self.inner.send_timeout(self.queue(message), timeout);
        sent.map_err(|error| match error {
            SendTimeoutError::Timeout(queued) => SendTimeoutError::Timeout(queued.refuse()),
            SendTimeoutError::Disconnected(queued) => {
                SendTimeoutError::Disconnected(queued.refuse())
            }
        })
    }

    /// Like [`send`](Self::send), for a message that is in an envelope already.
    ///
    /// # Errors
    ///
    /// All receivers are gone; the error has the message.
    pub fn send_envelope(&self, envelope: Envelope<T>) -> Result<(), SendError<T>> {
        let sent = self.inner.send(Queued::new(envelope, self.channel));
        sent.map_err(|SendError(queued)| SendError(queued.refuse()))
    }

    /// Whether the other side is gone.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.inner.is_disconnected()
    }

    fn queue(&self, message: T) -> Queued<T> {
        Queued::new(Envelope::new(message), self.channel)
    }
}

/// [`flume::Receiver`] that hands out messages with their contexts.
pub struct Receiver<T> {
    inner: ::flume::Receiver<Queued<T>>,
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

    /// The next message, blocking until it comes.
    ///
    /// # Errors
    ///
    /// The channel is empty and all senders are gone.
    pub fn recv(&self) -> Result<Delivery<T>, RecvError> {
        Ok(self.inner.recv()?.receive(self.policy))
    }

    /// The next message, waiting until it comes.
    ///
    /// # Errors
    ///
    /// The channel is empty and all senders are gone.
    pub async fn recv_async(&self) -> Result<Delivery<T>, RecvError> {
        Ok(self.inner.recv_async().await?.receive(self.policy))
    }

    /// The next message, if it is there.
    ///
    /// # Errors
    ///
    /// The channel is empty, or all senders are gone too.
    pub fn try_recv(&self) -> Result<Delivery<T>, TryRecvError> {
        Ok(self.inner.try_recv()?.receive(self.policy))
    }

    /// The next message, blocking no longer than that until it comes.
    ///
    /// # Errors
    ///
    /// None came in time, or the channel is empty and all senders are gone.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Delivery<T>, RecvTimeoutError> {
        Ok(self.inner.recv_timeout(timeout)?.receive(self.policy))
    }

    /// The messages as they come, blocking, until the channel is empty and all senders are gone.
    pub fn iter(&self) -> impl Iterator<Item = Delivery<T>> {
        self.inner.iter().map(|queued| queued.receive(self.policy))
    }

    /// The messages that are there.
    pub fn try_iter(&self) -> impl Iterator<Item = Delivery<T>> {
        let messages = self.inner.try_iter();
        messages.map(|queued| queued.receive(self.policy))
    }

    /// Takes the messages that are there out at once.
    pub fn drain(&self) -> impl Iterator<Item = Delivery<T>> {
        self.inner.drain().map(|queued| queued.receive(self.policy))
    }

    /// Whether the other side is gone.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.inner.is_disconnected()
    }
}

side!(Sender);
side!(Receiver);
handle!(Sender { channel });
handle!(Receiver { channel, policy });
