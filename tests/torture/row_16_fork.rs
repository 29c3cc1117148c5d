//! A forked child neither blocks nor repeats what is its parent's.

use throughline::testing::Oracle;

use crate::child_process::{ChildProcess, child};
use crate::support::{Row, receiver, size};

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
