//! Every attribute key that metrics may have, and the names of the instruments.
//!
//! Owns names only. `messaging.*` and `error.type` are those of OpenTelemetry's semantic conventions (v1.44, `messaging.*`
//! in development); `actor.*` and `projection.*` are this project's own, experimental. What spans have beside these, such as
//! the id of an actor or the offset of a record, has too many values to make a series of each.

/// `error.type`: which kind of error, the same as on the span; stable.
pub(crate) const ERROR_TYPE: &str = "error.type";
/// `otel.metric.overflow`: that the attributes were too many to be told apart.
pub(crate) const OVERFLOW: &str = "otel.metric.overflow";
/// `actor.mailbox.name`: the channel that messages wait in.
pub(crate) const MAILBOX_NAME: &str = "actor.mailbox.name";

/// `actor.system`: the library whose actors these are.
pub(crate) const ACTOR_SYSTEM: &str = "actor.system";

/// What only the handlers of actors have.
pub(crate) const OF_ACTORS: &str = "actor.type";
/// What only those of queues have.
pub(crate) const OF_QUEUES: &str = "messaging.system";
/// What only those of projections have.
pub(crate) const OF_PROJECTIONS: &str = "projection.name";
/// `projection.partition`: which part of the events a projection takes.
pub(crate) const PARTITION: &str = "projection.partition";

/// The attributes that are told of a handler, as far as its callsite or its labels say so.
pub(crate) const TOLD: &[&str] = &[
    ACTOR_SYSTEM,
    OF_ACTORS,
    "actor.message.type",
    MAILBOX_NAME,
    OF_QUEUES,
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.destination.name",
    "messaging.destination.template",
    "messaging.destination.subscription.name",
    "messaging.consumer.group.name",
    OF_PROJECTIONS,
    "projection.event.type",
];

pub(crate) const ACTOR_PROCESS: &str = "actor.process.duration";
pub(crate) const ACTOR_WAIT: &str = "actor.mailbox.wait.duration";
pub(crate) const ACTOR_MAILBOX_SIZE: &str = "actor.mailbox.size";
pub(crate) const ACTOR_DROPPED: &str = "actor.messages.dropped";
pub(crate) const ACTOR_ASK_TIMEOUTS: &str = "actor.ask.timeouts";
pub(crate) const ACTOR_LIVE: &str = "actor.live";
pub(crate) const PROJECTION_PROCESS: &str = "projection.process.duration";
pub(crate) const PROJECTION_WAIT: &str = "projection.wait.duration";
pub(crate) const PROJECTION_SKIPPED: &str = "projection.events.skipped";
pub(crate) const PROJECTION_LIVE: &str = "projection.live";
pub(crate) const PROJECTION_LAG: &str = "projection.lag";
pub(crate) const PROJECTION_LAG_EVENTS: &str = "projection.lag.events";
pub(crate) const QUEUE_PROCESS: &str = "messaging.process.duration";
pub(crate) const QUEUE_OPERATION: &str = "messaging.client.operation.duration";
pub(crate) const QUEUE_SENT: &str = "messaging.client.sent.messages";
pub(crate) const QUEUE_CONSUMED: &str = "messaging.client.consumed.messages";
