//! Forks while spans are recorded and exported and signals are waited for; every process ends by a signal.
#![expect(unsafe_code, reason = "fork has no safe form")]

use std::io::{PipeWriter, Read, Write, pipe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use throughline::Pipeline;
use throughline::core::SpanId;
use throughline_tests::support::load;

use crate::{say, say_ids};

const LONG: Duration = Duration::from_secs(30);

/// How many spans may wait while more are recorded, so that none is dropped.
const MAX_WAITING: u64 = 500;

/// A child that a signal cannot end is ended by the alarm, which is another signal.
const HANG_SECONDS: u32 = 20;

pub(crate) fn run(forks: u64) {
    let pipeline = Pipeline::builder()
        .env()
        .schedule_delay(Duration::from_millis(1))
        .start_global()
        .expect("a pipeline starts");
    pipeline
        .shutdown_on_signals(LONG)
        .expect("signals can be waited for");
    let stop = AtomicBool::new(false);
    let mut wrong = 0;
    thread::scope(|scope| {
        let recorder = scope.spawn(|| record_until(&stop, &pipeline));
        for number in 0..forks {
            // What was waiting to be exported at the fork is the parent's.
            say_ids(load::record(20));
            let signal = [libc::SIGTERM, libc::SIGINT][number as usize % 2];
            let has_own = number % 3 == 2;
            let (ids, is_right) = fork(&pipeline, has_own, signal);
            say_ids(ids);
            wrong += u64::from(!is_right);
        }
        // Relaxed: the flag carries nothing with it.
        stop.store(true, Ordering::Relaxed);
        say_ids(recorder.join().expect("it does not panic"));
    });
    assert_eq!(wrong, 0, "children that were wrong or did not end");
    say("recorded", "");
    loop {
        // A signal ends it.
        thread::park();
    }
}

/// Keeps the export busy.
fn record_until(stop: &AtomicBool, pipeline: &Pipeline) -> Vec<SpanId> {
    let mut ids = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let stats = pipeline.stats();
        if stats.queued + stats.in_flight < MAX_WAITING {
            ids.extend(load::record(10));
        }
        thread::yield_now();
    }
    ids
}

/// Ends a child by a signal once it says that it is ready. Returns the spans that it is to deliver, and whether it found
/// everything right and ended as it should.
fn fork(parents: &Pipeline, has_own: bool, signal: i32) -> (Vec<SpanId>, bool) {
    let (mut reader, writer) = pipe().expect("a pipe");
    // SAFETY: the child runs only what is meant to work after a fork, and ends by a signal.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child == 0 {
        drop(reader);
        // SAFETY: asks for a signal, no more.
        unsafe { libc::alarm(HANG_SECONDS) };
        wait_in_child(parents, has_own, writer);
    }
    drop(writer);
    let count = if has_own { OWN_SPANS } else { 0 };
    let mut said = vec![0; 1 + 8 * count];
    // Less when the child did not come so far.
    let is_ready = reader.read_exact(&mut said).is_ok() && said[0] == 1;
    let mut status = 0;
    // SAFETY: the child is ours, and was not waited for yet.
    let sent = unsafe { libc::kill(child, signal) };
    // SAFETY: the child is ours and the status has a place.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((sent, waited), (0, child));
    let ended = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == signal;
    let (ids, _) = said[1..].as_chunks();
    let ids = ids.iter().map(|id| SpanId::from_bytes(*id));
    (ids.collect(), is_ready && ended)
}

/// How many spans a child delivers that has a pipeline of its own.
const OWN_SPANS: usize = 50;

fn wait_in_child(parents: &Pipeline, has_own: bool, mut ready: PipeWriter) -> ! {
    // None of these ids may ever arrive.
    load::record(50);
    let stats = parents.stats();
    let is_right =
        !parents.flush(LONG).is_complete() && (stats.unaccounted(), stats.exported) == (0, 0);
    let mut said = vec![u8::from(is_right)];
    let own = has_own.then(|| {
        let own = Pipeline::builder()
            .env()
            .schedule_delay(LONG)
            .start()
            .expect("a pipeline starts");
        own.shutdown_on_signals(LONG)
            .expect("signals can be waited for");
        for id in load::record_in(&own, OWN_SPANS as u64) {
            said.extend(id.to_bytes());
        }
        own
    });
    ready.write_all(&said).expect("the parent listens");
    loop {
        thread::park();
        // Kept until the signal.
        let _ = &own;
    }
}
