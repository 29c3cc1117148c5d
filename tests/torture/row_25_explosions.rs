//! Far too much of everything at once.

use std::thread;

use throughline::span;
use throughline::testing::Oracle;
use throughline_tests::support::{inv, load};

use crate::MEMORY;
use crate::support::{LONG, Row, receiver, size, to};

const BOUND: usize = 16 << 20;
const EVENTS_KEPT: usize = 128;

#[test]
fn row_25_explosions_are_bounded_and_counted() {
    let row = Row::alone(
        25,
        "spans as fast as 4 threads make them, 10^6 events in one span, 10^6 live spans",
        "kept events <= 128, dropped exact; memory <= bound; live gauge exact",
    );
    let receiver = receiver();
    receiver.keep_ids_only();
    let pipeline = to(&receiver.endpoint())
        .max_memory_bytes(BOUND)
        .start()
        .expect("a pipeline starts");
    let burst = size(20_000, 250_000, 2_500_000);
    let oracle = Oracle::new();
    let (all, _) = crate::support::time(|| {
        thread::scope(|scope| {
            for _ in 0..4 {
                let (context, oracle) = (pipeline.context(), &oracle);
                scope.spawn(move || {
                    let _here = context.attach();
                    oracle.issue(load::record(burst));
                });
            }
        });
        burst * 4
    });
    let _ = pipeline.flush(LONG);
    let stats = inv::settle(&pipeline, LONG).expect("the pipeline comes to rest");
    let verdict = inv::hold(&oracle, &receiver, &stats);
    assert_eq!(verdict.issued, all);
    drop(pipeline);

    // One span that never stops talking.
    let receiver = crate::support::receiver();
    let pipeline = to(&receiver.endpoint()).start().expect("a pipeline starts");
    let events = size(50_000, 1_000_000, 1_000_000);
    let mut talker = span!(parent: pipeline.context(), "talker");
    let before = MEMORY.current_usage();
    for number in 0..events {
        talker.add_event("said", |event| event.attribute(&"number", number));
    }
    let grown = MEMORY.current_usage().saturating_sub(before);
    talker.end();
    assert!(pipeline.flush(LONG).is_complete());
    let talked = receiver.spans().remove(0);
    assert_eq!(talked.events.len(), EVENTS_KEPT);
    assert_eq!(
        u64::from(talked.dropped_events) + EVENTS_KEPT as u64,
        events
    );
    assert!(grown < 64 << 10, "{grown} bytes for {events} events");

    // Spans that do not end.
    receiver.keep_ids_only();
    let open = size(20_000, 1_000_000, 1_000_000);
    let spans: Vec<_> = (0..open)
        .map(|_| span!(parent: pipeline.context(), "open"))
        .collect();
    assert_eq!(pipeline.stats().live, open);
    drop(spans);
    let _ = pipeline.flush(LONG);
    let stats = inv::settle(&pipeline, LONG).expect("the pipeline comes to rest");
    assert_eq!(
        (stats.live, stats.unaccounted(), stats.started),
        (0, 0, open + 1),
        "{stats}"
    );
    row.holds(format!(
        "{all} spans at once: {} received + {} counted; {EVENTS_KEPT} of {events} events kept ({grown} bytes), rest \
         counted; live gauge {open} of {open}",
        verdict.accepted,
        verdict.issued - verdict.accepted
    ));
}
