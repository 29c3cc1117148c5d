//! A spool in a pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use throughline_core::Span;
use throughline_export::{Batch, ExportError, Pipeline, Receipt, SpoolExporter};
use throughline_testing::Absent;

use crate::support::{LONG, Told, WORK, empty, export, unavailable};

fn record(pipeline: &Pipeline, spans: u64) {
    let _here = pipeline.context().attach();
    for _ in 0..spans {
        Span::start(&WORK).end();
    }
}

#[test]
fn the_counts_of_both_tell_where_every_span_is() {
    let directory = tempfile::tempdir().unwrap();
    let (works, arrived) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let exporter = || {
        let (works, arrived) = (Arc::clone(&works), Arc::clone(&arrived));
        let destination = Told(move |batch: &Batch| {
            if !works.load(Ordering::SeqCst) {
                return Err(unavailable());
            }
            arrived.fetch_add(batch.spans(), Ordering::SeqCst);
            Ok(Receipt::complete())
        });
        SpoolExporter::wrap(destination, directory.path())
            .open()
            .unwrap()
    };
    let start = |exporter| {
        let builder = Pipeline::builder().max_batch_spans(10).schedule_delay(LONG);
        builder.exporter(exporter).start().unwrap()
    };
    // Exported and spooled spans, by the counts of the pipeline.
    let counts = |pipeline: &Pipeline| {
        let stats = pipeline.stats();
        assert_eq!(stats.unaccounted(), 0, "{stats}");
        assert_eq!(
            (stats.failed.total(), stats.dropped.total()),
            (0, 0),
            "{stats}"
        );
        (stats.exported, stats.spooled)
    };

    let first = exporter();
    let spool = first.handle();
    let pipeline = start(first);
    record(&pipeline, 100);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(counts(&pipeline), (100, 0));
    assert_eq!(arrived.load(Ordering::SeqCst), 100);

    works.store(false, Ordering::SeqCst);
    record(&pipeline, 50);
    // Nothing is lost, but nothing has arrived either.
    assert!(!pipeline.flush(LONG).is_complete());
    assert_eq!(counts(&pipeline), (100, 50));
    let shown = pipeline.stats().to_string();
    assert!(shown.ends_with(", 50 spooled"), "{shown}");

    works.store(true, Ordering::SeqCst);
    record(&pipeline, 10);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(counts(&pipeline), (160, 0));
    assert_eq!(arrived.load(Ordering::SeqCst), 160);

    works.store(false, Ordering::SeqCst);
    record(&pipeline, 7);
    let report = pipeline.shutdown(LONG);
    assert_eq!((report.failed, report.dropped), (0, 0), "{report}");
    assert_eq!(counts(&pipeline), (160, 7));
    assert_eq!(spool.stats().own.waiting(), 7);
    drop(pipeline);

    // The next one delivers it, and counts it apart.
    works.store(true, Ordering::SeqCst);
    let second = exporter();
    let spool = second.handle();
    let pipeline = start(second);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(counts(&pipeline), (0, 0));
    assert_eq!(spool.stats().earlier.delivered, 7);
    assert_eq!(arrived.load(Ordering::SeqCst), 167);
    println!(
        "row 30, accounting: 167 spans recorded, 167 delivered, 7 of them by the next pipeline"
    );
}

#[test]
fn a_collector_that_comes_back_gets_what_happened_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let absent = Absent::start().unwrap();
    let endpoint = absent.endpoint();
    let start = || {
        let builder = Pipeline::builder().endpoint(&endpoint);
        builder.spool(directory.path()).start()
    };
    let pipeline = start().unwrap();
    record(&pipeline, 1000);
    assert!(!pipeline.flush(LONG).is_complete());
    let stats = pipeline.stats();
    assert_eq!((stats.spooled, stats.unaccounted()), (1000, 0), "{stats}");
    assert!(directory.path().join("otlp").is_dir());
    // Another pipeline would write to the same files.
    let error = start().map(drop).unwrap_err();
    assert!(
        error.is_invalid_option() && error.to_string().contains("is in use"),
        "{error}"
    );
    let report = pipeline.shutdown(LONG);
    assert_eq!((report.failed, report.dropped), (0, 0), "{report}");
    drop(pipeline);

    // The collector is back, and the program starts again.
    let receiver = absent.arrive().unwrap();
    let pipeline = start().unwrap();
    record(&pipeline, 10);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(pipeline.stats().exported, 10);
    assert_eq!(receiver.span_count(), 1010);
}

#[test]
fn a_batch_that_turns_out_too_large_is_delivered_in_parts() {
    let directory = tempfile::tempdir().unwrap();
    let whole = {
        let (batches, pipeline) = (Arc::default(), Pipeline::builder().schedule_delay(LONG));
        let keep: Arc<std::sync::Mutex<Vec<Batch>>> = Arc::clone(&batches);
        let destination = Told(move |batch: &Batch| {
            keep.lock().unwrap().push(batch.clone());
            Ok(Receipt::complete())
        });
        let pipeline = pipeline.exporter(destination).start().unwrap();
        record(&pipeline, 100);
        assert!(pipeline.shutdown(LONG).is_complete());
        let batch = batches.lock().unwrap()[0].clone();
        assert_eq!(batch.spans(), 100);
        batch
    };
    let (works, arrived) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let (is_up, count) = (Arc::clone(&works), Arc::clone(&arrived));
    let mut attempts = 0;
    let destination = Told(move |batch: &Batch| {
        attempts += 1;
        // It fails now and then between the parts, too.
        if !is_up.load(Ordering::SeqCst) || attempts % 5 == 0 {
            return Err(unavailable());
        }
        if batch.spans() > 10 {
            return Err(ExportError::too_large("413", "too large"));
        }
        count.fetch_add(batch.spans(), Ordering::SeqCst);
        Ok(Receipt::complete())
    });
    let mut exporter = SpoolExporter::wrap(destination, directory.path())
        .open()
        .unwrap();
    export(&mut exporter, &whole).unwrap();
    works.store(true, Ordering::SeqCst);
    let spool = exporter.handle();
    while spool.stats().own.waiting() > 0 {
        let _ = crate::support::runtime()
            .block_on(throughline_export::SpanExporter::flush(&mut exporter));
    }
    empty(&mut exporter);
    assert_eq!(arrived.load(Ordering::SeqCst), 100);
    let stats = spool.stats();
    assert_eq!((stats.own.delivered, stats.own.failed.total()), (100, 0));
    assert_eq!(stats.file_bytes, 0);
}
