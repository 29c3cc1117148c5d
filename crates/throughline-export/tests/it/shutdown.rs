//! It ends in time, wherever it is called.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use throughline_export::{Pipeline, PipelineBuilder};
use throughline_testing::Response;
use tokio::runtime;

use crate::support::{
    LONG, assert_settled, open_span, received_ids, receiver, record, record_in, to, wait_for_stats,
};

/// A server that accepts connections (the kernel does) and never answers.
fn black_hole() -> (TcpListener, PipelineBuilder) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let builder = Pipeline::builder().endpoint(&endpoint).max_batch_spans(10);
    (listener, builder)
}

#[test]
fn a_black_hole_does_not_hold_it() {
    let (_listener, builder) = black_hole();
    let pipeline = builder.start().unwrap();
    record_in(&pipeline, 0..100);
    let start = Instant::now();
    let report = pipeline.shutdown(Duration::from_millis(200));
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert!(start.elapsed() < LONG / 2);
    assert!(report.timed_out && !report.is_complete(), "{report}");
    assert_eq!(
        (report.exported, report.failed, report.dropped),
        (0, 10, 90)
    );
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.failed.get("shutdown"), 10, "{stats}");
    assert_eq!(stats.dropped.get("shutdown"), 90, "{stats}");
}

#[test]
fn no_time_at_all_still_counts_everything() {
    let (_listener, builder) = black_hole();
    let pipeline = builder.start().unwrap();
    record_in(&pipeline, 0..100);
    // The caller may be back before the thread has seen the deadline.
    let _ = pipeline.shutdown(Duration::ZERO);
    let stats = wait_for_stats(&pipeline, |stats| stats.queued + stats.in_flight == 0);
    assert_settled(&stats);
    assert_eq!(stats.failed.total() + stats.dropped.total(), 100);
}

#[test]
fn an_absent_collector_does_not_make_the_end_wait() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let pipeline = Pipeline::builder()
        .endpoint(&format!("http://{address}"))
        .max_batch_spans(10)
        .start()
        .unwrap();
    record_in(&pipeline, 0..100);
    let start = Instant::now();
    let report = pipeline.shutdown(LONG);
    assert!(
        start.elapsed() < LONG / 2,
        "it does not use all of its time"
    );
    assert_eq!((report.failed, report.timed_out), (100, false), "{report}");
    assert_eq!(pipeline.stats().failed.get("connect"), 100);
}

#[test]
fn a_busy_collector_is_given_time() {
    let receiver = receiver();
    let pipeline = to(&receiver).start().unwrap();
    receiver.respond_with([Response::new(503), Response::drop_connection()]);
    record_in(&pipeline, 0..10);
    let report = pipeline.shutdown(LONG);
    assert!(report.is_complete(), "{report}");
    assert_eq!(received_ids(&receiver).len(), 10);
}

#[test]
fn twice_is_once() {
    let receiver = receiver();
    let pipeline = to(&receiver).start().unwrap();
    receiver.respond_with([Response::new(400)]);
    record_in(&pipeline, 0..10);
    let first = pipeline.shutdown(LONG);
    assert_eq!(first.failed, 10);
    assert_eq!(pipeline.shutdown(Duration::ZERO), first);
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn from_many_threads_at_once() {
    let receiver = receiver();
    let pipeline = to(&receiver).start().unwrap();
    record_in(&pipeline, 0..10);
    thread::scope(|scope| {
        let calls: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| pipeline.shutdown(LONG)))
            .collect();
        for call in calls {
            let report = call.join().unwrap();
            assert!(report.is_complete(), "{report}");
            assert_eq!(report.exported, 10);
        }
    });
    assert_eq!(receiver.span_count(), 10);
}

#[test]
fn while_threads_go_on_recording() {
    for _ in 0..10 {
        let receiver = receiver();
        let pipeline = to(&receiver).start().unwrap();
        let stop = AtomicBool::new(false);
        let started: u64 = thread::scope(|scope| {
            let producers: Vec<_> = (0..4)
                .map(|_| {
                    let (context, stop) = (pipeline.context(), &stop);
                    scope.spawn(move || {
                        let _here = context.attach();
                        let mut recorded = 0;
                        while !stop.load(Ordering::Relaxed) {
                            let span = open_span();
                            recorded += u64::from(span.is_recording());
                            span.end();
                        }
                        recorded
                    })
                })
                .collect();
            wait_for_stats(&pipeline, |stats| stats.started > 1000);
            let report = pipeline.shutdown(LONG);
            assert!(!report.timed_out && report.failed == 0, "{report}");
            stop.store(true, Ordering::Relaxed);
            producers.into_iter().map(|p| p.join().unwrap()).sum()
        });
        let stats = pipeline.stats();
        assert_settled(&stats);
        assert_eq!(stats.started, started);
        assert_eq!(stats.exported, receiver.span_count() as u64);
        assert_eq!(
            stats.exported + stats.dropped.get("already_shutdown"),
            started
        );
    }
}

#[test]
fn inside_every_kind_of_runtime() {
    for threads in [0, 1, 2] {
        let receiver = receiver();
        let mut builder = match threads {
            0 => runtime::Builder::new_current_thread(),
            _ => runtime::Builder::new_multi_thread(),
        };
        let runtime = builder.worker_threads(threads.max(1)).build().unwrap();
        let report = runtime.block_on(async {
            let pipeline = to(&receiver).start().unwrap();
            record_in(&pipeline, 0..10);
            tokio::task::LocalSet::new()
                .run_until(async move { pipeline.shutdown(LONG) })
                .await
        });
        assert!(report.is_complete(), "{report}");
        assert_eq!(receiver.span_count(), 10);
    }
}

#[test]
fn in_drop_inside_a_runtime() {
    let receiver = receiver();
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let pipeline = to(&receiver).start().unwrap();
        record_in(&pipeline, 0..10);
        drop(pipeline);
    });
    assert_eq!(received_ids(&receiver).len(), 10);
}

#[test]
fn after_the_runtime_it_was_started_in_is_gone() {
    let receiver = receiver();
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let pipeline = runtime.block_on(async { to(&receiver).start().unwrap() });
    record_in(&pipeline, 0..10);
    runtime.shutdown_background();
    assert!(pipeline.flush(LONG).is_complete());
    record_in(&pipeline, 10..20);
    drop(pipeline);
    assert_eq!(received_ids(&receiver).len(), 20);
}

#[test]
fn in_a_panic() {
    let receiver = receiver();
    let pipeline = to(&receiver).start().unwrap();
    let context = pipeline.context();
    let unwound = thread::spawn(move || {
        let _pipeline = pipeline;
        let _here = context.attach();
        record(0..10);
        panic!("as the test wants it");
    });
    assert!(unwound.join().is_err());
    assert_eq!(received_ids(&receiver).len(), 10);
}

/// Shuts down, with spans for a destination that never answers.
fn shut_down_in_vain() {
    let (_listener, builder) = black_hole();
    let pipeline = builder.start().unwrap();
    record_in(&pipeline, 0..30);
    let start = Instant::now();
    let report = pipeline.shutdown(Duration::from_millis(50));
    assert!(start.elapsed() < LONG / 2);
    assert!(report.timed_out && !report.is_complete(), "{report}");
    let stats = wait_for_stats(&pipeline, |stats| stats.queued + stats.in_flight == 0);
    assert_settled(&stats);
    assert_eq!(stats.failed.total() + stats.dropped.total(), 30);
}

#[test]
fn the_deadline_holds_wherever_it_is_called() {
    shut_down_in_vain();
    for threads in [0, 1, 2] {
        let mut builder = match threads {
            0 => runtime::Builder::new_current_thread(),
            _ => runtime::Builder::new_multi_thread(),
        };
        let runtime = builder.worker_threads(threads.max(1)).build().unwrap();
        runtime.block_on(async {
            shut_down_in_vain();
            tokio::spawn(async { shut_down_in_vain() }).await.unwrap();
            tokio::task::spawn_blocking(shut_down_in_vain)
                .await
                .unwrap();
            let local = tokio::task::LocalSet::new();
            let task = local.spawn_local(async { shut_down_in_vain() });
            local.await;
            task.await.unwrap();
        });
    }
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(shut_down_in_vain);
        }
    });
}
