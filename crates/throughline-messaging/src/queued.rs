//! An envelope on its way through a channel, which is counted wherever it ends.

use crate::delivery::Delivery;
use crate::envelope::Envelope;
use crate::relation::Policy;
use crate::stats::Channel;

/// What lies in a channel.
#[derive(Debug)]
pub(crate) struct Queued<T> {
    envelope: Envelope<T>,
    ticket: Ticket,
}

/// Counts an undelivered message unless it is taken back.
#[derive(Debug)]
struct Ticket(Option<&'static Channel>);

impl<T> Queued<T> {
    /// Puts the envelope into the channel, as far as counting goes.
    #[inline]
    pub(crate) fn new(envelope: Envelope<T>, channel: &'static Channel) -> Self {
        channel.sent(1);
        let ticket = Ticket(Some(channel));
        Self { envelope, ticket }
    }

    /// The message, received.
    #[inline]
    pub(crate) fn receive(self, policy: Policy) -> Delivery<T> {
        let Self {
            envelope,
            mut ticket,
        } = self;
        let channel = ticket.0.take();
        if let Some(channel) = channel {
            channel.received(envelope.enqueued());
        }
        Delivery::new(envelope, channel, policy)
    }

    /// The message, which the channel did not take.
    #[cold]
    pub(crate) fn refuse(self) -> T {
        let Self {
            envelope,
            mut ticket,
        } = self;
        if let Some(channel) = ticket.0.take() {
            channel.unsent();
        }
        envelope.into_message()
    }
}

impl Drop for Ticket {
    #[inline]
    fn drop(&mut self) {
        if let Some(channel) = self.0 {
            channel.undelivered(1);
        }
    }
}
