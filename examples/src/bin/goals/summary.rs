//! The summary: how many goals each owner has, and how long they take. A query of cqrs-es, and its replay.
//!
//! The framework dispatches it within the command. Its span is the root of a trace all the same, linked to the command:
//! a projection is work of its own, which may come much later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cqrs_es::{AggregateError, EventEnvelope, Query};
use throughline::cqrs_es::{Projection, TracedReplay};

use crate::goal::{Event, Goal, Known, REMINDER_PLANNED};
use crate::store::Events;

/// The view; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary(Arc<Mutex<BTreeMap<String, Totals>>>);

/// What is known of one owner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Totals {
    goals: u64,
    days: u64,
}

impl Summary {
    /// As it stands in the traces. The events that it has no use for have no spans; they are counted.
    pub(crate) fn projection() -> Projection {
        Projection::new("goal_summary").skipping([REMINDER_PLANNED])
    }

    /// Builds the view once more from the events that are stored.
    ///
    /// Each page is a trace by itself. The events have no spans this time, and nothing that the view sends, if it sent
    /// anything, would be part of a trace that is recorded.
    pub(crate) async fn replay(events: Events) -> Result<Self, AggregateError<Known>> {
        let view = Self::default();
        let replay = TracedReplay::<_, _, Goal>::new(Self::projection(), events, view.clone());
        replay.page_size(REPLAY_PAGE).replay_all().await?;
        Ok(view)
    }

    /// What it says of whom.
    pub(crate) fn totals(&self) -> BTreeMap<String, Totals> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Totals>> {
        // Whoever panicked had not begun to change anything, or was done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events of a replay that are one span.
pub(crate) const REPLAY_PAGE: u64 = 500;

#[async_trait]
impl Query<Goal> for Summary {
    async fn dispatch(&self, _: &str, events: &[EventEnvelope<Goal>]) {
        let mut view = self.lock();
        for event in events {
            if let Event::GoalAdded(goal) = &event.payload {
                let totals = view.entry(goal.owner.clone()).or_default();
                totals.goals += 1;
                totals.days += goal.days;
            }
        }
    }
}
