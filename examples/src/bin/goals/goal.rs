//! The goal: an aggregate of cqrs-es, with the command it takes and the events it leaves behind.
//!
//! Nothing here knows of tracing. The context of a command goes beside its events, in their metadata.

use std::error::Error;
use std::fmt;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

/// What is known of one goal.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Goal {
    added: bool,
}

#[derive(Debug)]
pub(crate) enum Command {
    Add(GoalAdded),
}

/// Every command that is taken leaves both.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) enum Event {
    GoalAdded(GoalAdded),
    /// Of no use to the projections here, so that they pass over it.
    ReminderPlanned {
        after_days: u64,
    },
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct GoalAdded {
    pub(crate) title: String,
    pub(crate) owner: String,
    pub(crate) days: u64,
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::GoalAdded(_) => "GoalAdded",
            Self::ReminderPlanned { .. } => REMINDER_PLANNED,
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

pub(crate) const REMINDER_PLANNED: &str = "ReminderPlanned";

impl Aggregate for Goal {
    const TYPE: &'static str = "goal";
    type Command = Command;
    type Event = Event;
    type Error = Known;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Known> {
        if self.added {
            return Err(Known);
        }
        let Command::Add(goal) = command;
        let after_days = goal.days / 2;
        sink.write(Event::GoalAdded(goal), self).await;
        sink.write(Event::ReminderPlanned { after_days }, self)
            .await;
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        self.added |= matches!(event, Event::GoalAdded(_));
    }
}

/// The goal is there already.
#[derive(Debug)]
pub(crate) struct Known;

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the goal is there already")
    }
}

impl Error for Known {}
