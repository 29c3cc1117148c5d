//! Roles: whole trees of actors, consumers and projections, on every host.

mod attributes; // the role attributes, alone and under an observer
mod budgets; // how large traces get
mod cqrs_es; // commands, events and projections of cqrs-es
mod kameo; // actors of kameo: every way to send, every way to end, the lifecycle
mod lifecycle; // the lives of actors on plain Tokio
mod loops; // receive loops that are written by hand
mod metrics; // what is counted and timed, sampled or not
mod plain; // actors on plain Tokio: a mailbox, a loop, a way back
mod projections; // stored events, on no host
mod rdkafka; // records of Kafka, on librdkafka's mock cluster
mod records; // what comes out of a queue, whatever queue
mod selection; // which messages are traced at all

use throughline::testing::Capture;
use throughline::{FutureExt, span};

/// Runs `work` in a span of the capture that is called `request`.
async fn in_request<F: Future>(capture: &Capture, work: F) -> F::Output {
    work.in_span(span!(parent: capture.context(), "request"))
        .await
}
