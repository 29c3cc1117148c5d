//! A forked child exports nothing and says so; the parent goes on.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "fork has no safe form")]

use std::mem::ManuallyDrop;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use throughline_core::{Callsite, CallsiteSpec, Level, Span, SpanKind};
use throughline_export::{Batch, ExportFuture, Pipeline, Receipt, SpanExporter};
use throughline_testing::OtlpReceiver;

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

/// Forks, lets the child check something, and says how it ended.
fn in_child(check: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child runs only what is meant to work after a fork, and leaves
    // without running destructors of the harness.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        let passed = std::panic::catch_unwind(AssertUnwindSafe(check)).unwrap_or(false);
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(i32::from(!passed)) };
    }
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    status
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
    // The child's copy is the same value, so that one must not drop it here.
    let mut pipeline = ManuallyDrop::new(pipeline);
    // SAFETY: only the child takes it, in memory of its own.
    let status = in_child(|| child(unsafe { ManuallyDrop::take(&mut pipeline) }));
    assert_eq!(status, 0, "the child found something wrong");
    let pipeline = ManuallyDrop::into_inner(pipeline);

    record(&pipeline, 2);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(heard.try_iter().sum::<u64>(), 7, "the parent's spans, once");
    assert_eq!(pipeline.stats().unaccounted(), 0);
}

/// The longest that anything may take a child.
const MOST: Duration = Duration::from_millis(100);

/// Records with as many spans open as its parent had, and asks for everything.
fn busy_child(pipeline: &Pipeline, open: Vec<Span>) -> bool {
    let mut longest = Duration::ZERO;
    let mut timed = |action: &mut dyn FnMut()| {
        let start = Instant::now();
        action();
        longest = longest.max(start.elapsed());
    };
    // Enough to fill the buffers, whose waker has nobody to wake.
    timed(&mut || record(pipeline, 1000));
    for span in open {
        let mut span = Some(span);
        timed(&mut || drop(span.take()));
    }
    let mut refused = true;
    for _ in 0..10 {
        timed(&mut || refused &= pipeline.flush(LONG).forked);
        timed(&mut || refused &= pipeline.shutdown(LONG).forked);
        timed(&mut || refused &= pipeline.stats().unaccounted() == 0);
    }
    refused && longest < MOST
}

#[test]
fn a_child_writes_nothing_to_the_connection_of_its_parent() {
    let receiver = OtlpReceiver::start().unwrap();
    let pipeline = Pipeline::builder()
        .endpoint(&receiver.endpoint())
        .schedule_delay(LONG)
        .start()
        .unwrap();
    let mut sent = 0;
    for live in [0, 1, 50] {
        // The connection is open, spans wait, and more of them are live.
        record(&pipeline, 3);
        assert!(pipeline.flush(LONG).is_complete());
        record(&pipeline, 4);
        let open: Vec<Span> = {
            let _here = pipeline.context().attach();
            (0..live).map(|_| Span::start(&WORK)).collect()
        };
        let mut open = ManuallyDrop::new(open);
        // SAFETY: only the child takes them, in memory of its own.
        let status = in_child(|| busy_child(&pipeline, unsafe { ManuallyDrop::take(&mut open) }));
        assert_eq!(status, 0, "the child found something wrong");
        drop(ManuallyDrop::into_inner(open));
        assert!(pipeline.flush(LONG).is_complete());
        sent += 7 + live;
    }
    assert!(pipeline.shutdown(LONG).is_complete());
    assert_eq!(pipeline.stats().exported, sent as u64);
    let requests = receiver.requests();
    assert!(requests.iter().all(|request| request.rejection.is_none()));
    assert_eq!((requests.len(), receiver.span_count()), (6, sent));
}
