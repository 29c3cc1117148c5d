//! More names than there may be series. Alone in its process, since the sets of labels are the process's.

#[expect(dead_code, reason = "the other tests look at more of a series")]
mod support;

use std::ops::ControlFlow;

use throughline_core::{Context, Recorder, RecorderConfig, Sampler};
use throughline_messaging::queue::Destination;
use throughline_messaging::{Arrival, Operation, Policy, Projection, StoredEvent, observe};
use throughline_metrics::Metrics;

use support::Kept;

const NAMES: usize = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};

#[tokio::test]
async fn names_without_end_make_two_thousand_series_and_no_sum_is_lost() {
    let mut config = RecorderConfig::default();
    config.sampler = Sampler::always_off();
    let recorder = Recorder::start(config);
    let _here = recorder.context().attach();
    let kept = Kept::new();
    let metrics = Metrics::start(&recorder, &kept.meter()).expect("a thread");
    let nobody = Context::current();
    for number in 0..NAMES {
        let name = format!("orders-{number}");
        let destination = Destination::new("mybroker", &name);
        let arrival = Arrival::new(&nobody, Operation::Record);
        observe(destination.process(&arrival, &Policy::new()), async {}).await;
        if number % 1_000 == 0 {
            metrics.flush();
        }
    }
    let summary = Projection::new("summary");
    let event = StoredEvent::new(&nobody, "OrderPlaced");
    summary.handle(&event, async {}).await;
    metrics.shutdown();
    assert_eq!(recorder.stats().measurements_dropped, 0);
    let series = kept.collect();
    for name in [
        "messaging.client.consumed.messages",
        "messaging.process.duration",
    ] {
        let of_name: Vec<_> = series.iter().filter(|series| series.name == name).collect();
        assert!(of_name.len() <= 2_000, "{}", of_name.len());
        let sum: u64 = of_name.iter().map(|series| series.count).sum();
        assert_eq!(sum, NAMES as u64);
        let overflow = of_name
            .iter()
            .find(|series| series.attributes == ["otel.metric.overflow=true"]);
        let known = of_name.len() as u64 - 1;
        assert_eq!(
            overflow.expect("there is no room").count,
            NAMES as u64 - known
        );
    }
    // What overflows is told apart by instrument.
    let projections = series
        .iter()
        .find(|series| series.name == "projection.process.duration");
    assert_eq!(projections.expect("it was handled").count, 1);
    recorder.drain(|_| ControlFlow::Continue(()));
}
