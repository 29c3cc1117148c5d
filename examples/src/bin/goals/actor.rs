//! The goal book: a plain Tokio actor, a task that owns its state and takes one message at a time.
//!
//! Two things here are special to tracing: the channel is Throughline's, whose messages bring their sender's context
//! along, and the handler has an attribute, which names its span.

use std::collections::HashMap;
use std::fmt;

use cqrs_es::AggregateError;
use cqrs_es::persist::PersistedEventStore;
use serde::Serialize;
use throughline::actor;
use throughline::channel::{mpsc, oneshot};
use throughline::cqrs_es::{TracedCqrs, TracedQuery};
use tokio::task::JoinHandle;

use crate::goal::{Command, Goal, GoalAdded, Known};
use crate::store::Events;
use crate::summary::Summary;

/// The handle of the actor. The actor stops when the last handle is gone and its mailbox is empty.
#[derive(Clone, Debug)]
pub(crate) struct GoalBookHandle(mpsc::Sender<Question>);

impl GoalBookHandle {
    /// Starts the actor; the task ends when the actor has stopped.
    pub(crate) fn start(events: Events, summary: TracedQuery<Summary>) -> (Self, JoinHandle<()>) {
        let (mailbox, questions) = mpsc::named("goal_book", MAILBOX);
        let store = PersistedEventStore::new_event_store(events);
        let book = GoalBook {
            goals: TracedCqrs::new(store, vec![Box::new(summary)], ()),
            added: 0,
            goals_of: HashMap::new(),
        };
        // Not `throughline::task::spawn`: the actor outlives whoever starts it.
        (Self(mailbox), tokio::spawn(book.run(questions)))
    }

    /// Asks the actor to add a goal, and waits for the answer.
    pub(crate) async fn add(&self, goal: GoalAdded) -> Result<Added, Unavailable> {
        let add = Add(goal);
        let question = |reply| Question { add, reply };
        let answer = self.0.ask(question).await;
        answer.map_err(|_| Unavailable::Stopped)?
    }
}

/// How many messages may wait; then senders do.
const MAILBOX: usize = 64;

/// A message and the way back.
#[derive(Debug)]
struct Question {
    add: Add,
    reply: oneshot::Sender<Result<Added, Unavailable>>,
}

/// The message.
#[derive(Debug)]
struct Add(GoalAdded);

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Added {
    pub(crate) id: u64,
    /// How many goals the owner has now.
    pub(crate) goals: u32,
    pub(crate) days: u64,
}

/// The state of the actor.
struct GoalBook {
    goals: TracedCqrs<Goal, PersistedEventStore<Events, Goal>>,
    added: u64,
    goals_of: HashMap<String, u32>,
}

impl GoalBook {
    async fn run(mut self, mut questions: mpsc::Receiver<Question>) {
        while let Some(delivery) = questions.recv().await {
            // In the span of the message, so that a reply which nobody waits for shows in it.
            let handler = async |Question { add, reply }| {
                let answer = self.handle(add).await;
                let _ = reply.send(answer);
            };
            delivery.handle(handler).await;
        }
    }
}

#[actor]
impl GoalBook {
    async fn handle(&mut self, add: Add) -> Result<Added, Unavailable> {
        let Add(goal) = add;
        tracing::info!(logged_by = "handle", goal = goal.title, "from the mailbox");
        let id = self.added + 1;
        let stream = format!("goal-{id}");
        self.goals
            .execute(&stream, Command::Add(goal.clone()))
            .await?;
        self.added = id;
        let goals = self.goals_of.entry(goal.owner).or_default();
        *goals += 1;
        tracing::info!(logged_by = "handle", goal = goal.title, stream, "stored");
        Ok(Added {
            id,
            goals: *goals,
            days: goal.days,
        })
    }
}

/// Why the actor could not add a goal.
#[derive(Debug)]
pub(crate) enum Unavailable {
    Stopped,
    Store(AggregateError<Known>),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("the goal book is closed"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl From<AggregateError<Known>> for Unavailable {
    fn from(error: AggregateError<Known>) -> Self {
        Self::Store(error)
    }
}
