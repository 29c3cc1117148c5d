//! What happens where the system gives no threads and no files. Limits are of the
//! process, so each test starts this executable again.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "limits have no safe form")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::{Duration, Instant};

use throughline_core::{Callsite, CallsiteSpec, Level, Span, SpanKind};
use throughline_export::{Batch, ExportFuture, Pipeline, Receipt, SpanExporter};
use throughline_testing::OtlpReceiver;

const LONG: Duration = Duration::from_secs(60);

/// Set for the children, which do nothing otherwise.
const CHILD: &str = "THROUGHLINE_TEST_CHILD";

static WORK: Callsite = Callsite::new(CallsiteSpec {
    name: "work",
    kind: SpanKind::Internal,
    level: Level::Info,
    target: "resources",
    scope_name: "resources",
    scope_version: "",
    static_fields: &[],
});

fn record(pipeline: &Pipeline, count: usize) {
    let _here = pipeline.context().attach();
    for _ in 0..count {
        Span::start(&WORK).end();
    }
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[track_caller]
fn run(child: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "{stdout}\n{stderr}");
}

fn limit(resource: libc::__rlimit_resource_t, most: u64) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the result.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
    limit.rlim_cur = most.min(limit.rlim_max);
    // SAFETY: `limit` is a valid value.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

/// The number that the next file gets: the same as before if none was left open.
fn next_file() -> i32 {
    // SAFETY: duplicates a descriptor, which is there or not.
    let next = unsafe { libc::dup(0) };
    assert!(next >= 0);
    // SAFETY: closes what was just made.
    assert_eq!(unsafe { libc::close(next) }, 0);
    next
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Waits for threads that are on their way out.
fn wait_for_threads(most: usize) {
    let deadline = Instant::now() + LONG;
    while threads() > most {
        assert!(Instant::now() < deadline, "{} instead of {most}", threads());
        std::thread::yield_now();
    }
}

struct Accept;

impl SpanExporter for Accept {
    fn export(&mut self, _: Batch) -> ExportFuture<'_> {
        Box::pin(std::future::ready(Ok(Receipt::complete())))
    }
}

#[test]
fn no_threads_is_an_error() {
    run("child_without_threads");
}

#[test]
fn child_without_threads() {
    if !is_child() {
        return;
    }
    limit(libc::RLIMIT_NPROC, 0);
    // The limit does not hold for the superuser.
    // SAFETY: changes the user of this process, which nothing here depends on.
    if unsafe { libc::geteuid() } == 0 {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setuid(65534) }, 0);
    }
    let before = next_file();
    for _ in 0..100 {
        let started = Pipeline::builder()
            .exporter(Accept)
            .exporter(Accept)
            .start();
        let error = started.map(drop).unwrap_err();
        assert!(error.is_out_of_resources(), "{error}");
    }
    assert_eq!(next_file(), before);
}

#[test]
fn every_shortage_of_files_is_an_error() {
    run("child_with_few_files");
}

#[test]
fn child_with_few_files() {
    if !is_child() {
        return;
    }
    let (files, before) = (next_file(), threads());
    let mut failures = 0;
    // With each more file, the start gets a little further.
    for more in 1.. {
        limit(libc::RLIMIT_NOFILE, u64::from(files.cast_unsigned()) + more);
        let builder = Pipeline::builder().exporter(Accept).exporter(Accept);
        let started = builder.exporter(Accept).start();
        limit(libc::RLIMIT_NOFILE, u64::MAX);
        match started {
            Err(error) => {
                assert!(error.is_out_of_resources(), "{error}");
                failures += 1;
                wait_for_threads(before);
                assert_eq!(next_file(), files);
            }
            Ok(pipeline) => {
                record(&pipeline, 10);
                let report = pipeline.shutdown(LONG);
                assert!(report.is_complete() && report.exported == 30, "{report}");
                break;
            }
        }
    }
    assert!(failures > 3, "it failed at every file: {failures}");
    wait_for_threads(before);
    assert_eq!(next_file(), files);
}

#[test]
fn files_that_come_back_are_used_again() {
    run("child_whose_files_run_out");
}

#[test]
fn child_whose_files_run_out() {
    if !is_child() {
        return;
    }
    let receiver = OtlpReceiver::start().unwrap();
    let pipeline = Pipeline::builder()
        .endpoint(&receiver.endpoint())
        .export_timeout(LONG)
        .start()
        .unwrap();
    limit(libc::RLIMIT_NOFILE, next_file().cast_unsigned().into());
    record(&pipeline, 10);
    let report = pipeline.flush(Duration::from_millis(50));
    assert!(report.timed_out && report.failed == 0, "{report}");
    limit(libc::RLIMIT_NOFILE, u64::MAX);
    let report = pipeline.flush(LONG);
    assert!(report.is_complete() && report.exported == 10, "{report}");
    assert_eq!(receiver.span_count(), 10);
}
