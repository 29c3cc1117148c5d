//! Several destinations at once, each for itself.

use std::future::pending;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::{
    Function, Gated, LONG, Named, assert_settled, lines_about, listen, received_ids, receiver,
    record_in, wait_for_line, wait_for_stats,
};
use throughline_export::{
    Batch, ExportError, ExportFuture, Pipeline, PipelineStats, Receipt, SpanExporter,
};

/// Never answers.
struct BlackHole;

impl SpanExporter for BlackHole {
    fn export(&mut self, _: Batch) -> ExportFuture<'_> {
        Box::pin(pending())
    }
}

/// Checks the sum at every destination, while spans may still wait.
#[track_caller]
fn assert_accounted(stats: &PipelineStats) {
    assert_eq!(stats.unaccounted(), 0, "{stats}");
    for destination in &stats.destinations {
        assert_eq!(
            destination.total(),
            stats.started - stats.live,
            "{destination:?}"
        );
    }
}

#[test]
fn each_gets_every_span_and_they_share_the_bytes() {
    let (send, sent) = mpsc::channel();
    let exporter = |send: mpsc::Sender<Batch>| {
        Function(move |batch: Batch| {
            send.send(batch).unwrap();
            Ok(Receipt::complete())
        })
    };
    let pipeline = Pipeline::builder()
        .exporter(exporter(send.clone()))
        .exporter(exporter(send))
        .schedule_delay(LONG)
        .start()
        .unwrap();
    record_in(&pipeline, 0..100);
    let report = pipeline.flush(LONG);
    assert!(report.is_complete());
    assert_eq!(report.exported, 200, "{report}");
    let exported: Vec<u64> = report.destinations.iter().map(|one| one.exported).collect();
    assert_eq!(exported, [100, 100]);
    let batches: Vec<Batch> = sent.try_iter().collect();
    let [one, other] = &batches[..] else {
        panic!("{batches:?}");
    };
    assert_eq!(one.request().as_ptr(), other.request().as_ptr());
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!((stats.started, stats.exported), (100, 200));
}

#[test]
fn a_dead_one_drops_its_spans_and_nobody_elses() {
    const ROUNDS: u64 = 100;
    const SPANS: u64 = 100;
    listen();
    let living = Gated::default();
    living.open();
    let pipeline = Pipeline::builder()
        .exporter(Named("the black hole", BlackHole))
        .exporter(living.clone())
        .timeout(LONG)
        .export_timeout(LONG)
        .max_memory_bytes(512 << 10)
        .schedule_delay(Duration::from_millis(1))
        .start()
        .unwrap();
    for round in 0..ROUNDS {
        record_in(&pipeline, round * SPANS..(round + 1) * SPANS);
        wait_for_stats(&pipeline, |stats| {
            stats.destinations[1].exported == (round + 1) * SPANS
        });
        assert_accounted(&pipeline.stats());
    }
    assert_eq!(living.spans(), ROUNDS * SPANS);

    let report = pipeline.flush(Duration::from_millis(10));
    let [dead, good] = &report.destinations[..] else {
        panic!("{report}");
    };
    assert_eq!((good.exported, good.is_complete()), (ROUNDS * SPANS, true));
    assert!(
        dead.timed_out && dead.dropped > 0 && report.timed_out,
        "{report}"
    );

    let stats = pipeline.stats();
    assert_accounted(&stats);
    let [dead, good] = &stats.destinations[..] else {
        panic!("{stats}");
    };
    assert_eq!(good.dropped.total() + good.failed.total(), 0, "{stats}");
    assert_eq!(dead.dropped.get("queue_full"), dead.dropped.total());
    assert_eq!(
        dead.dropped.total() + dead.queued + dead.in_flight,
        ROUNDS * SPANS
    );
    let line = wait_for_line("for the black hole, ", "dropped because");
    assert!(line.contains("KiB of memory are full"), "{line}");

    let report = pipeline.shutdown(Duration::from_millis(10));
    assert!(!report.is_complete());
    let stats = wait_for_stats(&pipeline, |stats| stats.queued + stats.in_flight == 0);
    assert_settled(&stats);
}

#[test]
fn when_none_has_room_spans_wait_and_then_are_dropped_once() {
    const SPANS: u64 = 20_000;
    let (one, other) = (Gated::default(), Gated::default());
    let pipeline = Pipeline::builder()
        .exporter(one.clone())
        .exporter(other.clone())
        .max_memory_bytes(256 << 10)
        .timeout(LONG)
        .export_timeout(LONG)
        .start()
        .unwrap();
    record_in(&pipeline, 0..SPANS);
    assert_accounted(&pipeline.stats());
    one.open();
    other.open();
    let report = pipeline.flush(LONG);
    assert!(report.dropped > 0 && report.failed == 0, "{report}");
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.started, SPANS);
    for (destination, exporter) in stats.destinations.iter().zip([&one, &other]) {
        assert_eq!(destination.exported, exporter.spans());
        assert!(destination.exported > 0);
    }
}

#[test]
fn each_fails_for_itself_and_speaks_for_itself() {
    listen();
    let mut calls = 0;
    let moody = Function(move |_: Batch| {
        calls += 1;
        match calls {
            2 | 4 => Err(ExportError::permanent("disk_full", "the disk is full")),
            _ => Ok(Receipt::complete()),
        }
    });
    let steady = Gated::default();
    steady.open();
    let pipeline = Pipeline::builder()
        .exporter(Named("the moody one", moody))
        .exporter(Named("the steady one", steady))
        .max_batch_spans(10)
        .schedule_delay(LONG)
        .start()
        .unwrap();
    record_in(&pipeline, 0..50);
    let report = pipeline.flush(LONG);
    assert!(!report.is_complete());
    let found: Vec<_> = report
        .destinations
        .iter()
        .map(|one| (one.destination.as_str(), one.exported, one.failed))
        .collect();
    assert_eq!(
        found,
        [("the moody one", 30, 20), ("the steady one", 50, 0)]
    );
    assert!(report.destinations[1].is_complete());
    assert!(pipeline.flush(LONG).is_complete());
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(
        stats.destinations[0].failed.to_string(),
        "20 (disk_full: 20)"
    );
    // One line when the loss starts and one when it ends.
    let said = lines_about("the moody one");
    assert!(said[0].contains("10 spans were lost"), "{said:?}");
    assert!(said[1].contains("works again"), "{said:?}");
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(lines_about("the steady one").is_empty());
}

#[test]
fn the_environment_lists_them() {
    let receiver = receiver();
    let endpoint = receiver.endpoint();
    let pipeline = Pipeline::builder()
        .env_from(|name| match name {
            "OTEL_TRACES_EXPORTER" => Some("otlp,console".to_owned()),
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
            _ => None,
        })
        .start()
        .unwrap();
    let stats = pipeline.stats();
    let names: Vec<&str> = stats
        .destinations
        .iter()
        .map(|one| one.destination.as_str())
        .collect();
    assert_eq!(names, [&receiver.traces_endpoint(), "standard output"]);
    record_in(&pipeline, 0..3);
    assert!(pipeline.shutdown(LONG).is_complete());
    assert_eq!(received_ids(&receiver).len(), 3);
}
