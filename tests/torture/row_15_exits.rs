//! Every way out of a process, and what it costs.

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use throughline::testing::Oracle;

use crate::child_process::{ChildProcess, child};
use crate::support::{LONG, Row, receiver, size};

/// How many spans the child has when it ends.
const SPANS: u64 = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Nothing,
    /// What was not exported yet.
    AllThatWaits,
}

#[test]
fn row_15_every_way_out_loses_what_is_documented() {
    let row = Row::start(
        15,
        "main returns, panics, exits, aborts; SIGTERM with and without a handler, SIGKILL",
        "graceful: 0 lost; others: loss <= queue + in flight; never repeated",
    );
    let ways = [
        ("return", None, Loss::Nothing),
        ("panic", None, Loss::Nothing),
        ("handler", Some(libc::SIGTERM), Loss::Nothing),
        ("handler", Some(libc::SIGINT), Loss::Nothing),
        ("flush-and-exit", None, Loss::Nothing),
        ("forget", None, Loss::AllThatWaits),
        ("exit", None, Loss::AllThatWaits),
        ("abort", None, Loss::AllThatWaits),
        ("wait", Some(libc::SIGTERM), Loss::AllThatWaits),
        ("wait", Some(libc::SIGKILL), Loss::AllThatWaits),
    ];
    let runs = size(1, 2, 50);
    let mut measured = String::new();
    for (way, signal, loss) in ways {
        let mut lost = 0;
        for _ in 0..runs {
            lost = lost.max(lost_by(way, signal, loss));
        }
        let signal = signal.map_or_else(String::new, |signal| format!(" and signal {signal}"));
        let _ = write!(measured, "{way}{signal} {lost}; ");
    }
    row.holds(format!(
        "lost of {SPANS}: {}",
        measured.trim_end_matches("; ")
    ));
}

fn lost_by(way: &str, signal: Option<i32>, loss: Loss) -> u64 {
    let receiver = receiver();
    let oracle = Oracle::new();
    let count = SPANS.to_string();
    let mut process = ChildProcess::start(child(&receiver.endpoint(), &["exit", way, &count]));
    process.wait_for("recorded", &oracle);
    if let Some(signal) = signal {
        process.signal(signal);
    }
    let ended = process.wait(&oracle);
    // Whoever started the process is to see that the signal ended it, handled or not.
    let killed = signal;
    match (killed, way) {
        (Some(signal), _) => assert_eq!(ended.status.signal(), Some(signal), "{ended:?}"),
        (None, "abort") => assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{ended:?}"),
        (None, "panic") => assert_eq!(ended.status.code(), Some(101), "{ended:?}"),
        (None, _) => assert!(ended.status.success(), "{ended:?}"),
    }
    if loss == Loss::Nothing {
        assert!(
            receiver.wait_for_spans(SPANS as usize, LONG),
            "{way}: {ended:?}"
        );
    } else {
        // What the process has sent is there soon; what it has not never comes.
        let _ = receiver.wait_for_spans(SPANS as usize, Duration::from_millis(50));
    }
    let verdict = oracle.compare(&receiver);
    assert_eq!(
        (verdict.issued, verdict.foreign, verdict.repeated),
        (SPANS, 0, 0),
        "{way}"
    );
    verdict.issued - verdict.accepted
}
