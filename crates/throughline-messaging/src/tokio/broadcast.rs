//! [`tokio::sync::broadcast`] whose messages bring their sender's context to every receiver.
//!
//! A message counts as sent once for each receiver that it is for. What a receiver was too slow for counts as lagged,
//! and what it had not received when it was dropped, as undelivered.

use std::fmt;
use std::panic::Location;

use tokio::sync::broadcast;

use self::error::{RecvError, SendError, TryRecvError};
use crate::delivery::Delivery;
use crate::envelope::Envelope;
use crate::policy::Policy;
use crate::stats::Channel;

/// The errors of the channel: Tokio's own.
pub mod error {
    pub use tokio::sync::broadcast::error::{RecvError, SendError, TryRecvError};
}

/// A channel that is counted under the place of this call: [`tokio::sync::broadcast::channel`].
///
/// # Panics
///
/// As Tokio's does, if the capacity is zero or too large.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (tx, mut rx) = throughline_messaging::broadcast::channel(8);
/// let mut other = tx.subscribe();
/// tx.send(7).unwrap();
/// assert_eq!(*rx.recv().await.unwrap() + *other.recv().await.unwrap(), 14);
/// # });
/// ```
#[track_caller]
#[must_use]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    make(Channel::located::<T>(Location::caller()), capacity)
}

/// A channel with a name, which its spans and counts have; channels of one name are counted together.
///
/// # Panics
///
/// As Tokio's `channel` does, if the capacity is zero or too large.
#[track_caller]
#[must_use]
pub fn named<T: Clone>(name: &str, capacity: usize) -> (Sender<T>, Receiver<T>) {
    make(Channel::named::<T>(name), capacity)
}

#[track_caller]
fn make<T: Clone>(channel: &'static Channel, capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = broadcast::channel(capacity);
    let tx = Sender { inner: tx, channel };
    let rx = tx.receiver(rx);
    (tx, rx)
}

/// [`tokio::sync::broadcast::Sender`] whose messages bring the current context along.
pub struct Sender<T> {
    inner: broadcast::Sender<Envelope<T>>,
    channel: &'static Channel,
}

impl<T: Clone> Sender<T> {
    /// The sending side alone, counted under the place of this call: [`tokio::sync::broadcast::Sender::new`].
    ///
    /// # Panics
    ///
    /// As Tokio's does, if the capacity is zero or too large.
    #[track_caller]
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            inner: broadcast::Sender::new(capacity),
            channel: Channel::located::<T>(Location::caller()),
        }
    }
}

impl<T> Sender<T> {
    /// Sends to all receivers; returns how many there are.
    ///
    /// # Errors
    ///
    /// There is none; the error has the message.
    pub fn send(&self, message: T) -> Result<usize, SendError<T>> {
        self.send_envelope(Envelope::new(message))
    }

    /// Like [`send`](Self::send), for a message that is in an envelope already.
    ///
    /// # Errors
    ///
    /// There is no receiver; the error has the message.
    pub fn send_envelope(&self, mut envelope: Envelope<T>) -> Result<usize, SendError<T>> {
        envelope.enqueue();
        match self.inner.send(envelope) {
            Ok(receivers) => {
                self.channel.sent(receivers as u64);
                Ok(receivers)
            }
            Err(SendError(envelope)) => {
                self.channel.rejected();
                Err(SendError(envelope.into_message()))
            }
        }
    }

    /// A receiver of what is sent from now on.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        self.receiver(self.inner.subscribe())
    }

    fn receiver(&self, inner: broadcast::Receiver<Envelope<T>>) -> Receiver<T> {
        Receiver {
            inner,
            channel: self.channel,
            policy: Policy::new(),
        }
    }

    /// Waits until there is no receiver.
    pub async fn closed(&self) {
        self.inner.closed().await;
    }
}

many_receivers!(Sender);
weak_sender! {
    /// [`tokio::sync::broadcast::WeakSender`]: it does not keep the channel open.
    WeakSender, Sender, broadcast::WeakSender<Envelope<T>>
}

/// [`tokio::sync::broadcast::Receiver`] that hands out messages with their contexts.
pub struct Receiver<T> {
    inner: broadcast::Receiver<Envelope<T>>,
    channel: &'static Channel,
    policy: Policy,
}

impl<T> Receiver<T> {
    /// How many messages are there for this receiver, those it was too slow for included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// Whether both receive from the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.inner.same_channel(&other.inner)
    }

    /// How many senders keep the channel open.
    #[must_use]
    pub fn sender_strong_count(&self) -> usize {
        self.inner.sender_strong_count()
    }

    /// How many senders do not.
    #[must_use]
    pub fn sender_weak_count(&self) -> usize {
        self.inner.sender_weak_count()
    }

    /// Whether there is no sender any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

impl<T: Clone> Receiver<T> {
    /// Gives everything received from now on this policy.
    #[must_use]
    pub fn with_policy(mut self, policy: impl Into<Policy>) -> Self {
        self.policy = policy.into();
        self
    }

    /// The next message: [`tokio::sync::broadcast::Receiver::recv`]. As that, it is cancel safe.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty, or this receiver was too slow for some messages, which are counted as lagged.
    pub async fn recv(&mut self) -> Result<Delivery<T>, RecvError> {
        let received = self.inner.recv().await;
        self.deliver(received)
    }

    /// The next message, if it is there.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), or the channel is empty.
    pub fn try_recv(&mut self) -> Result<Delivery<T>, TryRecvError> {
        match self.inner.try_recv() {
            Err(TryRecvError::Lagged(messages)) => {
                self.channel.lagged(messages);
                Err(TryRecvError::Lagged(messages))
            }
            received => received.map(|envelope| self.delivery(envelope)),
        }
    }

    /// Blocks until the next message comes.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// As Tokio's does, within an asynchronous context.
    pub fn blocking_recv(&mut self) -> Result<Delivery<T>, RecvError> {
        let received = self.inner.blocking_recv();
        self.deliver(received)
    }

    /// A receiver of what is sent from now on.
    #[must_use]
    pub fn resubscribe(&self) -> Self {
        Self {
            inner: self.inner.resubscribe(),
            channel: self.channel,
            policy: self.policy,
        }
    }

    fn deliver(&self, received: Result<Envelope<T>, RecvError>) -> Result<Delivery<T>, RecvError> {
        if let Err(RecvError::Lagged(messages)) = &received {
            self.channel.lagged(*messages);
        }
        received.map(|envelope| self.delivery(envelope))
    }

    fn delivery(&self, envelope: Envelope<T>) -> Delivery<T> {
        self.channel.received();
        Delivery::new(envelope, Some(self.channel), self.policy)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = self.inner.len();
        if left > 0 {
            self.channel.undelivered(left as u64);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver")
            .field(&self.channel.name())
            .finish()
    }
}
