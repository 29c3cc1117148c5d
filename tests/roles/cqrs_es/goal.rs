//! A goal that is set, renamed and reached; a repository in memory that knows conflicts; queries.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{fmt, io};

use async_trait::async_trait;
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{
    PersistedEventRepository, PersistenceError, ReplayStream, SerializedEvent, SerializedSnapshot,
    ViewContext, ViewRepository,
};
use cqrs_es::{Aggregate, DomainEvent, EventEnvelope, Query, View};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use throughline::traced;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Goal;

#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    Set,
    Rename,
    /// Two events at once.
    SetAndReach,
    /// Lets others go first.
    Hesitate,
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Event {
    Set,
    Renamed,
    Reached,
}

#[derive(Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no goal of ours")
    }
}

impl std::error::Error for Refused {}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        format!("Goal{self:?}")
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

impl Aggregate for Goal {
    const TYPE: &'static str = "goal";
    type Command = Command;
    type Event = Event;
    type Error = Refused;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Refused> {
        match command {
            Command::Set => sink.write(Event::Set, self).await,
            Command::Rename => sink.write(Event::Renamed, self).await,
            Command::SetAndReach => {
                sink.write(Event::Set, self).await;
                sink.write(Event::Reached, self).await;
            }
            Command::Hesitate => {
                tokio::task::yield_now().await;
                sink.write(Event::Set, self).await;
            }
            Command::Refuse => return Err(Refused),
        }
        Ok(())
    }

    fn apply(&mut self, _: Event) {}
}

/// Events in memory. Of two commands that saw the same state, the second is refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Repository {
    pub(super) events: Arc<Mutex<Vec<SerializedEvent>>>,
    /// How many events were always there, ten per aggregate. They are made as they are read.
    pub(super) history: usize,
    /// What comes at the end of a replay.
    pub(super) broken: bool,
}

impl Repository {
    fn all(&self) -> impl Iterator<Item = SerializedEvent> + use<> {
        let stored = self.events.lock().expect("no panic").clone();
        (0..self.history).map(historic).chain(stored)
    }

    fn of(&self, aggregate_id: &str) -> impl Iterator<Item = SerializedEvent> + use<> {
        let aggregate_id = aggregate_id.to_owned();
        self.all()
            .filter(move |event| event.aggregate_id == aggregate_id)
    }

    fn stream(
        &self,
        events: impl Iterator<Item = SerializedEvent> + Send + 'static,
    ) -> ReplayStream {
        let (mut feed, stream) = ReplayStream::new(16);
        let broken = self.broken;
        tokio::spawn(async move {
            for event in events {
                if feed.push(Ok(event)).await.is_err() {
                    return;
                }
            }
            if broken {
                _ = feed.push(Err(connection_lost())).await;
            }
        });
        stream
    }
}

impl PersistedEventRepository for Repository {
    async fn get_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        Ok(self.of(aggregate_id).collect())
    }

    async fn get_last_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
        last_sequence: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        let events = self.of(aggregate_id);
        Ok(events
            .filter(|event| event.sequence > last_sequence)
            .collect())
    }

    async fn get_snapshot<A: Aggregate>(
        &self,
        _: &str,
    ) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        Ok(None)
    }

    async fn persist<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        _: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        let mut stored = self.events.lock().expect("no panic");
        let is_there = |event: &SerializedEvent| {
            stored.iter().any(|stored| {
                stored.aggregate_id == event.aggregate_id && stored.sequence == event.sequence
            })
        };
        if events.iter().any(is_there) {
            return Err(PersistenceError::OptimisticLockError);
        }
        stored.extend_from_slice(events);
        Ok(())
    }

    async fn stream_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<ReplayStream, PersistenceError> {
        Ok(self.stream(self.of(aggregate_id)))
    }

    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        Ok(self.stream(self.all()))
    }
}

fn historic(number: usize) -> SerializedEvent {
    SerializedEvent {
        aggregate_id: format!("g-{}", number / 10),
        sequence: number % 10 + 1,
        aggregate_type: "goal".to_owned(),
        event_type: "GoalSet".to_owned(),
        event_version: "1.0".to_owned(),
        payload: "Set".into(),
        metadata: serde_json::json!({
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }),
    }
}

fn connection_lost() -> PersistenceError {
    PersistenceError::ConnectionError(Box::new(io::Error::other("connection lost")))
}

/// A query that keeps what it gets, and is ready at the third poll.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) events: Arc<Mutex<Vec<EventEnvelope<Goal>>>>,
    pub(super) dispatches: Arc<AtomicUsize>,
}

impl Seen {
    pub(super) fn sequences(&self) -> Vec<usize> {
        let events = self.events.lock().expect("no panic");
        events.iter().map(|event| event.sequence).collect()
    }
}

#[async_trait]
impl Query<Goal> for Seen {
    async fn dispatch(&self, _: &str, events: &[EventEnvelope<Goal>]) {
        write().await;
        self.dispatches.fetch_add(1, Ordering::Relaxed);
        let mut seen = self.events.lock().expect("no panic");
        seen.extend_from_slice(events);
    }
}

/// What a handler does, with a span of its own.
#[traced]
pub(super) async fn write() {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}

/// A query that panics.
#[derive(Debug)]
pub(super) struct Panics;

#[async_trait]
impl Query<Goal> for Panics {
    async fn dispatch(&self, _: &str, _: &[EventEnvelope<Goal>]) {
        panic!("the view is broken");
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Summary {
    events: usize,
}

impl View<Goal> for Summary {
    fn update(&mut self, _: &EventEnvelope<Goal>) {
        self.events += 1;
    }
}

/// Views that are read and not written.
#[derive(Debug)]
pub(super) struct ReadOnly;

impl ViewRepository<Summary, Goal> for ReadOnly {
    async fn load(&self, _: &str) -> Result<Option<Summary>, PersistenceError> {
        Ok(None)
    }

    async fn load_with_context(
        &self,
        _: &str,
    ) -> Result<Option<(Summary, ViewContext)>, PersistenceError> {
        Ok(None)
    }

    fn update_view(
        &self,
        _: Summary,
        _: ViewContext,
    ) -> impl Future<Output = Result<(), PersistenceError>> + Send {
        std::future::ready(Err(connection_lost()))
    }
}
