//! A spool in a pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use throughline_core::Span;
use throughline_export::{Batch, Pipeline, Receipt, SpoolExporter};

use crate::support::{LONG, Told, WORK, unavailable};

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
    // What is at the destination, by the counts of the pipeline and of the spool.
    let there = |pipeline: &Pipeline, spool: &throughline_export::SpoolHandle| {
        let (stats, spooled) = (pipeline.stats(), spool.stats());
        assert_eq!(stats.unaccounted(), 0, "{stats}");
        stats.exported - spooled.own.accepted + spooled.own.delivered + spooled.earlier.delivered
    };

    let first = exporter();
    let spool = first.handle();
    let pipeline = start(first);
    record(&pipeline, 100);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(
        (there(&pipeline, &spool), arrived.load(Ordering::SeqCst)),
        (100, 100)
    );

    works.store(false, Ordering::SeqCst);
    record(&pipeline, 50);
    // Nothing is lost, but nothing has arrived either.
    assert!(!pipeline.flush(LONG).is_complete());
    assert_eq!(spool.stats().own.waiting(), 50);
    assert_eq!(there(&pipeline, &spool), 100);

    works.store(true, Ordering::SeqCst);
    record(&pipeline, 10);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(
        (there(&pipeline, &spool), arrived.load(Ordering::SeqCst)),
        (160, 160)
    );

    works.store(false, Ordering::SeqCst);
    record(&pipeline, 7);
    let report = pipeline.shutdown(LONG);
    assert_eq!((report.failed, report.dropped), (0, 0), "{report}");
    assert_eq!(spool.stats().own.waiting(), 7);
    drop(pipeline);

    // The next one delivers it, and counts it apart.
    works.store(true, Ordering::SeqCst);
    let second = exporter();
    let spool = second.handle();
    let pipeline = start(second);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(pipeline.stats().exported, 0);
    assert_eq!(spool.stats().earlier.delivered, 7);
    assert_eq!(arrived.load(Ordering::SeqCst), 167);
    println!(
        "row 30, accounting: 167 spans recorded, 167 delivered, 7 of them by the next pipeline"
    );
}
