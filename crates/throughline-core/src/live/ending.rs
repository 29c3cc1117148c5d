//! How an open span ends: what an end that is not the normal course leaves in it.

use throughline_wire as wire;

use super::LiveSpan;
use super::course::Dropped;
use crate::kind::{Outcome, Status};

impl LiveSpan {
    /// Settles how the span ended. An end that is not the normal course becomes visible in status and attributes,
    /// unless the user has set those.
    #[inline(always)]
    pub(crate) fn finish(&mut self, outcome: Outcome) {
        if self.course.unusual || outcome != Outcome::Completed {
            self.finish_unusually(outcome);
        }
    }

    #[cold]
    #[inline(never)]
    fn finish_unusually(&mut self, outcome: Outcome) {
        if !self.recording {
            return self.finish_measured(outcome);
        }
        self.facts.outcome = match outcome {
            Outcome::Completed if self.facts.status == Status::Error => Outcome::Error,
            other => other,
        };
        if matches!(outcome, Outcome::Cancelled | Outcome::Panicked) {
            self.explain(outcome);
        } else if self.handling().is_abandoned {
            self.set_attribute(OUTCOME, "abandoned");
        }
        if self.course.dropped != Dropped::default() {
            let Dropped {
                attributes,
                events,
                links,
            } = self.course.dropped;
            wire::put_dropped_counts(&mut self.body, attributes, events, links);
        }
    }

    #[cold]
    fn explain(&mut self, outcome: Outcome) {
        self.set_attribute(OUTCOME, outcome.name());
        if self.facts.status == Status::Unset {
            let (kind, message) = match outcome {
                Outcome::Panicked => ("panic", "panicked"),
                _ => ("cancelled", "dropped before it was ready"),
            };
            self.set_attribute(const { wire::key!("error.type") }, kind);
            self.set_status(Status::Error, message);
        }
    }
}

/// `span.outcome`: how a span ended, unless in the normal course.
const OUTCOME: wire::Key = wire::key!("span.outcome");
