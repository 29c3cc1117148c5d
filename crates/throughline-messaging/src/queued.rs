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
    undelivered: fn(&Envelope<()>, &'static Channel),
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
            undelivered: undelivered::<T>,
        };
        Self { message, ticket }
    }

    /// The message, received.
    #[inline(always)]
    pub(crate) fn receive(self, policy: Policy) -> Delivery<T> {
        let Self {
            message,
            mut ticket,
        } = self;
        let channel = ticket.channel.take();
        let envelope = mem::replace(&mut ticket.envelope, Envelope::empty());
        // Nothing is left in it; what could still drop it would keep a place in memory for it.
        mem::forget(ticket);
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

impl Drop for Ticket {
    #[inline(always)]
    fn drop(&mut self) {
        // Of what was received, nothing is left.
        if let Some(channel) = self.channel {
            let envelope = mem::replace(&mut self.envelope, Envelope::empty());
            left_behind(envelope, channel, self.undelivered);
        }
    }
}

/// Nobody received the message. It is given the envelope, so that the one of a message that was received needs no place in
/// memory.
#[cold]
#[inline(never)]
fn left_behind(
    envelope: Envelope<()>,
    channel: &'static Channel,
    undelivered: fn(&Envelope<()>, &'static Channel),
) {
    channel.undelivered(1);
    if envelope.context().span_context().is_sampled() {
        undelivered(&envelope, channel);
    }
}

/// A span that says so, where the sender's trace is recorded: it starts and ends where the wait does.
#[cold]
fn undelivered<T>(envelope: &Envelope<()>, channel: &'static Channel) {
    let policy = Policy::new().starts(Starts::Nothing);
    let mut span = delivery::span_of::<T>(&envelope.arrival(), channel, &policy);
    span.attribute(&keys::OUTCOME, "undelivered");
}
