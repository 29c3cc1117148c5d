//! Every attribute key that this crate writes.
//!
//! Owns names only. The `messaging.*` keys are those of OpenTelemetry's semantic conventions (v1.44, in development),
//! for brokers. These have none for actors, mailboxes and in-process queues, and no name for a wait: the `actor.*`,
//! `queue.*`, `projection.*` and `trace.*` keys are this project's own, experimental.

use throughline_wire::{Key, key};

use crate::relation::Operation;

/// `actor.system`: the library whose actors these are.
pub(crate) const ACTOR_SYSTEM: Key = key!("actor.system");
/// `actor.type`: the name of the actor's type.
pub(crate) const ACTOR_TYPE: Key = key!("actor.type");
/// `actor.id`: which actor of that type. On spans only: there are as many as actors.
pub(crate) const ACTOR_ID: Key = key!("actor.id");
/// `actor.stop.reason`: why the actor stopped.
pub(crate) const STOP_REASON: Key = key!("actor.stop.reason");
/// `actor.ask.limit`: seconds that an answer was waited for, a floating point number.
pub(crate) const ASK_LIMIT: Key = key!("actor.ask.limit");
/// `code.file.path`, stable: where a question was asked.
pub(crate) const CODE_FILE_PATH: Key = key!("code.file.path");
/// `code.line.number`, stable.
pub(crate) const CODE_LINE_NUMBER: Key = key!("code.line.number");
/// `actor.mailbox.name`: the channel that the message waited in.
pub(crate) const MAILBOX_NAME: Key = key!("actor.mailbox.name");
/// `actor.mailbox.wait`: seconds from the send to the start of the handler, a floating point number.
pub(crate) const MAILBOX_WAIT: Key = key!("actor.mailbox.wait");
/// `actor.message.operation`: `ask`, `tell` or `timer`.
pub(crate) const MESSAGE_OPERATION: Key = key!("actor.message.operation");
/// `actor.message.type`: the Rust type of the message.
pub(crate) const MESSAGE_TYPE: Key = key!("actor.message.type");
/// `span.outcome`: how a handler ended, unless in the normal course.
pub(crate) const OUTCOME: Key = key!("span.outcome");
/// `error.type`: which kind of error, by the conventions; stable.
pub(crate) const ERROR_TYPE: Key = key!("error.type");
/// `projection.name`: the projection that takes the event.
pub(crate) const PROJECTION_NAME: Key = key!("projection.name");
/// `projection.partition`: which part of the events it takes, where several share them.
pub(crate) const PARTITION: Key = key!("projection.partition");
/// `projection.event.type`: the type of the event, by the name that the store knows.
pub(crate) const EVENT_TYPE: Key = key!("projection.event.type");
/// `projection.stream.id`: the stream, or the aggregate, that the event belongs to.
pub(crate) const STREAM_ID: Key = key!("projection.stream.id");
/// `projection.sequence`: the place of the event in its stream.
pub(crate) const SEQUENCE: Key = key!("projection.sequence");
/// `projection.page.events`: how many events are handled at once.
pub(crate) const PAGE_EVENTS: Key = key!("projection.page.events");
/// `projection.replay`: that the events were handled before.
pub(crate) const REPLAY: Key = key!("projection.replay");

/// `messaging.system`: the broker's kind, such as `kafka`.
pub(crate) const SYSTEM: Key = key!("messaging.system");
/// `messaging.operation.name`: what the broker's own clients call it, such as `commit`.
pub(crate) const OPERATION_NAME: Key = key!("messaging.operation.name");
/// `messaging.operation.type`: `create`, `send`, `receive`, `process` or `settle`.
pub(crate) const OPERATION_TYPE: Key = key!("messaging.operation.type");
/// `messaging.destination.name`: the topic or queue.
pub(crate) const DESTINATION_NAME: Key = key!("messaging.destination.name");
/// `messaging.destination.template`: what the names of many destinations have in common.
pub(crate) const DESTINATION_TEMPLATE: Key = key!("messaging.destination.template");
/// `messaging.destination.subscription.name`: which of a topic's subscriptions.
pub(crate) const SUBSCRIPTION_NAME: Key = key!("messaging.destination.subscription.name");
/// `messaging.destination.temporary`: whether it goes when nobody uses it any more.
pub(crate) const DESTINATION_TEMPORARY: Key = key!("messaging.destination.temporary");
/// `messaging.destination.anonymous`: whether the broker made its name up.
pub(crate) const DESTINATION_ANONYMOUS: Key = key!("messaging.destination.anonymous");
/// `server.address`: the broker's host; stable.
pub(crate) const SERVER_ADDRESS: Key = key!("server.address");
/// `server.port`: the broker's port; stable.
pub(crate) const SERVER_PORT: Key = key!("server.port");
/// `messaging.message.id`: the message, where an operation takes one.
pub(crate) const MESSAGE_ID: Key = key!("messaging.message.id");
/// `messaging.message.conversation_id`: what the message belongs to together with others, as a correlation id.
pub(crate) const CONVERSATION_ID: Key = key!("messaging.message.conversation_id");
/// `messaging.consumer.group.name`: the group that the consumer is one of.
pub(crate) const CONSUMER_GROUP_NAME: Key = key!("messaging.consumer.group.name");
/// `messaging.client.id`: the client that sends or receives.
pub(crate) const CLIENT_ID: Key = key!("messaging.client.id");
/// `messaging.batch.message_count`: how many messages, where an operation takes several.
pub(crate) const BATCH_MESSAGE_COUNT: Key = key!("messaging.batch.message_count");

/// `queue.lag.messages`: how many messages were behind the one that is handled, when the broker told last.
pub(crate) const QUEUE_LAG_MESSAGES: Key = key!("queue.lag.messages");

/// The keys that are another one's for each role, and mean the same.
pub(crate) struct Role {
    /// Seconds from the send to the start of the handler, a floating point number.
    pub(crate) wait: &'static Key,
    /// Which attempt this is, from one.
    pub(crate) attempt: &'static Key,
}

/// The keys of the role that handles what was sent so.
pub(crate) const fn of(operation: Operation) -> Role {
    match operation {
        Operation::Tell | Operation::Ask | Operation::Timer => Role {
            wait: &MAILBOX_WAIT,
            attempt: &const { key!("actor.attempt") },
        },
        Operation::Record | Operation::Batch => Role {
            wait: &const { key!("queue.wait") },
            attempt: &const { key!("queue.attempt") },
        },
        Operation::Event | Operation::Replay => Role {
            wait: &const { key!("projection.lag") },
            attempt: &const { key!("projection.attempt") },
        },
    }
}
