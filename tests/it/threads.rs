//! Spans that end elsewhere, and exact counts whatever the threads do.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use throughline::core::RecorderConfig;
use throughline::testing::Capture;
use throughline::{Context, span};

#[test]
fn a_span_may_end_on_another_thread() {
    let capture = Capture::start();
    let _here = capture.attach();
    let root = span!("root");
    let context = root.context();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            root.in_scope(|| span!("on the other thread").in_scope(|| ()));
        });
    });
    span!(parent: context, "after its end").in_scope(|| ());
    assert!(!Context::current().span_context().is_valid());
    assert_eq!(capture.stats().live(), 0);
    insta::assert_snapshot!(capture.tree(), @r"
    root
    ├─ on the other thread
    └─ after its end
    ");
}

#[test]
fn counts_are_exact_under_contention() {
    const THREADS: usize = 8;
    const SPANS: usize = 20_000;
    let mut config = RecorderConfig::default();
    // Small enough to overflow, so that drops are counted too.
    config.max_bytes = 256 << 10;
    let capture = Capture::with_config(config);
    let (start, done) = (Barrier::new(THREADS + 1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let _here = capture.attach();
                    start.wait();
                    for number in 0..SPANS {
                        span!("work", number = number).in_scope(|| ());
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            start.wait();
            while !done.load(Ordering::Acquire) {
                let _ = capture.spans();
            }
        });
        workers
            .into_iter()
            .for_each(|worker| worker.join().expect("no panic"));
        done.store(true, Ordering::Release);
    });
    let stats = capture.stats();
    assert_eq!(stats.started, (THREADS * SPANS) as u64);
    assert_eq!(stats.live(), 0);
    assert_eq!(stats.published + stats.dropped_full, stats.started);
    assert_eq!(capture.spans().len() as u64, stats.published);
    assert!(stats.buffer_bytes <= stats.buffer_limit_bytes);
}

#[test]
fn short_lived_threads_lose_nothing() {
    let capture = Capture::start();
    for _ in 0..500 {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _here = capture.attach();
                span!("short").in_scope(|| ());
            });
        });
    }
    assert_eq!((capture.stats().started, capture.spans().len()), (500, 500));
}

#[test]
fn a_closed_recorder_counts_what_comes_late() {
    let capture = Capture::start();
    let _here = capture.attach();
    let open = span!("open").enter();
    capture.recorder().close();
    drop(open);
    assert!(span!("too late").is_disabled());
    let stats = capture.stats();
    assert_eq!(
        (stats.started, stats.dropped_closed, stats.live()),
        (1, 1, 0)
    );
}
