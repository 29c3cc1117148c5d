//! How far queries are behind what commands committed.

use std::collections::HashMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cqrs_es::mem_store::MemStore;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateError, CqrsFramework, EventEnvelope, EventStore, Query};
use fastrand::Rng;
use futures::FutureExt as _;
use futures::future::join_all;
use futures::poll;
use throughline::channel::{event_failed, projection_lags};
use throughline::cqrs_es::{Projection, TracedCqrs, TracedQuery, TracedReplay, TracedStore};
use tokio::task::spawn_blocking;

use super::goal::{Command, Event, Goal, Panics, Refused, Repository, Seen};
use crate::lag::oracle::Oracle;
use crate::lag::{Pace, watch};

/// How many events the only projection of that name is behind.
fn events(name: &str) -> u64 {
    let mut lags = projection_lags();
    lags.retain(|lag| lag.name == name);
    let [lag] = lags.as_slice() else {
        panic!("{lags:?}");
    };
    assert_eq!(lag.events > 0, lag.age > Duration::ZERO, "{lag:?}");
    lag.events
}

#[tokio::test]
async fn what_was_not_dispatched_is_behind_until_the_next_event_or_a_replay() {
    let name = "lag: cqrs";
    let repository = Repository::default();
    let store = PersistedEventStore::new_event_store(repository.clone());
    let seen = Seen::default();
    let projection = Arc::new(Projection::new(name));
    let cqrs = TracedCqrs::new(store, vec![], ()).project(Arc::clone(&projection), seen.clone());

    cqrs.execute("g-1", Command::Set).await.expect("accepted");
    assert_eq!(events(name), 0);
    // Cancelled while it dispatches.
    for aggregate in ["g-1", "g-2"] {
        let mut command = pin!(cqrs.execute(aggregate, Command::SetAndReach));
        assert!(poll!(&mut command).is_pending());
    }
    assert_eq!(events(name), 4);
    // Which concerns this aggregate and no other.
    let set = cqrs.execute("g-1", Command::Set);
    set.await.expect("accepted");
    assert_eq!(events(name), 2);
    cqrs.execute("g-3", Command::Refuse)
        .await
        .expect_err("against the rules");
    assert_eq!(events(name), 2, "nothing was written");

    let replay = TracedReplay::<_, _, Goal>::new(projection, repository, seen);
    replay.replay_all().await.expect("it is readable");
    assert_eq!(events(name), 0);
}

#[tokio::test]
async fn who_comes_after_a_query_that_panics_falls_behind() {
    let name = "lag: cqrs after a panic";
    let store = TracedStore::new(MemStore::<Goal>::default());
    let query = TracedQuery::new(Projection::new(name), Seen::default());
    query.projection().follow(store.head());
    let cqrs = CqrsFramework::new(store, vec![Box::new(Panics), Box::new(query)], ());
    let command = AssertUnwindSafe(cqrs.execute("g-1", Command::SetAndReach));
    command.catch_unwind().await.expect_err("it panics");
    assert_eq!(events(name), 2);
}

/// A store that notes what it is about to have written, for all that its caller can know.
struct Noting {
    store: MemStore<Goal>,
    oracle: Arc<Oracle>,
}

impl EventStore<Goal> for Noting {
    type AC = <MemStore<Goal> as EventStore<Goal>>::AC;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<Goal>>, AggregateError<Refused>> {
        self.store.load_events(aggregate_id).await
    }

    async fn load_aggregate(
        &self,
        aggregate_id: &str,
    ) -> Result<Self::AC, AggregateError<Refused>> {
        self.store.load_aggregate(aggregate_id).await
    }

    async fn commit(
        &self,
        events: Vec<Event>,
        context: Self::AC,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<Goal>>, AggregateError<Refused>> {
        let committed = self.store.commit(events, context, metadata).await?;
        for event in &committed {
            self.oracle.writing(stream_of(&event.aggregate_id));
        }
        Ok(committed)
    }
}

/// Goals are called by the number of their stream.
fn stream_of(aggregate_id: &str) -> usize {
    aggregate_id.parse().expect("a number")
}

/// What is dispatched to first, last, and in between: it takes a while and fails at times.
enum Dispatched {
    First(Arc<Oracle>),
    Slow(Arc<Oracle>, Pace),
    Last(Arc<Oracle>),
}

#[async_trait]
impl Query<Goal> for Dispatched {
    async fn dispatch(&self, aggregate_id: &str, events: &[EventEnvelope<Goal>]) {
        let stream = stream_of(aggregate_id);
        let sequence = events.last().expect("some").sequence;
        let fails = sequence.is_multiple_of(7);
        match self {
            Self::First(oracle) => oracle.written(stream, sequence),
            Self::Slow(oracle, pace) => {
                if sequence.is_multiple_of(50) {
                    pace.telling().await;
                } else {
                    pace.readings(sequence % 4).await;
                }
                if fails {
                    event_failed("io", &io::Error::other("no view"));
                } else {
                    oracle.handling(stream, sequence);
                }
            }
            Self::Last(oracle) if !fails => oracle.handled(stream, sequence),
            Self::Last(_) => {}
        }
    }
}

/// Aggregates that commands come for.
const GOALS: usize = 12;
/// Commands for each, at least.
const COMMANDS: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_is_as_far_behind_as_the_oracle_says() {
    let name = "bursts: cqrs";
    let oracle = Arc::new(Oracle::new(GOALS));
    // Kept beyond the framework, as long as somebody reads its lag.
    let projection = Arc::new(Projection::new(name));
    let store = Noting {
        store: MemStore::default(),
        oracle: Arc::clone(&oracle),
    };
    let first = Dispatched::First(Arc::clone(&oracle));
    let (seen, pace) = Pace::new();
    let slow = Dispatched::Slow(Arc::clone(&oracle), pace.clone());
    let last = Dispatched::Last(Arc::clone(&oracle));
    let cqrs = TracedCqrs::new(store, vec![Box::new(first)], ())
        .project(Arc::clone(&projection), slow)
        .append_query(Box::new(last));
    let commands = tokio::spawn({
        async move {
            let goals = (0..GOALS).map(async |goal| {
                let mut rng = Rng::with_seed(goal as u64);
                let goal = goal.to_string();
                let mut executed = 0;
                while executed < COMMANDS || !pace.is_over() {
                    for _ in 0..rng.usize(1..20) {
                        let command = if rng.bool() {
                            Command::Set
                        } else {
                            Command::SetAndReach
                        };
                        let done = cqrs.execute(&goal, command);
                        done.await.expect("accepted");
                        executed += 1;
                    }
                    pace.readings(rng.usize(1..30)).await;
                }
            });
            join_all(goals).await;
        }
    });
    let watcher = spawn_blocking({
        let commands = commands.abort_handle();
        move || watch(name, &oracle, &seen, || !commands.is_finished())
    });
    commands.await.expect("they end");
    watcher.await.expect("as the oracle says");
}
