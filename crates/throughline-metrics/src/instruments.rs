//! The instruments that measurements are recorded into, on the thread that drains.

use opentelemetry::metrics::{Counter, Histogram, Meter};
use throughline_core::Measurement;

use crate::attributes::{Kind, Role};
use crate::keys;

/// The instruments of all roles.
#[derive(Debug)]
pub(crate) struct Instruments {
    actor_process: Histogram<f64>,
    actor_wait: Histogram<f64>,
    projection_process: Histogram<f64>,
    projection_wait: Histogram<f64>,
    queue_process: Histogram<f64>,
    queue_consumed: Counter<u64>,
    queue_operation: Histogram<f64>,
    queue_sent: Counter<u64>,
}

impl Instruments {
    pub(crate) fn new(meter: &Meter) -> Self {
        let seconds = |name, description| {
            let histogram = meter.f64_histogram(name).with_unit("s");
            let histogram = histogram.with_description(description);
            histogram.with_boundaries(BUCKETS.to_vec()).build()
        };
        Self {
            actor_process: seconds(keys::ACTOR_PROCESS, "How long handlers of actors took."),
            actor_wait: seconds(keys::ACTOR_WAIT, "How long messages waited in mailboxes."),
            projection_process: seconds(
                keys::PROJECTION_PROCESS,
                "How long projections took for an event.",
            ),
            projection_wait: seconds(
                keys::PROJECTION_WAIT,
                "How long after it was stored a projection took an event.",
            ),
            queue_process: seconds(keys::QUEUE_PROCESS, "Duration of processing operation."),
            queue_operation: seconds(
                keys::QUEUE_OPERATION,
                "Duration of messaging operation initiated by a producer or consumer client.",
            ),
            queue_sent: meter
                .u64_counter(keys::QUEUE_SENT)
                .with_unit("{message}")
                .with_description("Number of messages producer attempted to send to the broker.")
                .build(),
            queue_consumed: meter
                .u64_counter(keys::QUEUE_CONSUMED)
                .with_unit("{message}")
                .with_description("Number of messages that were delivered to the application.")
                .build(),
        }
    }

    pub(crate) fn record(&self, measurement: &Measurement<'_>, kind: &Kind) {
        let took = measurement.took().as_secs_f64();
        let (process, wait) = match kind.role {
            Role::Actor => (&self.actor_process, Some(&self.actor_wait)),
            Role::Projection => (&self.projection_process, Some(&self.projection_wait)),
            Role::Send => {
                let messages = measurement.messages().into();
                self.queue_sent.add(messages, &kind.all);
                (&self.queue_operation, None)
            }
            Role::Client => (&self.queue_operation, None),
            Role::Queue => {
                // What became of a message has no part in its delivery.
                self.queue_consumed
                    .add(measurement.messages().into(), &kind.known);
                (&self.queue_process, None)
            }
        };
        process.record(took, &kind.all);
        if let (Some(histogram), Some(wait)) = (wait, measurement.wait()) {
            histogram.record(wait.as_secs_f64(), &kind.known);
        }
    }
}

/// The bucket boundaries of the messaging conventions, in seconds.
const BUCKETS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
