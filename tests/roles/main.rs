//! Roles: whole trees of actors, consumers and projections, on every host.

mod attributes; // the role attributes, alone and under an observer
mod budgets; // how large traces get
mod plain; // actors on plain Tokio: a mailbox, a loop, a way back
mod records; // what comes out of a queue, whatever queue
