//! What flush reports is true.

use std::thread;
use std::time::Duration;

use throughline_export::Pipeline;
use throughline_testing::Response;

use crate::support::{Gated, LONG, assert_settled, receiver, record_in, to};

#[test]
fn one_failed_batch_among_many_makes_the_report_incomplete() {
    let receiver = receiver();
    let pipeline = to(&receiver).max_batch_spans(10).start().unwrap();
    receiver.respond_with([
        Response::ok(),
        Response::new(400),
        Response::ok(),
        Response::new(500),
        Response::ok(),
    ]);
    record_in(&pipeline, 0..50);
    let report = pipeline.flush(LONG);
    assert_eq!((report.exported, report.failed), (30, 20), "{report}");
    assert!(!report.is_complete());
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.failed.to_string(), "20 (400: 10, 500: 10)");

    // The next flush is about what is new.
    let report = pipeline.flush(LONG);
    assert!(report.is_complete());
    assert_eq!(report.exported, 0);
}

#[test]
fn a_flush_that_runs_out_of_time_says_so() {
    let exporter = Gated::default();
    let pipeline = Pipeline::builder()
        .exporter(exporter.clone())
        .start()
        .unwrap();
    record_in(&pipeline, 0..10);
    let report = pipeline.flush(Duration::from_millis(20));
    assert!(report.timed_out && !report.is_complete());
    assert_eq!((report.exported, report.failed), (0, 0));
    assert_eq!(pipeline.stats().unaccounted(), 0);
    exporter.open();
    let report = pipeline.flush(LONG);
    assert!(report.is_complete());
    assert_eq!(report.exported, 10);
    assert_settled(&pipeline.stats());
}

#[test]
fn flushes_at_the_same_time_are_all_answered() {
    let receiver = receiver();
    let pipeline = to(&receiver).start().unwrap();
    thread::scope(|scope| {
        for thread in 0..16 {
            let pipeline = &pipeline;
            scope.spawn(move || {
                for round in 0..20 {
                    record_in(pipeline, [thread * 20 + round]);
                    let report = pipeline.flush(LONG);
                    assert!(report.is_complete(), "{report}");
                }
            });
        }
    });
    assert_settled(&pipeline.stats());
    assert_eq!(receiver.span_count(), 320);
}

#[test]
fn a_flush_with_nothing_to_do_sends_nothing() {
    let receiver = receiver();
    let pipeline = to(&receiver).start().unwrap();
    assert!(pipeline.flush(LONG).is_complete());
    assert!(pipeline.shutdown(LONG).is_complete());
    assert!(pipeline.flush(LONG).is_complete());
    assert!(receiver.requests().is_empty());
}
