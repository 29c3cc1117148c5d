//! Every attribute key that this crate writes, and the names it makes.
//!
//! OpenTelemetry's semantic conventions (v1.44) have none for actors: the `actor.*` keys and `span.outcome` are this
//! project's own, experimental. Wait, relation and reason are the observer's.

use throughline_wire::{Key, key};

/// `actor.system`: the library whose actors these are.
pub(crate) const SYSTEM: Key = key!("actor.system");
/// What `actor.system` holds.
pub(crate) const KAMEO: &str = "kameo";
/// `actor.type`: the name of the actor's type.
pub(crate) const TYPE: Key = key!("actor.type");
/// `actor.id`: which actor of that type. On spans only: there are as many as actors.
pub(crate) const ID: Key = key!("actor.id");
/// `actor.message.type`: the name of the message's type.
pub(crate) const MESSAGE_TYPE: Key = key!("actor.message.type");
/// `actor.message.operation`: `ask`, `tell` or `timer`.
pub(crate) const MESSAGE_OPERATION: Key = key!("actor.message.operation");
/// `actor.stop.reason`: why the actor stopped.
pub(crate) const STOP_REASON: Key = key!("actor.stop.reason");
/// `span.outcome`: how it ended, unless in the normal course.
pub(crate) const OUTCOME: Key = key!("span.outcome");

/// Two words, as names of spans have them.
pub(crate) fn joined(first: &str, second: &str) -> String {
    let mut name = String::with_capacity(first.len() + 1 + second.len());
    name.push_str(first);
    name.push(' ');
    name.push_str(second);
    name
}
