//! The relation of a span and the reason of it as attributes, encoded at compile time.

use throughline_core::StaticAttributes;
use throughline_wire::static_fields;

use crate::relation::{Decision, Reason, Relation};

/// `trace.relation` (how the handler's span relates to the sender's: `child`, `link` or `root`) and
/// `trace.relation.reason` (which rule decided that).
pub(crate) fn of(decision: &Decision) -> &'static StaticAttributes {
    attributes(decision.relation(), decision.reason())
}

macro_rules! table {
    ($($reason:ident),* $(,)?) => {
        fn attributes(relation: Relation, reason: Reason) -> &'static StaticAttributes {
            match (relation, reason) {
                $((Relation::Child, Reason::$reason) => table!(@one Child $reason),)*
                $((Relation::Link, Reason::$reason) => table!(@one Link $reason),)*
                // A decision is never `auto`.
                $((Relation::Root | Relation::Auto, Reason::$reason) => table!(@one Root $reason),)*
            }
        }
    };
    (@one $relation:ident $reason:ident) => {{
        static ATTRIBUTES: StaticAttributes = StaticAttributes::new(static_fields![
            "trace.relation" = (Relation::$relation.name()),
            "trace.relation.reason" = (Reason::$reason.name()),
        ]);
        &ATTRIBUTES
    }};
}

table! {
    Ask, Tell, Timer, Age, Hops, Sender, Receiver, NoSender, Spans, Record, Ambient, Batch, Event, Replay, Retry, Delayed,
    DeadLetter,
}
