//! A wall clock that steps, stands, or is centuries off.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use throughline::testing::{Oracle, Response};

use crate::child_process::{ChildProcess, child};
use crate::support::{Row, SLACK, receiver};

const ASKED: Duration = Duration::from_secs(1);

#[test]
fn row_22_a_wrong_clock_makes_no_wrong_durations() {
    let row = Row::start(
        22,
        "wall clock steps by +-1 h at each reading, stands, is before 1970, after 2262",
        "0 negative or huge durations, 0 panics, retries keep monotonic time",
    );
    let Some(library) = library() else {
        row.holds("not measured: no C compiler");
        return;
    };
    let (mut spans, mut longest, mut retry) = (0, 0, Duration::ZERO);
    for how in ["steps", "frozen", "1960", "2300"] {
        let receiver = receiver();
        receiver.respond_with([Response::new(503).header("retry-after", "1")]);
        let oracle = Oracle::new();
        let mut command = child(&receiver.endpoint(), &["clock"]);
        command
            .env("LD_PRELOAD", &library)
            .env("TORTURE_CLOCK", how);
        let ended = ChildProcess::start(command).wait(&oracle);
        assert!(ended.status.success(), "{how}: {ended:?}");
        assert_eq!(ended.number("complete"), 1, "{how}: {ended:?}");
        assert_eq!(
            oracle.compare(&receiver).check(ended.counts()),
            Ok(()),
            "{how}"
        );
        for span in receiver.spans() {
            let duration = span.end_unix_nano.checked_sub(span.start_unix_nano);
            let duration =
                duration.unwrap_or_else(|| panic!("{how}: {span:?} ends before it starts"));
            // No span is open for longer than the child lives.
            assert!(
                duration < 60_000_000_000,
                "{how}: {span:?} took {duration} ns"
            );
            longest = longest.max(duration);
            spans += 1;
        }
        let requests = receiver.requests();
        let gap = requests[1].received_at - requests[0].received_at;
        assert!(
            gap >= ASKED && gap <= ASKED.mul_f64(1.1) + SLACK * 2,
            "{how}: waited {gap:?}"
        );
        retry = retry.max(gap);
    }
    row.holds(format!(
        "4 clocks, {spans} spans: 0 negative, longest {:.1} ms; a wait of {ASKED:?} took at most {retry:.2?}",
        longest as f64 / 1e6
    ));
}

/// The wrong clock, if there is a C compiler to make it.
fn library() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("torture/shifted_clock.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shifted_clock.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status();
    compiled
        .is_ok_and(|status| status.success())
        .then_some(library)
}
