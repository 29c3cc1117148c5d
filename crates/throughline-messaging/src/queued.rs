//! An envelope on its way through a channel, which is accounted for wherever it ends.

use std::mem;

use crate::delivery::{self, Delivery};
use crate::envelope::Envelope;
use crate::keys;
use crate::policy::Policy;
use crate::relation::Starts;
use crate::stats::Channel;

/// What lies in a channel.
#[derive(Debug)]
pub(crate) struct Queued<T> {
    message: T,
    ticket: Ticket,
}

/// All of an envelope but the message. Where it is dropped with its channel, nobody received the message.
#[derive(Debug)]
struct Ticket {
    envelope: Envelope<()>,
    channel: Option<&'static Channel>,
    undelivered: fn(&Self, &'static Channel),
}

impl<T> Queued<T> {
    /// Puts the envelope into the channel, as far as counting goes.
    #[inline]
    pub(crate) fn new(envelope: Envelope<T>, channel: &'static Channel) -> Self {
        channel.sent(1);
        let (message, envelope) = envelope.open();
        let ticket = Ticket {
            envelope,
            channel: Some(channel),
            undelivered: Ticket::undelivered::<T>,
        };
        Self { message, ticket }
    }

    /// The message, received.
    #[inline]
    pub(crate) fn receive(self, policy: Policy) -> Delivery<T> {
        let Self {
            message,
            mut ticket,
        } = self;
        let channel = ticket.channel.take();
        let envelope = mem::replace(&mut ticket.envelope, Envelope::empty());
        if let Some(channel) = channel {
            channel.received();
        }
        Delivery::new(envelope.map(|()| message), channel, policy)
    }

    /// The message, which the channel did not take.
    #[cold]
    pub(crate) fn refuse(self) -> T {
        let Self {
            message,
            mut ticket,
        } = self;
        if let Some(channel) = ticket.channel.take() {
            channel.unsent();
        }
        message
    }
}

impl Ticket {
    /// A span that says so, where the sender's trace is recorded: it starts and ends where the wait does.
    #[cold]
    fn undelivered<T>(&self, channel: &'static Channel) {
        let policy = Policy::new().starts(Starts::Nothing);
        let mut span = delivery::span_of::<T>(&self.envelope.arrival(), channel, &policy);
        span.attribute(&keys::OUTCOME, "undelivered");
    }
}

impl Drop for Ticket {
    #[inline]
    fn drop(&mut self) {
        if let Some(channel) = self.channel {
            channel.undelivered(1);
            if self.envelope.context().span_context().is_sampled() {
                (self.undelivered)(self, channel);
            }
        }
    }
}
