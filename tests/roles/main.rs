//! Roles: whole trees of actors, consumers and projections, on every host.

mod kameo; // actors of kameo: every way to send, every way to end, the lifecycle
mod plain; // actors on plain Tokio: a mailbox, a loop, a way back
