//! A forked child neither blocks nor repeats what is its parent's.

use std::os::unix::process::ExitStatusExt;

use throughline::testing::Oracle;

use crate::child_process::{ChildProcess, child};
use crate::support::{LONG, Row, receiver, size, wait_until};

#[test]
fn row_16_a_forked_child_is_a_counted_no_op() {
    let row = Row::alone(
        16,
        "fork with 0, 1 and 100 open spans; the child records, flushes, shuts down, exits",
        "child <= 100 ms, nothing of the parent repeated, nothing of the child sent; parent goes on",
    );
    let runs = size(2, 5, 200);
    let (mut forks, mut late) = (0, 0);
    for open in [0, 1, 100_u64] {
        for _ in 0..runs {
            let receiver = receiver();
            let oracle = Oracle::new();
            let command = child(&receiver.endpoint(), &["fork", &open.to_string()]);
            let ended = ChildProcess::start(command).wait(&oracle);
            assert!(ended.status.success(), "{ended:?}");
            match ended.said("forked") {
                Some("0") => {}
                // Late once may be the machine.
                Some("2") => late += 1,
                other => panic!("the child found something wrong: {other:?}"),
            }
            let verdict = oracle.compare(&receiver);
            assert_eq!(verdict.check(ended.counts()), Ok(()), "{ended:?}");
            assert_eq!(verdict.accepted, 200 + open);
            forks += 1;
        }
    }
    assert!(
        late * 3 <= forks,
        "{late} of {forks} children took more than 100 ms"
    );
    row.holds(format!(
        "{forks} forks: {} children within 100 ms, 0 repeated, 0 of the child sent",
        forks - late
    ));
}

#[test]
fn row_16_parent_and_children_end_by_signals() {
    let row = Row::start(
        16,
        "fork while spans are recorded and exported and SIGTERM is handled; parent and children end by SIGTERM, SIGINT",
        "each ends by its signal; a child delivers what its own pipeline has, and nothing else; parent loses 0, repeats 0",
    );
    let forks = size(6, 30, 600);
    let mut issued = 0;
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let receiver = receiver();
        let oracle = Oracle::new();
        let command = child(&receiver.endpoint(), &["fork-signals", &forks.to_string()]);
        let mut process = ChildProcess::start(command);
        process.wait_for("recorded", &oracle);
        process.signal(signal);
        let ended = process.wait(&oracle);
        assert_eq!(ended.status.signal(), Some(signal), "{ended:?}");
        // What was sent last may still be on its way through the receiver.
        wait_until("every span", LONG, || {
            oracle.compare(&receiver).accepted == oracle.compare(&receiver).issued
        });
        let verdict = oracle.compare(&receiver);
        assert_eq!((verdict.foreign, verdict.repeated), (0, 0));
        issued += verdict.issued;
    }
    row.holds(format!(
        "{} forks: {} children and both parents ended by their signals, {issued} of {issued} spans, 0 repeated",
        2 * forks,
        2 * forks
    ));
}
