//! Too few descriptors, no threads, no randomness, and what is left after many cycles.

use std::time::Duration;

use throughline::testing::Oracle;

use crate::child_process::{ChildProcess, Ended, child, wrapped};
use crate::support::{Row, receiver, size};

/// The longest backoff, with some room for a busy machine.
const BACKOFF: Duration = Duration::from_secs(5 + 1);

fn run(wrapper: &[&str], arguments: &[&str]) -> Ended {
    let receiver = receiver();
    let command = wrapped(wrapper, &receiver.endpoint(), arguments);
    ChildProcess::start(command).wait(&Oracle::new())
}

#[test]
fn row_17_starvation_is_an_error_and_passes() {
    let row = Row::start(
        17,
        "4-14 descriptors, thread creation EAGAIN, little address space, no getrandom; start and stop over and over",
        "Err, never a panic; descriptors recover <= 1 backoff; 0 leaked threads and descriptors",
    );
    let (mut refused, mut cells) = (0, 0);
    let mut check = |what: String, ended: &Ended| {
        assert!(ended.status.success(), "{what}: {ended:?}");
        let said = ended
            .said("start")
            .unwrap_or_else(|| panic!("{what}: {ended:?}"));
        refused += u64::from(said.starts_with("error"));
        cells += 1;
    };
    // With fewer, no program starts.
    for descriptors in 4..=14 {
        let limit = format!("--nofile={descriptors}");
        check(limit.clone(), &run(&["prlimit", &limit], &["start"]));
    }
    for megabytes in [20, 40, 80] {
        let limit = format!("--as={}", megabytes << 20);
        check(limit.clone(), &run(&["prlimit", &limit], &["start"]));
    }
    let mut traced = "";
    if strace_works() {
        for fault in [
            "clone3,clone:error=EAGAIN",
            "getrandom:error=ENOSYS",
            "epoll_create1:error=EMFILE",
            "eventfd2:error=EMFILE",
            "connect:error=ENETUNREACH",
            "socket:error=EMFILE:when=1",
        ] {
            let inject = format!("inject={fault}");
            let strace = ["strace", "-f", "-o", "/dev/null", "-e", &inject];
            check(fault.to_owned(), &run(&strace, &["start"]));
        }
    } else {
        traced = "; without strace no failing system calls";
    }

    let receiver = receiver();
    let oracle = Oracle::new();
    let command = wrapped(
        &["prlimit", "--nofile=64"],
        &receiver.endpoint(),
        &["exhaust"],
    );
    let exhausted = ChildProcess::start(command).wait(&oracle);
    assert!(exhausted.status.success(), "{exhausted:?}");
    assert_eq!(
        exhausted.number("early"),
        0,
        "there was no descriptor: {exhausted:?}"
    );
    let recovery = Duration::from_millis(exhausted.number("recovery_ms"));
    assert!(recovery <= BACKOFF, "{exhausted:?}");
    assert_eq!(oracle.compare(&receiver).check(exhausted.counts()), Ok(()));
    assert_eq!(exhausted.counts().exported, 100);

    let cycles = size(50, 200, 1000);
    let command = child(&receiver.endpoint(), &["cycles", &cycles.to_string()]);
    let leaks = ChildProcess::start(command).wait(&Oracle::new());
    assert!(leaks.status.success(), "{leaks:?}");
    assert_eq!(
        (leaks.number("threads"), leaks.number("descriptors")),
        (0, 0),
        "{leaks:?}"
    );
    row.holds(format!(
        "{cells} starvations: {refused} Err, {} started, 0 panics; recovery after {recovery:.1?}; \
         {cycles} cycles leak 0 threads, 0 descriptors{traced}",
        cells - refused
    ));
}

fn strace_works() -> bool {
    std::process::Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .output()
        .is_ok_and(|output| output.status.success())
}
