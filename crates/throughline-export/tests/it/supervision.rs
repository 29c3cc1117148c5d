//! Exporters that hold their thread.

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use throughline_export::{Batch, Pipeline, PipelineBuilder, Receipt, SpanExporter};

use crate::support::{
    Function, LONG, Named, assert_settled, lines_about, listen, record_in, wait_for_line,
    wait_for_stats,
};

/// An exporter that holds its thread until the other end sends or is gone.
fn blocking(name: &'static str) -> (Sender<()>, impl SpanExporter) {
    let (release, blocked): (_, Receiver<()>) = mpsc::channel();
    let export = move |_: Batch| {
        // An error means that the test has released it for good.
        let _ = blocked.recv();
        Ok(Receipt::complete())
    };
    (release, Named(name, Function(export)))
}

fn quick() -> PipelineBuilder {
    Pipeline::builder()
        .timeout(Duration::from_millis(10))
        .max_batch_spans(10)
}

#[test]
fn its_batch_is_given_up_and_the_next_one_exported() {
    listen();
    let (release, exporter) = blocking("the sleeper");
    let pipeline = quick().exporter(exporter).start().unwrap();
    record_in(&pipeline, 0..20);
    let start = Instant::now();
    let stats = wait_for_stats(&pipeline, |stats| stats.failed.total() > 0);
    assert!(start.elapsed() < LONG / 2);
    assert_eq!(stats.failed.to_string(), "10 (blocked: 10)");
    assert_eq!((stats.queued, stats.unaccounted()), (10, 0), "{stats}");
    let line = wait_for_line("the sleeper", "failed");
    assert!(line.contains("holds its thread"), "{line}");

    // Whoever flushes is told at once, again and again.
    for _ in 0..2 {
        let report = pipeline.flush(LONG);
        assert!(report.exporter_failed && !report.timed_out, "{report}");
    }
    assert!(start.elapsed() < LONG / 2);

    drop(release);
    wait_for_stats(&pipeline, |stats| stats.exported == 10);
    record_in(&pipeline, 20..30);
    wait_for_stats(&pipeline, |stats| stats.exported == 20);
    let line = wait_for_line("the sleeper", "works again");
    assert!(line.ends_with("10 spans were lost meanwhile"), "{line}");
    assert_eq!(lines_about("the sleeper").len(), 2);
    let _ = pipeline.flush(LONG);
    assert!(pipeline.shutdown(LONG).is_complete());
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!((stats.exported, stats.failed.total()), (20, 10));
}

#[test]
fn a_shutdown_ends_without_it_and_counts_everything() {
    let (release, exporter) = blocking("the sleeper at the end");
    let pipeline = Pipeline::builder()
        .exporter(exporter)
        .max_batch_spans(10)
        .start()
        .unwrap();
    record_in(&pipeline, 0..30);
    wait_for_stats(&pipeline, |stats| stats.in_flight == 10);
    let start = Instant::now();
    assert!(pipeline.flush(Duration::from_millis(10)).timed_out);
    let report = pipeline.shutdown(Duration::from_millis(10));
    assert!(start.elapsed() < LONG / 2);
    assert!(report.timed_out && !report.is_complete(), "{report}");
    // The caller may be back before the last count.
    let stats = wait_for_stats(&pipeline, |stats| stats.queued + stats.in_flight == 0);
    assert_settled(&stats);
    assert_eq!(stats.failed.to_string(), "10 (shutdown: 10)");
    assert_eq!(stats.dropped.to_string(), "20 (shutdown: 20)");
    // What it says afterwards changes nothing.
    drop(release);
    assert_eq!(pipeline.stats(), stats);
    assert_eq!(pipeline.shutdown(LONG).failed, 10);
}

#[test]
fn it_holds_up_no_other_destination() {
    let (release, exporter) = blocking("the sleeper beside");
    let (accept, accepted) = mpsc::channel();
    let other = Function(move |batch: Batch| {
        accept.send(batch.spans()).unwrap();
        Ok(Receipt::complete())
    });
    let pipeline = quick().exporter(exporter).exporter(other).start().unwrap();
    for round in 0..20 {
        record_in(&pipeline, round * 10..(round + 1) * 10);
        assert_eq!(accepted.recv_timeout(LONG), Ok(10));
    }
    let report = pipeline.shutdown(Duration::from_millis(50));
    let [blocked, good] = &report.destinations[..] else {
        panic!("{report}");
    };
    assert!(good.is_complete() && !blocked.is_complete(), "{report}");
    let stats = wait_for_stats(&pipeline, |stats| stats.queued + stats.in_flight == 0);
    assert_settled(&stats);
    assert_eq!(stats.destinations[1].exported, 200);
    assert_eq!(stats.destinations[0].exported, 0);
    drop(release);
}
