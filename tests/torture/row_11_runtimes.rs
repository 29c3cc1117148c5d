//! The pipeline needs no runtime and minds none.

use std::time::Duration;

use throughline::testing::Oracle;
use throughline_tests::support::runtimes::{self, CELLS};

use crate::child_process::{ChildProcess, wrapped};
use crate::support::{Row, receiver, size};

#[test]
fn row_11_every_runtime_and_none() {
    let row = Row::start(
        11,
        "16 kinds of runtime and of shutdown, one processor, a panic hook",
        "0 hangs, 0 panics, 0 lost in every run of every cell",
    );
    let runs = size(2, 20, 1000);
    let mut slowest = (Duration::ZERO, "");
    for _ in 0..runs {
        for &cell in CELLS {
            match runtimes::run(cell) {
                Ok(took) => slowest = slowest.max((took, cell.0)),
                Err(wrong) => panic!("{wrong}"),
            }
        }
    }

    // The same on one processor.
    let oracle = Oracle::new();
    let one_cpu = wrapped(
        &["taskset", "-c", "0"],
        "",
        &["runtimes", &runs.to_string()],
    );
    let one_cpu = ChildProcess::start(one_cpu).wait(&oracle);
    assert!(one_cpu.status.success(), "{one_cpu:?}");

    // The hook belongs to the process.
    let receiver = receiver();
    let hooked = crate::child_process::child(&receiver.endpoint(), &["panic-hook"]);
    let hooked = ChildProcess::start(hooked).wait(&oracle);
    assert!(hooked.status.success(), "{hooked:?}");
    assert_eq!(oracle.compare(&receiver).check(hooked.counts()), Ok(()));
    assert_eq!(hooked.counts().lost, 0);

    row.holds(format!(
        "{} cells x {runs} runs, and as many on one processor: 0 hangs, 0 panics, 0 lost; slowest {:.0?} ({})",
        CELLS.len() + 1,
        slowest.0,
        slowest.1
    ));
}
