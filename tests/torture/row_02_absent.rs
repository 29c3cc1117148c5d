//! Nobody listens for a long time, and then somebody does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use throughline::testing::{Absent, Oracle};
use throughline::{Pipeline, span};
use throughline_tests::support::{inv, load, process};

use crate::support::{LONG, Row, lines_about, receiver, size, to, wait_until};

const BOUND: usize = 8 << 20;
/// The longest backoff, and what the matrix adds to it.
const RECOVERY: Duration = Duration::from_secs(5 + 5);

#[test]
fn row_02_an_absent_collector_costs_what_is_bounded() {
    let row = Row::alone(
        2,
        "connection refused for a while, then a receiver",
        "RSS <= bound + 10 %, end() p99 <= 1.1 x healthy (asserted in the long form), worker < 1 % of a core, \
         back within backoff + 5 s, 1 warning and 1 all-clear, INV",
    );
    let outage = Duration::from_secs(size(2, 4, 600));
    let rate = size(10_000, 100_000, 100_000);
    let healthy = {
        let receiver = receiver();
        receiver.keep_ids_only();
        let pipeline = to(&receiver.endpoint()).start().expect("a pipeline starts");
        slowest_percent_of_ends(&pipeline)
    };

    let absent = Absent::start().expect("a free port");
    // Room for the ids, so that they do not count as growth.
    let mut ids =
        vec![throughline::core::SpanId::from_bytes([1; 8]); (outage.as_secs() * rate * 2) as usize];
    ids.clear();
    let before = process::rss_bytes();
    let pipeline = to(&absent.endpoint())
        .schedule_delay(Duration::from_millis(50))
        .max_memory_bytes(BOUND)
        .start()
        .expect("a pipeline starts");
    let stop = AtomicBool::new(false);
    let mut most = before;
    thread::scope(|scope| {
        let context = pipeline.context();
        let (ids, stop) = (&mut ids, &stop);
        scope.spawn(move || {
            let _here = context.attach();
            load::record_at(rate, stop, |id| ids.push(id));
        });
        let start = Instant::now();
        while start.elapsed() < outage {
            thread::sleep(Duration::from_millis(20));
            most = most.max(process::rss_bytes());
        }
        stop.store(true, Ordering::Relaxed);
    });
    let growth = most.saturating_sub(before);
    assert!(growth as f64 <= BOUND as f64 * 1.1, "{growth} bytes more");

    let idle = Duration::from_secs(size(2, 2, 10));
    let used = process::cpu_of_threads("throughline-export");
    thread::sleep(idle);
    let used = process::cpu_of_threads("throughline-export") - used;
    let share = used.as_secs_f64() / idle.as_secs_f64();
    assert!(share < 0.01, "the worker uses {share:.4} of a core");

    let oracle = Oracle::new();
    oracle.issue(ids);
    let during = slowest_percent_of_ends_in(&pipeline, |id| oracle.issue([id]));
    let ratio = during.as_secs_f64() / healthy.as_secs_f64();
    if crate::support::is_long() {
        assert!(
            ratio <= 1.1,
            "end() takes {during:?} instead of {healthy:?}"
        );
    }

    let subject = absent.addr().to_string();
    let receiver = absent.arrive().expect("a receiver starts");
    receiver.keep_ids_only();
    let start = Instant::now();
    assert!(receiver.wait_for_spans(1, LONG), "it is found again");
    let recovery = start.elapsed();
    assert!(recovery <= RECOVERY, "found after {recovery:?}");
    assert!(!pipeline.flush(LONG).timed_out);
    let stats = inv::settle(&pipeline, LONG).expect("the pipeline comes to rest");
    let verdict = inv::hold(&oracle, &receiver, &stats);
    wait_until("both lines are said", LONG, || {
        lines_about(&subject).len() >= 2
    });
    let minutes = 1 + outage.as_secs() / 60;
    let lines = lines_about(&subject);
    assert!(lines.len() as u64 <= 1 + minutes, "{lines:?}");
    assert!(
        lines
            .last()
            .is_some_and(|line| line.contains("works again")),
        "{lines:?}"
    );
    row.holds(format!(
        "{outage:?} at {rate} spans/s: RSS + {:.1} MiB of {} MiB, end() p99 {ratio:.2} x healthy, worker {:.2} % of a \
         core, back after {recovery:.1?}, {} lines, {} issued = {} received + {} dropped or failed",
        growth as f64 / f64::from(1 << 20),
        BOUND >> 20,
        share * 100.0,
        lines.len(),
        verdict.issued,
        verdict.accepted,
        inv::counts(&stats).lost
    ));
}

fn slowest_percent_of_ends(pipeline: &Pipeline) -> Duration {
    slowest_percent_of_ends_in(pipeline, |_| ())
}

/// The 99th percentile of what ending a span takes its thread.
fn slowest_percent_of_ends_in(
    pipeline: &Pipeline,
    mut issued: impl FnMut(throughline::core::SpanId),
) -> Duration {
    let _here = pipeline.context().attach();
    let mut ends: Vec<Duration> = (0..20_000)
        .map(|number| {
            let span = span!("timed", number = number);
            issued(load::id_of(&span));
            let start = Instant::now();
            span.end();
            start.elapsed()
        })
        .collect();
    ends.sort_unstable();
    ends[ends.len() * 99 / 100]
}
