//! Room in a bounded channel, kept for a message to come.

use std::fmt;
use std::iter::FusedIterator;

use tokio::sync::mpsc;

use super::bounded::Sender;
use crate::envelope::Envelope;
use crate::queued::Queued;
use crate::stats::Channel;

/// [`tokio::sync::mpsc::Permit`]: room for one message.
#[must_use = "a permit that is dropped gives the room back"]
pub struct Permit<'a, T> {
    inner: mpsc::Permit<'a, Queued<T>>,
    channel: &'static Channel,
}

impl<'a, T> Permit<'a, T> {
    pub(super) const fn new(inner: mpsc::Permit<'a, Queued<T>>, channel: &'static Channel) -> Self {
        Self { inner, channel }
    }

    /// Sends the message with the context that is current now.
    pub fn send(self, message: T) {
        self.send_envelope(Envelope::new(message));
    }

    /// Sends a message that is in an envelope already.
    pub fn send_envelope(self, mut envelope: Envelope<T>) {
        envelope.enqueue();
        self.inner.send(Queued::new(envelope, self.channel));
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.channel.name()).finish()
    }
}

/// [`tokio::sync::mpsc::OwnedPermit`]: room for one message, together with the sender.
#[must_use = "a permit that is dropped gives the room back"]
pub struct OwnedPermit<T> {
    inner: mpsc::OwnedPermit<Queued<T>>,
    channel: &'static Channel,
}

impl<T> OwnedPermit<T> {
    pub(super) const fn new(
        inner: mpsc::OwnedPermit<Queued<T>>,
        channel: &'static Channel,
    ) -> Self {
        Self { inner, channel }
    }

    /// Sends the message with the context that is current now; returns the sender.
    pub fn send(self, message: T) -> Sender<T> {
        let queued = Queued::new(Envelope::new(message), self.channel);
        Sender::new(self.inner.send(queued), self.channel)
    }

    /// Gives the room back; returns the sender.
    #[must_use]
    pub fn release(self) -> Sender<T> {
        Sender::new(self.inner.release(), self.channel)
    }

    /// Whether both have room in the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.inner.same_channel(&other.inner)
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedPermit")
            .field(&self.channel.name())
            .finish()
    }
}

/// [`tokio::sync::mpsc::PermitIterator`]: room for several messages.
#[must_use = "permits that are dropped give the room back"]
pub struct PermitIterator<'a, T> {
    inner: mpsc::PermitIterator<'a, Queued<T>>,
    channel: &'static Channel,
}

impl<'a, T> PermitIterator<'a, T> {
    pub(super) const fn new(
        inner: mpsc::PermitIterator<'a, Queued<T>>,
        channel: &'static Channel,
    ) -> Self {
        Self { inner, channel }
    }
}

impl<'a, T> Iterator for PermitIterator<'a, T> {
    type Item = Permit<'a, T>;

    fn next(&mut self) -> Option<Permit<'a, T>> {
        let permit = self.inner.next()?;
        Some(Permit::new(permit, self.channel))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl<T> ExactSizeIterator for PermitIterator<'_, T> {}
impl<T> FusedIterator for PermitIterator<'_, T> {}

impl<T> fmt::Debug for PermitIterator<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PermitIterator")
            .field(&self.channel.name())
            .finish()
    }
}
