//! Starting and stopping leaves nothing behind. It counts the threads and files of
//! its process, so it is alone in it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::pending;
use std::time::{Duration, Instant};

use throughline_export::{Batch, ExportFuture, Pipeline, SpanExporter};
use throughline_testing::OtlpReceiver;

struct BlackHole;

impl SpanExporter for BlackHole {
    fn export(&mut self, _: Batch) -> ExportFuture<'_> {
        Box::pin(pending())
    }

    fn flush(&mut self) -> ExportFuture<'_> {
        Box::pin(pending())
    }
}

fn entries(directory: &str) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

#[test]
fn a_thousand_pipelines_leave_no_thread_and_no_file() {
    let receiver = OtlpReceiver::start().unwrap();
    let cycle = || {
        let pipeline = Pipeline::builder()
            .endpoint(&receiver.endpoint())
            .start()
            .unwrap();
        let report = pipeline.shutdown(Duration::from_secs(60));
        assert!(report.is_complete());
        // Two destinations, and neither ever answers.
        let pipeline = Pipeline::builder()
            .exporter(BlackHole)
            .exporter(BlackHole)
            .start()
            .unwrap();
        let report = pipeline.shutdown(Duration::ZERO);
        assert_eq!(report.exported, 0);
    };
    cycle();
    let count = || (entries("/proc/self/task"), entries("/proc/self/fd"));
    let before = count();
    for _ in 0..1000 {
        cycle();
    }
    // The last threads are on their way out when `shutdown` returns.
    let deadline = Instant::now() + Duration::from_secs(60);
    while count().0 > before.0 || count().1 > before.1 {
        assert!(Instant::now() < deadline, "{before:?} became {:?}", count());
        std::thread::yield_now();
    }
}
