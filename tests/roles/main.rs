//! Roles: whole trees of actors, consumers and projections, on every host.

mod plain; // actors on plain Tokio: a mailbox, a loop, a way back
mod rdkafka; // records of Kafka, on librdkafka's mock cluster
