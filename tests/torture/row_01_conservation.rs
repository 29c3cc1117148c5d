//! Every span is somewhere, whatever the threads, the queue, the flushes and the receiver do.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use throughline::export::{Compression, Protocol};
use throughline::testing::{Oracle, OtlpReceiver};
use throughline_tests::support::{faults, inv, load};

use crate::support::{LONG, Row, receiver, seeds, size, to};

#[test]
fn row_01_conservation_under_contention() {
    let row = Row::start(
        1,
        "1-64 producers, receiver delays 0-200 ms, queue 1-2048 spans, random flushes",
        "INV exact by id in every seeded run; order of each thread kept",
    );
    let (mut spans, mut dropped) = (0, 0);
    let seeds = seeds(size(6, 24, 1000));
    for &seed in &seeds {
        let (started, lost) = contention(seed);
        spans += started;
        dropped += lost;
    }
    row.holds(format!(
        "{} runs, {spans} spans, {dropped} dropped or failed, 0 unaccounted, 0 out of order",
        seeds.len()
    ));
}

/// One run; how many spans started, and how many of them are lost and counted.
fn contention(seed: u64) -> (u64, u64) {
    let mut chance = Rng::with_seed(seed);
    let threads = [1, 2, 8, 64][chance.usize(0..4)];
    let delay = Duration::from_millis([0, 20, 200][chance.usize(0..3)]);
    let queue = chance.u64(1..=2048);
    let spans = size(8_000, 100_000, 100_000 * threads) / threads;
    let receiver = receiver();
    receiver.keep_ids_only();
    receiver.respond_by(move |_| Some(throughline::testing::Response::ok().delay(delay)));
    let pipeline = to(&receiver.endpoint())
        .max_queue_spans(queue)
        .max_batch_spans(queue.min(512))
        .max_memory_bytes(chance.usize(64 << 10..4 << 20))
        .start()
        .expect("a pipeline starts");
    let oracle = Oracle::new();
    let order = thread::scope(|scope| {
        let producers: Vec<_> = (0..threads)
            .map(|_| {
                let (context, flushes) = (pipeline.context(), chance.fork());
                let (pipeline, oracle) = (&pipeline, &oracle);
                scope.spawn(move || {
                    let _here = context.attach();
                    let mut flushes = flushes;
                    let mut ids = Vec::new();
                    while (ids.len() as u64) < spans {
                        let burst = flushes.u64(1..2000).min(spans - ids.len() as u64);
                        ids.extend(load::record(burst));
                        if flushes.u8(0..16) == 0 {
                            let _ = pipeline.flush(Duration::from_millis(flushes.u64(0..5)));
                        }
                    }
                    oracle.issue(ids.iter().copied());
                    ids
                })
            })
            .collect();
        let ids = producers.into_iter().map(|producer| {
            let ids = producer.join().expect("a producer does not panic");
            ids.into_iter()
                .map(|id| u64::from_be_bytes(id.to_bytes()))
                .collect::<Vec<_>>()
        });
        ids.collect::<Vec<_>>()
    });
    // A queue of one span and 200 ms for each will not end in time, and then the rest is counted.
    let report = pipeline.shutdown(Duration::from_secs(1));
    let stats = inv::settle(&pipeline, LONG).expect("the pipeline comes to rest");
    let unanswered = stats.failed.get("shutdown");
    let verdict = inv::hold_with_lost_answers(&oracle, &receiver, &stats, unanswered);
    assert_eq!(
        verdict.issued - verdict.accepted,
        inv::counts(&stats).lost - (verdict.accepted - stats.exported),
        "seed {seed}: the oracle misses as many as are counted: {stats}"
    );
    assert!(report.timed_out || unanswered == 0, "seed {seed}: {report}");
    assert_ordered(&order, &receiver, seed);
    (stats.started, inv::counts(&stats).lost)
}

/// The spans of each thread arrive in the order in which they ended.
fn assert_ordered(order: &[Vec<u64>], receiver: &OtlpReceiver, seed: u64) {
    let places: HashMap<u64, (usize, usize)> = order
        .iter()
        .enumerate()
        .flat_map(|(thread, ids)| {
            let places = ids.iter().enumerate();
            places.map(move |(place, &id)| (id, (thread, place)))
        })
        .collect();
    let mut last = vec![None; order.len()];
    for id in receiver.accepted_ids() {
        let (thread, place) = places[&id];
        assert!(last[thread] < Some(place), "seed {seed}: out of order");
        last[thread] = Some(place);
    }
}

#[test]
fn row_01_received_and_dropped_and_failed_are_started() {
    let row = Row::start(
        1,
        "8 threads, random flushes, receiver delays, resets, answers 400, 429 and 503 at random; over HTTP, and gRPC \
         with gzip",
        "received + dropped + failed = started by id in every seeded run",
    );
    let seeds = seeds(size(2, 5, 100));
    let spans = size(4_000, 50_000, 1_250_000);
    let (mut started, mut accepted, mut failed, mut dropped) = (0, 0, 0, 0);
    for &seed in &seeds {
        let receiver = receiver();
        receiver.keep_ids_only();
        receiver.respond_by(faults::unreliable(seed, 12));
        let (protocol, compression) = match seed % 2 {
            0 => (Protocol::Grpc, Compression::Gzip),
            _ => (Protocol::HttpProtobuf, Compression::None),
        };
        let pipeline = to(&receiver.endpoint())
            .protocol(protocol)
            .compression(compression)
            .max_batch_spans(size(500, 2000, 8000))
            .start()
            .expect("a pipeline starts");
        let oracle = Oracle::new();
        let mut chance = Rng::with_seed(seed);
        thread::scope(|scope| {
            for _ in 0..8 {
                let (context, mut flushes) = (pipeline.context(), chance.fork());
                let (pipeline, oracle) = (&pipeline, &oracle);
                scope.spawn(move || {
                    let _here = context.attach();
                    let mut left = spans;
                    while left > 0 {
                        let burst = flushes.u64(1..20_000).min(left);
                        oracle.issue(load::record(burst));
                        left -= burst;
                        if flushes.u8(0..8) == 0 {
                            let _ = pipeline.flush(Duration::from_millis(flushes.u64(0..50)));
                        }
                    }
                });
            }
        });
        receiver.respond_well();
        let report = pipeline.shutdown(LONG);
        assert!(!report.timed_out, "seed {seed}: {report}");
        let stats = pipeline.stats();
        assert_eq!(stats.started, 8 * spans, "seed {seed}");
        let verdict = inv::hold(&oracle, &receiver, &stats);
        started += stats.started;
        accepted += verdict.accepted;
        failed += stats.failed.total();
        dropped += stats.dropped.total();
    }
    assert_eq!(accepted + failed + dropped, started);
    row.holds(format!(
        "{} runs of {} spans: {accepted} received + {failed} failed + {dropped} dropped = {started} started",
        seeds.len(),
        8 * spans
    ));
}
