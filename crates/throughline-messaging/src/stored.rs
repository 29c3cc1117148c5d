//! A stored event, as a projection takes it: what is known about it.

use std::time::Duration;

use throughline_core::{Context, SpanContext};

use crate::arrival::Arrival;
use crate::relation::Operation;

/// A stored event at the moment a projection takes it.
///
/// ```
/// use std::time::Duration;
/// use throughline_core::Context;
/// use throughline_messaging::StoredEvent;
///
/// // What was stored beside the event.
/// let stored = Context::default();
/// let event = StoredEvent::new(&stored, "GoalReached").stream("goal-7").sequence(3).lag(Duration::from_millis(20));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "an event is there to be handled"]
pub struct StoredEvent<'a> {
    pub(crate) context: &'a Context,
    pub(crate) event_type: &'a str,
    pub(crate) stream: Option<&'a str>,
    pub(crate) sequence: Option<u64>,
    pub(crate) position: Option<u64>,
    pub(crate) lag: Option<Duration>,
    pub(crate) attempt: Option<u32>,
    pub(crate) previous: Option<SpanContext>,
}

impl<'a> StoredEvent<'a> {
    /// An event of that type, with the context that was stored beside it; an empty one if there was none.
    pub const fn new(context: &'a Context, event_type: &'a str) -> Self {
        Self {
            context,
            event_type,
            stream: None,
            sequence: None,
            position: None,
            lag: None,
            attempt: None,
            previous: None,
        }
    }

    /// The stream it is in: the aggregate's identifier, as a rule.
    pub const fn stream(mut self, stream: &'a str) -> Self {
        self.stream = Some(stream);
        self
    }

    /// Its place in the stream.
    pub const fn sequence(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// Its place among all events, where the store numbers them so. On the [lag](crate::Projection::follow) only: there the event
    /// is known by this, in place of its stream and its place there.
    pub const fn position(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    /// Stream and place there, as a [`Head`](crate::Head) knows them.
    pub(crate) fn place(&self) -> Option<(&'a str, u64)> {
        match self.position {
            Some(position) => Some(("", position)),
            None => Some((self.stream.unwrap_or_default(), self.sequence?)),
        }
    }

    /// How long ago it was stored, as far as two processes' clocks agree.
    pub const fn lag(mut self, lag: Duration) -> Self {
        self.lag = Some(lag);
        self
    }

    /// Which attempt at handling it this is, from one.
    pub const fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// The span of the attempt before, which is linked.
    pub const fn after(mut self, previous: SpanContext) -> Self {
        self.previous = Some(previous);
        self
    }

    pub(crate) const fn arrival(&self, lag: Option<Duration>) -> Arrival<'a> {
        let mut arrival = Arrival::new(self.context, Operation::Event);
        if let Some(lag) = lag {
            arrival = arrival.waited(lag);
        }
        if let Some(attempt) = self.attempt {
            arrival = arrival.attempt(attempt);
        }
        if let Some(previous) = self.previous {
            arrival = arrival.after(previous);
        }
        arrival
    }
}
