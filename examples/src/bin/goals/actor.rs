//! The goal book: a plain Tokio actor, a task that owns its state and takes one message at a time.
//!
//! Nothing here is special to tracing but the context in the envelope: it makes the span of a message a child of the
//! span that sent it, in whatever task that is handled.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use throughline::core::Context;
use throughline::task::JoinSet;
use throughline::traced;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::store::{Goal, Store, StoreError};

/// The handle of the actor. The actor stops when the last handle is gone and its mailbox is empty.
#[derive(Clone, Debug)]
pub(crate) struct GoalBook(mpsc::Sender<Envelope>);

impl GoalBook {
    /// Starts the actor; the task ends when the actor has stopped and everything it set off is done.
    pub(crate) fn start(store: Store) -> (Self, JoinHandle<()>) {
        let (mailbox, messages) = mpsc::channel(MAILBOX);
        let book = Book {
            store,
            goals_of: HashMap::new(),
            announcements: JoinSet::new(),
        };
        // Not `throughline::task::spawn`: the actor outlives whoever starts it.
        (Self(mailbox), tokio::spawn(book.run(messages)))
    }

    /// Asks the actor to add a goal, and waits for the answer.
    pub(crate) async fn add(
        &self,
        title: String,
        owner: String,
        days: u64,
    ) -> Result<Added, Unavailable> {
        let (reply, answer) = oneshot::channel();
        let envelope = Envelope {
            context: Context::current(),
            message: Goal { title, owner, days },
            reply,
        };
        self.0
            .send(envelope)
            .await
            .map_err(|_| Unavailable::Stopped)?;
        answer.await.map_err(|_| Unavailable::Stopped)?
    }
}

/// How many messages may wait; then senders do.
const MAILBOX: usize = 64;

/// A message on its way.
#[derive(Debug)]
struct Envelope {
    context: Context,
    message: Goal,
    reply: oneshot::Sender<Result<Added, Unavailable>>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Added {
    pub(crate) id: i64,
    /// How many goals the owner has now.
    pub(crate) goals: u32,
    pub(crate) days: u64,
}

/// The state of the actor.
struct Book {
    store: Store,
    goals_of: HashMap<String, u32>,
    /// They go on when the message that set them off is done.
    announcements: JoinSet<()>,
}

impl Book {
    async fn run(mut self, mut messages: mpsc::Receiver<Envelope>) {
        while let Some(envelope) = messages.recv().await {
            let Envelope {
                context,
                message,
                reply,
            } = envelope;
            let answer = self.add(&context, message).await;
            // An asker that is gone needs no answer.
            let _ = reply.send(answer);
            while self.announcements.try_join_next().is_some() {}
        }
        while self.announcements.join_next().await.is_some() {}
    }

    #[traced(
        name = "GoalBook Add",
        parent = sender,
        err,
        attrs(
            actor.r#type = "GoalBook",
            actor.message.r#type = "Add",
            actor.message.operation = "ask",
        )
    )]
    async fn add(&mut self, sender: &Context, goal: Goal) -> Result<Added, Unavailable> {
        tracing::info!(logged_by = "add", goal = goal.title, "from the mailbox");
        let id = self.store.insert(&goal).await?;
        let goals = self.goals_of.entry(goal.owner.clone()).or_default();
        *goals += 1;
        let added = Added {
            id,
            goals: *goals,
            days: goal.days,
        };
        tracing::info!(logged_by = "add", goal = goal.title, id, "stored");
        self.announcements.spawn(announce(goal));
        Ok(added)
    }
}

/// Tells the owner; nobody waits for it.
#[traced(attrs(goal.owner = &goal.owner))]
async fn announce(goal: Goal) {
    tokio::task::yield_now().await;
    tracing::info!(
        logged_by = "announce",
        goal = goal.title,
        owner = goal.owner,
        "announced"
    );
}

/// Why the actor could not add a goal.
#[derive(Debug)]
pub(crate) enum Unavailable {
    Stopped,
    Store(StoreError),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("the goal book is closed"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl From<StoreError> for Unavailable {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
