//! Forks with open spans; the child records and leaves.
#![expect(unsafe_code, reason = "fork has no safe form")]

use std::time::{Duration, Instant};

use throughline::{Pipeline, span};
use throughline_tests::support::load;

use crate::{say, say_ids, say_stats};

const LONG: Duration = Duration::from_secs(30);

pub(crate) fn run(open: u64) {
    let pipeline = Pipeline::builder()
        .env()
        .schedule_delay(LONG)
        .start_global()
        .expect("a pipeline starts");
    say_ids(load::record(100));
    let spans: Vec<_> = (0..open)
        .map(|number| span!("open", number = number))
        .collect();
    say_ids(spans.iter().map(load::id_of));

    // SAFETY: the child runs only what is meant to work after a fork, and leaves without destructors.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child == 0 {
        let start = Instant::now();
        // None of these ids may ever arrive.
        load::record(50);
        drop(spans);
        let flush = pipeline.flush(LONG);
        let shutdown = pipeline.shutdown(LONG);
        let stats = pipeline.stats();
        let took = start.elapsed();
        let right = !flush.is_complete()
            && !shutdown.is_complete()
            && stats.unaccounted() == 0
            && stats.exported == 0;
        let code = match (right, took < Duration::from_millis(100)) {
            (true, true) => 0,
            (true, false) => 2,
            (false, _) => 1,
        };
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: the child is ours and the status has a place.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    say(
        "forked",
        if libc::WIFEXITED(status) {
            libc::WEXITSTATUS(status)
        } else {
            -1
        },
    );
    drop(spans);
    say_ids(load::record(100));
    assert!(pipeline.shutdown(LONG).is_complete());
    say_stats(&pipeline.stats());
}
