//! A flush says what happened, not what happened last.

use std::time::Duration;

use fastrand::Rng;
use throughline::testing::{Oracle, Response};
use throughline_tests::support::{inv, load};

use crate::support::{LONG, Row, receiver, seeds, size, to};

const BATCHES: u64 = 10;
const BATCH_SPANS: u64 = 10;

#[test]
fn row_13_a_flush_is_complete_only_if_every_batch_is() {
    let row = Row::start(
        13,
        "k of n batches fail in one flush; a flush that runs out of time",
        "incomplete iff any batch failed, count named; after a timeout INV holds",
    );
    let seeds = seeds(size(30, 100, 10_000));
    let receiver = receiver();
    let pipeline = to(&receiver.endpoint())
        .max_batch_spans(BATCH_SPANS)
        .start()
        .expect("a pipeline starts");
    let oracle = Oracle::new();
    let mut incomplete = 0;
    for &seed in &seeds {
        let mut chance = Rng::with_seed(seed);
        let failing = if chance.bool() {
            chance.u64(0..=BATCHES)
        } else {
            chance.u64(0..2)
        };
        let mut script = vec![Response::ok(); BATCHES as usize];
        script[..failing as usize].fill(Response::new(400));
        chance.shuffle(&mut script);
        receiver.respond_with(script);
        oracle.issue(load::record_in(&pipeline, BATCHES * BATCH_SPANS));
        let report = pipeline.flush(LONG);
        assert_eq!(
            report.failed,
            failing * BATCH_SPANS,
            "seed {seed}: {report}"
        );
        assert_eq!(
            report.exported,
            (BATCHES - failing) * BATCH_SPANS,
            "seed {seed}"
        );
        assert_eq!(report.is_complete(), failing == 0, "seed {seed}: {report}");
        incomplete += u64::from(failing > 0);
    }
    inv::hold(&oracle, &receiver, &pipeline.stats());

    receiver.respond_with([Response::ok().delay(Duration::from_millis(300))]);
    oracle.issue(load::record_in(&pipeline, BATCHES * BATCH_SPANS));
    let late = pipeline.flush(Duration::from_millis(20));
    assert!(late.timed_out && !late.is_complete(), "{late}");
    assert!(pipeline.flush(LONG).is_complete());
    inv::hold(&oracle, &receiver, &pipeline.stats());
    row.holds(format!(
        "{} flushes of {BATCHES} batches, {incomplete} with failures: every count exact; INV exact after a timeout",
        seeds.len()
    ));
}
