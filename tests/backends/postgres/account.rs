//! An account that is paid into, and a view of what it holds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent, EventEnvelope, Query, View};
use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Account {
    cents: i64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    Pay(i64),
    /// Two events at once.
    PayTwice(i64),
    /// Waits for another one that has come as far.
    PayAtOnce(i64),
    /// Lets something happen outside before it pays.
    PayMeanwhile(i64),
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    Paid { cents: i64 },
}

/// What goes on beside the commands.
#[derive(Clone)]
pub(crate) struct Outside {
    meeting: Arc<Barrier>,
    meanwhile: Arc<dyn Fn() + Send + Sync>,
}

impl Outside {
    /// Something that happens while a command is handled.
    pub(crate) fn meanwhile(happens: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            meeting: Arc::new(Barrier::new(2)),
            meanwhile: Arc::new(happens),
        }
    }
}

impl Default for Outside {
    fn default() -> Self {
        Self::meanwhile(|| ())
    }
}

#[derive(Debug)]
pub(crate) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the account is closed")
    }
}

impl std::error::Error for Refused {}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        "Paid".to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = Command;
    type Event = Event;
    type Error = Refused;
    type Services = Outside;

    async fn handle(
        &mut self,
        command: Command,
        outside: &Outside,
        sink: &EventSink<Self>,
    ) -> Result<(), Refused> {
        match command {
            Command::Pay(cents) => sink.write(Event::Paid { cents }, self).await,
            Command::PayTwice(cents) => {
                sink.write(Event::Paid { cents }, self).await;
                sink.write(Event::Paid { cents }, self).await;
            }
            Command::PayAtOnce(cents) => {
                outside.meeting.wait().await;
                sink.write(Event::Paid { cents }, self).await;
            }
            Command::PayMeanwhile(cents) => {
                (outside.meanwhile)();
                sink.write(Event::Paid { cents }, self).await;
            }
            Command::Refuse => return Err(Refused),
        }
        Ok(())
    }

    fn apply(&mut self, Event::Paid { cents }: Event) {
        self.cents += cents;
    }
}

/// What an account holds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Balance {
    pub(crate) cents: i64,
}

impl View<Account> for Balance {
    fn update(&mut self, event: &EventEnvelope<Account>) {
        let Event::Paid { cents } = event.payload;
        self.cents += cents;
    }
}

/// A query that counts what it hands on.
pub(crate) struct Counts<Q> {
    query: Q,
    dispatched: Arc<AtomicUsize>,
}

impl<Q> Counts<Q> {
    pub(crate) fn new(query: Q, dispatched: &Arc<AtomicUsize>) -> Self {
        Self {
            query,
            dispatched: Arc::clone(dispatched),
        }
    }
}

#[async_trait]
impl<Q: Query<Account>> Query<Account> for Counts<Q> {
    async fn dispatch(&self, aggregate_id: &str, events: &[EventEnvelope<Account>]) {
        self.dispatched.fetch_add(events.len(), Ordering::Relaxed);
        self.query.dispatch(aggregate_id, events).await;
    }
}
