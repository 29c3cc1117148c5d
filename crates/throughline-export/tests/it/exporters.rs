//! Exporters that misbehave.

use std::future::{pending, ready};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use throughline_export::{
    Batch, ExportError, ExportFuture, FlushReport, Pipeline, Receipt, SpanExporter,
};

use crate::support::{Function, LONG, assert_settled, open_span, record, record_in, record_other};

#[test]
fn a_panic_costs_one_batch() {
    let mut calls = 0;
    let pipeline = Pipeline::builder()
        .exporter(Function(move |_| {
            calls += 1;
            assert_ne!(calls, 1, "as the test wants it");
            Ok(Receipt::complete())
        }))
        .max_batch_spans(10)
        .start()
        .unwrap();
    record_in(&pipeline, 0..30);
    let report = pipeline.flush(LONG);
    assert_eq!((report.failed, report.exported), (10, 20), "{report}");
    assert!(pipeline.shutdown(LONG).is_complete());
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.failed.get("panic"), 10);
}

#[test]
fn every_error_is_counted_under_its_type() {
    let mut calls = 0;
    let pipeline = Pipeline::builder()
        .exporter(Function(move |batch: Batch| {
            calls += 1;
            match calls {
                1 => Err(ExportError::permanent("disk_full", "the disk is full")),
                2 | 3 => Err(ExportError::transient("locked", "the file is locked")),
                4 => Ok(Receipt::partial(3, "")),
                _ => Ok(Receipt::partial(batch.spans() + 1, "")),
            }
        }))
        .max_batch_spans(10)
        .start()
        .unwrap();
    record_in(&pipeline, 0..30);
    let report = pipeline.flush(LONG);
    assert_eq!((report.failed, report.exported), (23, 7), "{report}");
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.failed.to_string(), "23 (disk_full: 10, rejected: 13)");
}

struct NeverDone;

impl SpanExporter for NeverDone {
    fn export(&mut self, _: Batch) -> ExportFuture<'_> {
        Box::pin(pending())
    }
}

#[test]
fn one_that_never_ends_is_ended() {
    let pipeline = Pipeline::builder()
        .exporter(NeverDone)
        .timeout(Duration::from_millis(10))
        .export_timeout(Duration::from_millis(30))
        .start()
        .unwrap();
    record_in(&pipeline, 0..10);
    let report = pipeline.flush(LONG);
    assert_eq!(report.failed, 10, "{report}");
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.failed.get("timeout"), 10);
}

#[test]
fn one_that_waits_for_its_own_pipeline_is_told() {
    let pipeline: Arc<OnceLock<Pipeline>> = Arc::default();
    let reports: Arc<Mutex<Vec<FlushReport>>> = Arc::default();
    let (mine, told) = (Arc::clone(&pipeline), Arc::clone(&reports));
    let started = Pipeline::builder()
        .exporter(Function(move |_| {
            let pipeline = mine.get().expect("a span was recorded");
            told.lock().unwrap().push(pipeline.flush(LONG));
            told.lock().unwrap().push(pipeline.shutdown(LONG));
            Ok(Receipt::complete())
        }))
        .start()
        .unwrap();
    let pipeline = pipeline.get_or_init(|| started);
    record_in(pipeline, 0..10);
    assert!(pipeline.flush(LONG).is_complete());
    let reports = reports.lock().unwrap();
    assert!(reports.iter().all(|report| report.timed_out));
    assert_eq!(reports.len(), 2);
}

#[test]
fn nothing_on_the_export_thread_is_recorded() {
    let pipeline: Arc<OnceLock<Pipeline>> = Arc::default();
    let mine = Arc::clone(&pipeline);
    let (see, seen) = mpsc::channel();
    let started = Pipeline::builder()
        .exporter(Function(move |_| {
            let pipeline = mine.get().expect("a span was recorded");
            let _here = pipeline.context().attach();
            record(100..200);
            let subscribed = tracing::dispatcher::get_default(|dispatch| {
                !dispatch.is::<tracing::subscriber::NoSubscriber>()
            });
            let name = thread::current().name().map(str::to_owned);
            let suppressed = throughline_core::is_suppressed();
            see.send((suppressed, subscribed, name)).unwrap();
            Ok(Receipt::complete())
        }))
        .start()
        .unwrap();
    let pipeline = pipeline.get_or_init(|| started);
    record_in(pipeline, 0..10);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(pipeline.stats().started, 10);
    let expected = (true, false, Some("throughline-export".to_owned()));
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [expected]);
}

#[derive(Clone, Default)]
struct Buffering(Arc<Mutex<(u64, u64)>>);

impl SpanExporter for Buffering {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        self.0.lock().unwrap().0 += batch.spans();
        Box::pin(ready(Ok(Receipt::complete())))
    }

    fn flush(&mut self) -> ExportFuture<'_> {
        let (held, flushes) = &mut *self.0.lock().unwrap();
        *flushes += 1;
        let result = if std::mem::take(held) > 15 {
            Err(ExportError::permanent("io", "too much"))
        } else {
            Ok(Receipt::complete())
        };
        Box::pin(ready(result))
    }
}

#[test]
fn one_that_cannot_flush_makes_the_report_incomplete() {
    let exporter = Buffering::default();
    let pipeline = Pipeline::builder()
        .exporter(exporter.clone())
        .start()
        .unwrap();
    record_in(&pipeline, 0..10);
    assert!(pipeline.flush(LONG).is_complete());
    record_in(&pipeline, 0..20);
    let report = pipeline.flush(LONG);
    assert!(report.exporter_failed && !report.is_complete(), "{report}");
    record_in(&pipeline, 0..20);
    let report = pipeline.shutdown(LONG);
    assert!(report.exporter_failed && !report.is_complete(), "{report}");
    assert_eq!(exporter.0.lock().unwrap().1, 3);
}

struct PanicsInDrop;

impl SpanExporter for PanicsInDrop {
    fn export(&mut self, _: Batch) -> ExportFuture<'_> {
        Box::pin(ready(Ok(Receipt::complete())))
    }
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("as the test wants it");
    }
}

#[test]
fn one_that_panics_in_its_destructor_harms_nobody() {
    let pipeline = Pipeline::builder().exporter(PanicsInDrop).start().unwrap();
    record_in(&pipeline, 0..10);
    assert!(pipeline.shutdown(LONG).is_complete());
}

#[test]
fn a_batch_that_is_too_large_goes_in_parts() {
    const MOST_BYTES: usize = 2000;
    let (accept, accepted) = mpsc::channel();
    let mut calls = 0;
    let pipeline = Pipeline::builder()
        .exporter(Function(move |batch: Batch| {
            calls += 1;
            if batch.request().len() > MOST_BYTES {
                return Err(ExportError::too_large("413", "too large"));
            }
            // Each part is retried by itself.
            if calls % 7 == 0 {
                return Err(ExportError::transient("503", "busy"));
            }
            accept.send(batch.spans()).unwrap();
            Ok(Receipt::complete())
        }))
        .schedule_delay(LONG)
        .start()
        .unwrap();
    {
        let _here = pipeline.context().attach();
        record(0..100);
        let mut large = open_span();
        large.set_attribute("text", "x".repeat(MOST_BYTES));
        large.end();
        for _ in 0..100 {
            record_other();
        }
    }
    let report = pipeline.flush(LONG);
    assert_eq!((report.exported, report.failed), (200, 1), "{report}");
    assert_eq!(accepted.try_iter().sum::<u64>(), 200);
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.failed.to_string(), "1 (413: 1)");
}
