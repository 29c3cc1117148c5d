//! Starts pipelines where there is too little of something.

use std::fs::File;
use std::time::Duration;

use throughline::Pipeline;
use throughline_tests::support::{inv, load, process};

use crate::{say, say_ids, say_stats};

const LONG: Duration = Duration::from_secs(30);

/// Starts once, and says whether that succeeded.
pub(crate) fn start() {
    match Pipeline::builder().env().start() {
        Ok(pipeline) => {
            load::record_in(&pipeline, 10);
            let _ = pipeline.flush(Duration::from_secs(5));
            say("start", "ok");
        }
        Err(error) => say("start", format_args!("error {error}")),
    }
}

/// Starts and stops over and over, and says what is left of it.
pub(crate) fn cycles(count: u64) {
    let cycle = || {
        let pipeline = Pipeline::builder()
            .env()
            .start()
            .expect("a pipeline starts");
        load::record_in(&pipeline, 10);
        assert!(pipeline.shutdown(LONG).is_complete());
    };
    for _ in 0..10 {
        cycle();
    }
    settle_threads();
    let before = (
        process::threads(),
        process::descriptors(),
        process::rss_bytes(),
    );
    for _ in 0..count {
        cycle();
    }
    settle_threads();
    let after = (
        process::threads(),
        process::descriptors(),
        process::rss_bytes(),
    );
    say("threads", after.0.saturating_sub(before.0));
    say("descriptors", after.1.saturating_sub(before.1));
    say("rss", after.2.saturating_sub(before.2));
}

/// Threads that have done their work need a moment to go.
fn settle_threads() {
    for _ in 0..200 {
        if process::threads() == 1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Takes every descriptor, exports in vain, gives them back, and exports.
pub(crate) fn exhaust() {
    let pipeline = Pipeline::builder()
        .env()
        .schedule_delay(LONG)
        .start()
        .expect("a pipeline starts");
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    say_ids(load::record_in(&pipeline, 100));
    let early = pipeline.flush(Duration::from_millis(300));
    say("early", early.exported);
    drop(taken);
    let start = std::time::Instant::now();
    let _ = inv::settle(&pipeline, LONG);
    say("recovery_ms", start.elapsed().as_millis());
    let _ = pipeline.shutdown(LONG);
    say_stats(&pipeline.stats());
}
