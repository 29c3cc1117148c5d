//! Roles: whole trees of actors, consumers and projections, on every host.
//!
//! Which modules draw what; a dash where the host has no such thing:
//!
//! | | plain Tokio | kameo | queues, rdkafka | stored events, cqrs-es |
//! |---|---|---|---|---|
//! | the sender's span ends first | `plain::endings` | `kameo` | `rdkafka` | `projections` |
//! | an `Err` | `plain::endings` | `kameo` | `records`, `rdkafka` | `projections`, `cqrs_es` |
//! | a panic | `plain::endings` | `kameo` | `rdkafka::endings` | `cqrs_es` |
//! | cancelled at each poll | `plain::endings` | `kameo::edges` | `records`, `rdkafka::endings` | `cqrs_es` |
//! | the asker is dropped | `plain` | `kameo` | – | `cqrs_es` (of a command) |
//! | stop with messages queued | `plain`, `plain::endings` | `kameo`, `::edges`, `::budgets` | `rdkafka::endings` | – |
//! | restart | `lifecycle`, `plain::endings` | `kameo` | `rdkafka::endings` | – |
//! | 10⁵ ticks of a self-timer | `budgets` | `kameo::budgets` | – | – |
//! | a fan-out of depth 12 | `budgets` | `kameo::budgets` | `rdkafka::endings` | – |
//! | 500 at once, contexts twice | – | – | `records`, `rdkafka` | `projections` |
//! | redelivery | – | – | `records`, `rdkafka` | `projections` |
//! | dead letter | – | – | `records`, `rdkafka`, `rdkafka::endings` | – |
//! | empty polls | `plain::endings` | – | `rdkafka` | `projections` |
//! | page mode | – | – | – | `projections`, `cqrs_es` |
//! | replay | – | – | – | `projections`, `cqrs_es`, `cqrs_es::replay` |
//! | loops of one's own | `loops`, `::others`, `::matches`, `::blocking` | – | `loops`, `::blocking` | `loops` |
//! | what others pass on | – | `kameo::passed_on`, `::edges` | `rdkafka::receiving` (streams) | – |
//! | commits, transactions | – | – | `rdkafka`, `rdkafka::groups` | `projections` |
//! | rebalances | – | – | `rdkafka`, `rdkafka::groups` | – |

mod attributes; // the role attributes, alone and under an observer
mod budgets; // how large traces get
mod cqrs_es; // commands, events and projections of cqrs-es
mod kameo; // actors of kameo: every way to send, every way to end, the lifecycle
mod lag; // how far projections are behind, and what of
mod lifecycle; // the lives of actors on plain Tokio
mod live; // how many actors and projections there are
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
