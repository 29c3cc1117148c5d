//! An exporter that misbehaves costs its batch and nothing else.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use throughline::export::{Batch, ExportError, ExportFuture, OtlpExporter, Receipt, SpanExporter};
use throughline::{Pipeline, export::PipelineBuilder};
use throughline_tests::support::load;

use crate::support::{LONG, Row, time};

const TIMEOUT: Duration = Duration::from_millis(200);

/// Does something to the first batch, and takes the others.
struct Misbehaves {
    how: How,
    batches: u64,
    spans: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    PanicsInTheCall,
    PanicsInTheFuture,
    PanicsWhenDropped,
    ReturnsLate,
    NeverReturns,
    Fails,
    /// Holds its thread for a while.
    Blocks,
}

/// Longer than the pipeline waits for an exporter that holds its thread.
const BLOCKED: Duration = Duration::from_secs(4);

impl SpanExporter for Misbehaves {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        self.batches += 1;
        if self.batches > 1 {
            self.spans.fetch_add(batch.spans(), Ordering::Relaxed);
            return Box::pin(ready(Ok(Receipt::complete())));
        }
        match self.how {
            How::PanicsInTheCall => quiet_panic(),
            How::PanicsInTheFuture => Box::pin(async { quiet_panic() }),
            How::PanicsWhenDropped => Box::pin(async {
                let _bomb = Bomb;
                pending().await
            }),
            How::ReturnsLate => Box::pin(async {
                tokio::time::sleep(TIMEOUT * 3).await;
                Ok(Receipt::complete())
            }),
            How::NeverReturns => Box::pin(pending()),
            How::Blocks => {
                std::thread::sleep(BLOCKED);
                Box::pin(ready(Ok(Receipt::complete())))
            }
            How::Fails => Box::pin(ready(Err(ExportError::permanent("broken", "no")))),
        }
    }
}

impl Drop for Misbehaves {
    fn drop(&mut self) {
        if self.how == How::PanicsWhenDropped {
            quiet_panic();
        }
    }
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        quiet_panic();
    }
}

/// Unwinds without the message of the hook.
fn quiet_panic() -> ! {
    std::panic::resume_unwind(Box::new("an exporter of a test"))
}

fn quick() -> PipelineBuilder {
    Pipeline::builder()
        .timeout(TIMEOUT)
        .export_timeout(TIMEOUT)
        .schedule_delay(LONG)
}

#[test]
fn row_12_an_exporter_that_misbehaves_costs_its_batch_only() {
    let row = Row::start(
        12,
        "exporter panics (call, future, drop), returns late, never, or Err",
        "batch counted failed, next batch exported within 1 s, pipeline ends in time",
    );
    let hows = [
        How::PanicsInTheCall,
        How::PanicsInTheFuture,
        How::PanicsWhenDropped,
        How::ReturnsLate,
        How::NeverReturns,
        How::Fails,
    ];
    let mut slowest = Duration::ZERO;
    for how in hows {
        let spans = Arc::<AtomicU64>::default();
        let exporter = Misbehaves {
            how,
            batches: 0,
            spans: Arc::clone(&spans),
        };
        let pipeline = quick()
            .exporter(exporter)
            .start()
            .expect("a pipeline starts");
        load::record_in(&pipeline, 10);
        let report = pipeline.flush(LONG);
        assert_eq!(
            (report.failed, report.exported),
            (10, 0),
            "{how:?}: {report}"
        );
        let error_type = match how {
            How::PanicsInTheCall | How::PanicsInTheFuture => "panic",
            How::Fails => "broken",
            How::Blocks => "blocked",
            How::PanicsWhenDropped | How::ReturnsLate | How::NeverReturns => "timeout",
        };
        assert_eq!(pipeline.stats().failed.get(error_type), 10, "{how:?}");

        load::record_in(&pipeline, 7);
        let (report, took) = time(|| pipeline.flush(LONG));
        assert_eq!(
            (report.failed, report.exported),
            (0, 7),
            "{how:?}: {report}"
        );
        slowest = slowest.max(took);
        assert!(pipeline.shutdown(LONG).is_complete(), "{how:?}");
        let stats = pipeline.stats();
        assert_eq!(
            (stats.unaccounted(), stats.started),
            (0, 17),
            "{how:?}: {stats}"
        );
        assert_eq!(spans.load(Ordering::Relaxed), 7, "{how:?}");
    }
    assert!(
        slowest <= Duration::from_secs(1),
        "the next batch took {slowest:?}"
    );
    row.holds(format!(
        "{} ways: batch counted, next batch exported after at most {slowest:.1?}, INV exact",
        hows.len()
    ));
}

#[test]
fn row_12_an_exporter_that_blocks_its_thread_holds_nothing_else() {
    let row = Row::start(
        12,
        "exporter holds its thread; another destination beside it",
        "batch given up within timeout + 1 s, the other destination and the flush unaffected",
    );
    let spans = Arc::<AtomicU64>::default();
    let blocks = Misbehaves {
        how: How::Blocks,
        batches: 0,
        spans: Arc::clone(&spans),
    };
    let receiver = crate::support::receiver();
    let other = OtlpExporter::builder()
        .endpoint(&receiver.endpoint())
        .build()
        .expect("an exporter");
    let pipeline = quick()
        .exporter(blocks)
        .exporter(other)
        .start()
        .expect("a pipeline starts");
    load::record_in(&pipeline, 10);
    let (report, told) = time(|| pipeline.flush(LONG));
    assert!(!report.is_complete() && !report.timed_out, "{report}");
    assert!(
        told <= TIMEOUT + Duration::from_secs(1),
        "the flush took {told:?}"
    );
    assert!(
        receiver.wait_for_spans(10, LONG),
        "the other destination has them"
    );

    load::record_in(&pipeline, 7);
    assert!(receiver.wait_for_spans(10, LONG));
    let counted = || {
        let stats = pipeline.stats();
        stats.queued + stats.in_flight == 0
    };
    // Once it lets go of its thread it takes what waited.
    let _ = pipeline.flush(LONG);
    crate::support::wait_until("the exporter goes on", LONG, || {
        let _ = pipeline.flush(LONG);
        spans.load(Ordering::Relaxed) == 7 && counted()
    });
    let stats = pipeline.stats();
    assert_eq!(
        (stats.unaccounted(), receiver.span_count()),
        (0, 17),
        "{stats}"
    );
    let _ = pipeline.shutdown(LONG);
    row.holds(format!(
        "batch given up and the flush told after {told:.1?}, 17 of 17 spans at the other destination, next batch exported"
    ));
}
