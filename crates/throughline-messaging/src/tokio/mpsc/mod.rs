//! [`tokio::sync::mpsc`] whose messages bring their sender's context along.
//!
//! Names and signatures are Tokio's, with two differences: receivers hand out a [`Delivery`](crate::Delivery), which
//! derefs to the message, and senders have two more methods: `send_envelope`, to say more about a message, and `ask`,
//! which sends a message that holds a [`oneshot::Sender`](crate::oneshot::Sender) and waits for the reply.
//!
//! Senders wait for room before the message is put into its envelope: how long a sender was held up is the sender's
//! time, not the message's wait.

mod ask;
mod bounded;
mod permit;
mod receiver;
mod unbounded;

/// The errors of the channels: Tokio's own.
pub mod error {
    pub use tokio::sync::mpsc::error::{SendError, SendTimeoutError, TryRecvError, TrySendError};

    pub use super::ask::AskError;
}

use std::panic::Location;

use tokio::sync::mpsc;

pub use self::bounded::{Sender, WeakSender};
pub use self::permit::{OwnedPermit, Permit, PermitIterator};
pub use self::receiver::{Receiver, UnboundedReceiver};
pub use self::unbounded::{UnboundedSender, WeakUnboundedSender};
use crate::stats::Channel;

/// A bounded channel that is counted under the place of this call: [`tokio::sync::mpsc::channel`].
///
/// # Panics
///
/// As Tokio's does, if the buffer is zero.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (tx, mut rx) = throughline_messaging::mpsc::channel(8);
/// tx.send(7).await.unwrap();
/// assert_eq!(*rx.recv().await.unwrap(), 7);
/// # });
/// ```
#[track_caller]
#[must_use]
pub fn channel<T>(buffer: usize) -> (Sender<T>, Receiver<T>) {
    bounded(Channel::located::<T>(Location::caller()), buffer)
}

/// A bounded channel with a name, which its spans and counts have; channels of one name are counted together.
///
/// # Panics
///
/// As Tokio's `channel` does, if the buffer is zero.
///
/// ```
/// let (tx, rx) = throughline_messaging::mpsc::named::<u32>("orders", 8);
/// # drop((tx, rx));
/// ```
#[track_caller]
#[must_use]
pub fn named<T>(name: &str, buffer: usize) -> (Sender<T>, Receiver<T>) {
    bounded(Channel::named::<T>(name), buffer)
}

/// An unbounded channel that is counted under the place of this call: [`tokio::sync::mpsc::unbounded_channel`].
///
/// ```
/// let (tx, mut rx) = throughline_messaging::mpsc::unbounded_channel();
/// tx.send(7).unwrap();
/// assert_eq!(*rx.try_recv().unwrap(), 7);
/// ```
#[track_caller]
#[must_use]
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    unbounded(Channel::located::<T>(Location::caller()))
}

/// An unbounded channel with a name, which its spans and counts have; channels of one name are counted together.
///
/// ```
/// let (tx, rx) = throughline_messaging::mpsc::unbounded_named::<u32>("orders");
/// # drop((tx, rx));
/// ```
#[must_use]
pub fn unbounded_named<T>(name: &str) -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    unbounded(Channel::named::<T>(name))
}

#[track_caller]
fn bounded<T>(channel: &'static Channel, buffer: usize) -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = mpsc::channel(buffer);
    (Sender::new(tx, channel), Receiver::new(rx, channel))
}

fn unbounded<T>(channel: &'static Channel) -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let (tx, rx) = mpsc::unbounded_channel();
    (
        UnboundedSender::new(tx, channel),
        UnboundedReceiver::new(rx, channel),
    )
}
