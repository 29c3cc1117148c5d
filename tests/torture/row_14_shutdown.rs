//! Producers run on while the pipeline shuts down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use throughline::span;
use throughline::testing::Oracle;
use throughline_tests::support::{inv, load};

use crate::support::{LONG, Row, receiver, seeds, size, to};

#[test]
fn row_14_nothing_is_lost_in_the_window_of_a_shutdown() {
    let row = Row::start(
        14,
        "8 producers run through shutdown, 8 spans are open in it",
        "every span exported or counted already_shutdown: 0 lost, 0 unaccounted",
    );
    let seeds = seeds(size(20, 15, 5000));
    let (mut started, mut late) = (0, 0);
    for &seed in &seeds {
        let mut chance = Rng::with_seed(seed);
        let receiver = receiver();
        receiver.keep_ids_only();
        let pipeline = to(&receiver.endpoint()).start().expect("a pipeline starts");
        let (oracle, stop) = (Oracle::new(), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..8 {
                let context = pipeline.context();
                let (oracle, stop) = (&oracle, &stop);
                scope.spawn(move || {
                    let _here = context.attach();
                    let open = span!("open");
                    if open.is_recording() {
                        oracle.issue([load::id_of(&open)]);
                    }
                    let mut ids = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        ids.extend(load::record_one(0));
                    }
                    drop(open);
                    oracle.issue(ids);
                });
            }
            thread::sleep(Duration::from_micros(chance.u64(0..3000)));
            let report = pipeline.shutdown(LONG);
            assert!(
                !report.timed_out && report.failed == 0,
                "seed {seed}: {report}"
            );
            thread::sleep(Duration::from_micros(chance.u64(0..500)));
            stop.store(true, Ordering::Relaxed);
        });
        let stats = pipeline.stats();
        inv::hold(&oracle, &receiver, &stats);
        let after = stats.dropped.get("already_shutdown");
        let full = stats.dropped.get("queue_full");
        assert_eq!(
            stats.exported + after + full,
            stats.started,
            "seed {seed}: {stats}"
        );
        started += stats.started;
        late += after;
    }
    row.holds(format!(
        "{} shutdowns, {started} spans: {late} counted already_shutdown, 0 unaccounted",
        seeds.len()
    ));
}
