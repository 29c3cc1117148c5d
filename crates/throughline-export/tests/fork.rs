//! A forked child exports nothing and says so; the parent goes on.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "fork has no safe form")]

use std::sync::mpsc;
use std::time::{Duration, Instant};

use throughline_core::{Callsite, CallsiteSpec, Level, Span, SpanKind};
use throughline_export::{Batch, ExportFuture, Pipeline, Receipt, SpanExporter};

const LONG: Duration = Duration::from_secs(60);

static WORK: Callsite = Callsite::new(CallsiteSpec {
    name: "work",
    kind: SpanKind::Internal,
    level: Level::Info,
    target: "fork",
    scope_name: "fork",
    scope_version: "",
    static_fields: &[],
});

/// Says how many spans it got.
struct Tell(mpsc::Sender<u64>);

impl SpanExporter for Tell {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        // The test may be over.
        let _ = self.0.send(batch.spans());
        Box::pin(std::future::ready(Ok(Receipt::complete())))
    }
}

fn record(pipeline: &Pipeline, count: usize) {
    let _here = pipeline.context().attach();
    for _ in 0..count {
        Span::start(&WORK).end();
    }
}

/// What the child checks; it must not unwind into the test harness.
fn child(pipeline: Pipeline) -> bool {
    record(&pipeline, 3);
    let start = Instant::now();
    let flush = pipeline.flush(LONG);
    let shutdown = pipeline.shutdown(LONG);
    let stats = pipeline.stats();
    drop(pipeline);
    flush.forked
        && !flush.is_complete()
        && shutdown.forked
        && (stats.started, stats.queued, stats.exported) == (3, 3, 0)
        && stats.unaccounted() == 0
        && start.elapsed() < LONG / 2
}

#[test]
fn a_child_exports_nothing_and_says_so() {
    let (told, heard) = mpsc::channel();
    let pipeline = Pipeline::builder()
        .exporter(Tell(told))
        .schedule_delay(LONG)
        .start()
        .unwrap();
    record(&pipeline, 5);
    // SAFETY: the child runs only what is meant to work after a fork, and leaves
    // without running destructors of the harness.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        let passed = std::panic::catch_unwind(|| child(pipeline)).unwrap_or(false);
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(i32::from(!passed)) };
    }
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    assert_eq!(status, 0, "the child found something wrong");

    record(&pipeline, 2);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(heard.try_iter().sum::<u64>(), 7, "the parent's spans, once");
    assert_eq!(pipeline.stats().unaccounted(), 0);
}
