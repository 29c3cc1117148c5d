//! Every span has one fate, whatever the load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use throughline_core::Sampler;
use throughline_export::Pipeline;

use crate::support::{
    Gated, LONG, assert_settled, open_span, received_ids, receiver, record, record_in,
    record_other, resource_text, to, wait_for_stats,
};

#[test]
fn many_threads_lose_nothing() {
    const THREADS: u64 = 8;
    const SPANS: u64 = 20_000;
    let receiver = receiver();
    let pipeline = to(&receiver).max_batch_bytes(64 << 10).start().unwrap();
    let flushing = AtomicBool::new(true);
    thread::scope(|scope| {
        let producers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let context = pipeline.context();
                scope.spawn(move || {
                    let _here = context.attach();
                    record(thread * SPANS..(thread + 1) * SPANS);
                })
            })
            .collect();
        scope.spawn(|| {
            while flushing.load(Ordering::Relaxed) {
                let report = pipeline.flush(LONG);
                assert!(report.is_complete(), "{report}");
            }
        });
        for producer in producers {
            producer.join().unwrap();
        }
        flushing.store(false, Ordering::Relaxed);
    });
    assert!(pipeline.flush(LONG).is_complete());

    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.started, THREADS * SPANS);
    assert_eq!(stats.exported, THREADS * SPANS);
    assert_eq!(received_ids(&receiver), (0..THREADS * SPANS).collect());
    assert!(pipeline.shutdown(LONG).is_complete());
    assert_eq!(pipeline.stats(), stats);
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    const SPANS: u64 = 20_000;
    let exporter = Gated::default();
    let pipeline = Pipeline::builder()
        .exporter(exporter.clone())
        .max_memory_bytes(256 << 10)
        .export_timeout(LONG)
        .timeout(LONG)
        .start()
        .unwrap();
    record_in(&pipeline, 0..SPANS);
    let stats = pipeline.stats();
    assert_eq!(stats.unaccounted(), 0, "{stats}");
    assert!(stats.dropped.get("queue_full") > 0, "{stats}");
    exporter.open();
    let report = pipeline.flush(LONG);
    assert!(!report.timed_out && report.failed == 0, "{report}");
    assert!(report.dropped > 0 && !report.is_complete(), "{report}");
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.started, SPANS);
    assert_eq!(stats.exported, exporter.spans());
    assert_eq!(stats.exported + stats.dropped.total(), SPANS);
}

#[test]
fn a_queue_of_few_spans_moves_on() {
    let exporter = Gated::default();
    let pipeline = Pipeline::builder()
        .exporter(exporter.clone())
        .schedule_delay(LONG)
        .max_queue_spans(10)
        .start()
        .unwrap();
    record_in(&pipeline, 0..10);
    // The queue is full, so the batch goes without waiting for more.
    wait_for_stats(&pipeline, |stats| stats.in_flight == 10);
    record_in(&pipeline, 10..100);
    let stats = pipeline.stats();
    assert_eq!((stats.in_flight, stats.queued), (10, 90), "{stats}");
    exporter.open();
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(exporter.batches(), [10; 10]);
}

#[test]
fn batches_keep_to_their_bounds() {
    let receiver = receiver();
    let pipeline = to(&receiver)
        .max_batch_bytes(4096)
        .max_batch_spans(30)
        .start()
        .unwrap();
    {
        let _here = pipeline.context().attach();
        record(0..100);
        let mut large = open_span();
        large.set_attribute("id", 1000);
        large.set_attribute("text", "x".repeat(10_000));
        large.end();
        record(100..200);
    }
    assert!(pipeline.flush(LONG).is_complete());
    let requests = receiver.requests();
    assert!(requests.iter().all(|request| request.rejection.is_none()));
    let large: Vec<_> = requests
        .iter()
        .filter(|request| request.body().len() > 4096 + 512)
        .map(|request| request.spans)
        .collect();
    assert_eq!(large, [1], "a span beyond the bound travels alone");
    assert!(requests.iter().all(|request| request.spans <= 30));
    assert_eq!(received_ids(&receiver).len(), 201);
}

#[test]
fn a_full_batch_does_not_wait_for_its_delay() {
    let receiver = receiver();
    let pipeline = to(&receiver).max_batch_spans(10).start().unwrap();
    record_in(&pipeline, 0..20);
    assert!(receiver.wait_for_spans(20, LONG));
    drop(pipeline);
}

#[test]
fn a_batch_that_is_not_full_goes_after_its_delay() {
    let receiver = receiver();
    let pipeline = to(&receiver)
        .schedule_delay(std::time::Duration::from_millis(1))
        .start()
        .unwrap();
    record_in(&pipeline, 0..3);
    assert!(receiver.wait_for_spans(3, LONG));
    drop(pipeline);
}

#[test]
fn a_span_too_large_for_any_request_is_dropped_alone() {
    let receiver = receiver();
    let pipeline = to(&receiver).max_memory_bytes(512 << 20).start().unwrap();
    {
        let _here = pipeline.context().attach();
        record(0..10);
        let mut large = open_span();
        large.set_attribute("text", "x".repeat(65 << 20));
        large.end();
        record(10..20);
    }
    let report = pipeline.flush(LONG);
    assert_eq!((report.exported, report.dropped), (20, 1), "{report}");
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.dropped.to_string(), "1 (oversize: 1)");
    assert_eq!(received_ids(&receiver), (0..20).collect());
}

#[test]
fn spans_are_grouped_by_scope_and_carry_the_resource() {
    let receiver = receiver();
    let pipeline = to(&receiver)
        .service_name("cart")
        .resource_attribute("deployment.environment.name", "test")
        .start()
        .unwrap();
    {
        let _here = pipeline.context().attach();
        for id in 0..3 {
            record([id]);
            record_other();
        }
    }
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(receiver.requests().len(), 1);
    let spans = receiver.spans();
    let mut scopes: Vec<_> = spans
        .iter()
        .map(|span| (span.scope.name.as_str(), span.name.as_str()))
        .collect();
    // One `ScopeSpans` per scope: the receiver keeps the order of the request.
    scopes.dedup();
    assert_eq!(scopes, [("it", "work"), ("another scope", "other")]);
    for (key, value) in [
        ("service.name", "cart"),
        ("deployment.environment.name", "test"),
        ("telemetry.sdk.name", "throughline"),
        ("telemetry.sdk.language", "rust"),
    ] {
        assert_eq!(
            resource_text(&receiver, key).as_deref(),
            Some(value),
            "{key}"
        );
    }
}

#[test]
fn live_and_unsampled_spans_are_told_apart() {
    let receiver = receiver();
    let pipeline = to(&receiver).start().unwrap();
    let context = pipeline.context();
    let open = {
        let _here = context.attach();
        open_span()
    };
    record_in(&pipeline, 0..2);
    assert!(pipeline.flush(LONG).is_complete());
    let stats = pipeline.stats();
    assert_eq!(
        (stats.started, stats.exported, stats.live),
        (3, 2, 1),
        "{stats}"
    );
    assert_eq!(stats.unaccounted(), 0);
    assert!(pipeline.shutdown(LONG).is_complete());
    open.end();
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.dropped.get("already_shutdown"), 1);

    let unsampled = to(&receiver)
        .sampler(Sampler::always_off())
        .start()
        .unwrap();
    record_in(&unsampled, 0..10);
    assert!(unsampled.flush(LONG).is_complete());
    assert_settled(&unsampled.stats());
    assert_eq!(unsampled.stats().started, 0);
}
