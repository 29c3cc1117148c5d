//! Roles: whole trees of actors, consumers and projections, on every host.

mod cqrs_es; // commands, events and projections of cqrs-es
mod plain; // actors on plain Tokio: a mailbox, a loop, a way back
mod projections; // stored events, on no host
