//! The feed: a projection that reads the event store and tells Kafka of each new goal.
//!
//! It is a task of its own, which may be behind. Each attempt at an event is a trace, linked to the command that stored
//! the event and to the attempt before. How far it came is stored in the span of the event, as its child.

use std::fmt;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::FutureRecord;
use serde::{Deserialize, Serialize};
use throughline::channel::{Projection, StoredEvent, observe};
use throughline::core::clock::Anchor;
use throughline::cqrs_es::STORED_AT;
use throughline::rdkafka::FutureProducer;
use throughline::{projection, propagate};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use crate::goal::{Event, GoalAdded};
use crate::kafka::{GOALS, Offsets, PATIENCE};
use crate::people::{AddressBook, NoAddress};
use crate::store::{Database, StoreError, Stored};

/// What is written to Kafka.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Notice {
    pub(crate) title: String,
    pub(crate) owner: String,
    pub(crate) address: String,
}

/// The task's state.
pub(crate) struct Feed {
    projection: Projection,
    database: Database,
    producer: FutureProducer,
    addresses: AddressBook,
    position: i64,
    sent: Offsets,
}

impl Feed {
    pub(crate) fn new(database: Database, producer: FutureProducer) -> Self {
        Self {
            projection: Projection::new(NAME),
            database,
            producer,
            addresses: AddressBook::default(),
            position: 0,
            sent: Offsets::new(),
        }
    }

    /// Reads along until nobody appends any more, then says how far it wrote and returns how many events it passed over.
    pub(crate) async fn run(
        mut self,
        mut appended: watch::Receiver<()>,
        end: oneshot::Sender<Offsets>,
    ) -> Result<u64, FeedError> {
        loop {
            let page = self.database.events_after(self.position, PAGE).await?;
            for stored in &page {
                self.project(stored).await?;
                self.position = stored.position;
            }
            if page.is_empty() && appended.changed().await.is_err() {
                break;
            }
        }
        // Whoever reads the topic may have failed; then it needs no end.
        let _ = end.send(self.sent);
        Ok(self.projection.skipped())
    }

    /// Handles an event, and once more if that fails.
    async fn project(&mut self, stored: &Stored) -> Result<(), FeedError> {
        let event = serde_json::from_value(stored.event.payload.clone())?;
        let Event::GoalAdded(goal) = event else {
            self.projection.skip();
            return Ok(());
        };
        let metadata = stored.metadata();
        let command = propagate::extract(&metadata);
        let mut arrived = StoredEvent::new(&command, &stored.event.event_type)
            .stream(&stored.event.aggregate_id)
            .sequence(stored.event.sequence as u64);
        if let Some(at) = metadata.get(STORED_AT).and_then(|at| at.parse().ok()) {
            let age = Anchor::now().taken_at_unix_nanos().saturating_sub(at);
            arrived = arrived.lag(Duration::from_nanos(age));
        }
        let mut attempt = 1;
        loop {
            let span = self.projection.span(&arrived.attempt(attempt));
            arrived = arrived.after(span.context().span_context());
            match observe(span, self.on_added(stored, &goal)).await {
                Err(FeedError::Address(_)) if attempt < ATTEMPTS => sleep(PAUSE * attempt).await,
                done => return done,
            }
            attempt += 1;
        }
    }

    /// Writes the notice, and then how far the projection came: whoever stops in between writes it twice.
    #[projection(
        name = "goal_feed",
        event = %stored.event.event_type,
        stream = %stored.event.aggregate_id,
        sequence = stored.event.sequence,
    )]
    async fn on_added(&mut self, stored: &Stored, goal: &GoalAdded) -> Result<(), FeedError> {
        let stream = &stored.event.aggregate_id;
        let address = self.addresses.find(&goal.owner, stream).await?;
        let notice = Notice {
            title: goal.title.clone(),
            owner: goal.owner.clone(),
            address,
        };
        let payload = serde_json::to_string(&notice)?;
        let record = FutureRecord::to(GOALS).key(stream).payload(&payload);
        // The client brings the context along, in the headers of the record.
        let sent = self.producer.send(record, PATIENCE).await;
        let sent = sent.map_err(|(error, _)| error)?;
        self.sent.insert(sent.partition, sent.offset);
        self.database.save_offset(NAME, stored.position).await?;
        tracing::info!(logged_by = "on_added", stream, "in the feed");
        Ok(())
    }
}

/// What the projection is called.
const NAME: &str = "goal_feed";
/// Events that are read at once.
const PAGE: usize = 100;
/// How often an event is tried.
const ATTEMPTS: u32 = 3;
/// How long the second attempt waits; the next one twice as long.
const PAUSE: Duration = Duration::from_millis(2);

/// Why a goal is not in the feed.
#[derive(Debug)]
pub(crate) enum FeedError {
    Address(NoAddress),
    Event(serde_json::Error),
    Kafka(KafkaError),
    Store(StoreError),
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Event(error) => error.fmt(f),
            Self::Kafka(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FeedError {}

impl From<NoAddress> for FeedError {
    fn from(error: NoAddress) -> Self {
        Self::Address(error)
    }
}

impl From<serde_json::Error> for FeedError {
    fn from(error: serde_json::Error) -> Self {
        Self::Event(error)
    }
}

impl From<KafkaError> for FeedError {
    fn from(error: KafkaError) -> Self {
        Self::Kafka(error)
    }
}

impl From<StoreError> for FeedError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
