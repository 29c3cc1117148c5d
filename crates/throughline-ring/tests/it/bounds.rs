use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use throughline_ring::{Full, Hub, HubConfig};

use crate::{CAPACITY, CHUNK, drain_texts, hub_of};

/// A record that fills a chunk together with its length.
const WHOLE: [u8; CAPACITY - 4] = [b'w'; CAPACITY - 4];

#[test]
fn the_bound_is_used_up_exactly_and_never_exceeded() {
    let hub = hub_of(3);
    let mut writer = hub.writer();
    assert_eq!(hub.allocated_bytes(), 0, "no memory before the first push");
    for chunks in 1..=3 {
        assert_eq!(writer.push([], &WHOLE), Ok(()));
        assert_eq!(hub.allocated_bytes(), chunks * CHUNK);
    }
    assert_eq!(writer.push([], b"more"), Err(Full));
    assert_eq!(hub.allocated_bytes(), hub.max_bytes());
    assert_eq!(drain_texts(&hub).len(), 3);

    // Two of the chunks are free again, the third is still the writer's.
    assert_eq!(writer.push([], &WHOLE), Ok(()));
    assert_eq!(writer.push([], &WHOLE), Ok(()));
    assert_eq!(writer.push([], &WHOLE), Err(Full));
    assert_eq!(hub.allocated_bytes(), 3 * CHUNK);
    assert_eq!(drain_texts(&hub).len(), 2);
}

#[test]
fn a_refused_record_leaves_no_trace() {
    let hub = hub_of(1);
    let mut writer = hub.writer();
    assert_eq!(writer.push(*b"1", b"first"), Ok(()));
    assert_eq!(writer.push([], &WHOLE), Err(Full));
    // What still fits the chunk is accepted after a refusal.
    assert_eq!(writer.push(*b"2", b"second"), Ok(()));
    assert_eq!(drain_texts(&hub), ["1first", "2second"]);
}

#[test]
fn a_bound_that_is_no_multiple_of_the_chunk_size_is_kept() {
    let hub = Hub::new(HubConfig {
        max_bytes: 2 * CHUNK + CHUNK / 2,
        chunk_bytes: CHUNK,
    });
    let mut writer = hub.writer();
    let accepted = (0..10).filter(|_| writer.push([], &WHOLE).is_ok()).count();
    assert_eq!(accepted, 2);
    assert_eq!(hub.allocated_bytes(), 2 * CHUNK);
}

#[test]
fn a_hub_without_memory_refuses_everything() {
    for max_bytes in [0, 1, CHUNK - 1] {
        let hub = Hub::new(HubConfig {
            max_bytes,
            chunk_bytes: CHUNK,
        });
        let mut writer = hub.writer();
        assert_eq!(writer.push(*b"", b""), Err(Full));
        assert_eq!(writer.push(*b"", &[0; 10 * CHUNK]), Err(Full));
        writer.tally(2, 1);
        assert_eq!(hub.tally(2), 1, "counting needs no record memory");
        assert_eq!(hub.allocated_bytes(), 0);
    }
}

#[test]
fn odd_chunk_sizes_are_made_usable() {
    for chunk_bytes in [0, 1, 129, 1000] {
        let hub = Hub::new(HubConfig {
            max_bytes: 1 << 16,
            chunk_bytes,
        });
        let mut writer = hub.writer();
        for length in 0..200 {
            assert_eq!(writer.push(*b"", &vec![b'x'; length]), Ok(()));
        }
        let lengths: Vec<usize> = drain_texts(&hub).iter().map(String::len).collect();
        assert_eq!(lengths, (0..200).collect::<Vec<_>>());
    }
}

#[test]
fn every_length_around_the_end_of_a_chunk_fits_or_moves_on() {
    for first in CAPACITY - 40..CAPACITY + 8 {
        for second in 0..48 {
            let hub = hub_of(4);
            let mut writer = hub.writer();
            assert_eq!(writer.push(*b"", &vec![b'a'; first]), Ok(()));
            assert_eq!(writer.push(*b"", &vec![b'b'; second]), Ok(()));
            assert_eq!(
                drain_texts(&hub),
                ["a".repeat(first), "b".repeat(second)],
                "{first} {second}"
            );
        }
    }
}

#[test]
fn an_oversize_record_has_memory_of_its_own_until_it_is_delivered() {
    let hub = hub_of(10);
    let mut writer = hub.writer();
    let big = "b".repeat(5 * CHUNK);
    assert_eq!(writer.push(*b"1", b"before"), Ok(()));
    assert_eq!(writer.push(*b"2", big.as_bytes()), Ok(()));
    assert_eq!(writer.push(*b"3", b"after"), Ok(()));
    assert_eq!(hub.allocated_bytes(), CHUNK + 1 + big.len());
    assert_eq!(
        drain_texts(&hub),
        ["1before".into(), format!("2{big}"), "3after".into()]
    );
    assert_eq!(hub.allocated_bytes(), CHUNK, "freed as soon as delivered");
}

#[test]
fn an_oversize_record_beyond_the_bound_is_refused() {
    let hub = hub_of(4);
    let mut writer = hub.writer();
    assert_eq!(writer.push(*b"", b"small"), Ok(()));
    assert_eq!(writer.push(*b"", &vec![0; 4 * CHUNK]), Err(Full));
    assert_eq!(writer.push(*b"", &vec![b'f'; 3 * CHUNK]), Ok(()));
    assert_eq!(hub.allocated_bytes(), hub.max_bytes());
    assert_eq!(writer.push(*b"", b"still fits the chunk"), Ok(()));
    assert_eq!(drain_texts(&hub).len(), 3);
}

#[test]
fn idle_chunks_make_room_for_an_oversize_record() {
    let hub = hub_of(4);
    let mut writer = hub.writer();
    for _ in 0..4 {
        assert_eq!(writer.push(*b"", &WHOLE), Ok(()));
    }
    assert_eq!(drain_texts(&hub).len(), 4);
    assert_eq!(hub.allocated_bytes(), 4 * CHUNK, "three of them idle");
    // Needs a chunk for its reference, and two chunks' worth for itself.
    assert_eq!(writer.push(*b"", &vec![b'o'; 2 * CHUNK]), Ok(()));
    assert_eq!(hub.allocated_bytes(), 4 * CHUNK);
    assert_eq!(drain_texts(&hub), ["o".repeat(2 * CHUNK)]);
}

#[test]
fn an_observer_never_sees_the_bound_exceeded() {
    let hub = hub_of(5);
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|seed| {
            let hub = hub.clone();
            thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut writer = hub.writer();
                for _ in 0..20_000 {
                    let _ = writer.push([], &vec![0; random.usize(0..2 * CHUNK)]);
                }
            })
        })
        .collect();
    let consumer = {
        let (hub, done) = (hub.clone(), done.clone());
        thread::spawn(move || {
            while !done.load(Ordering::Acquire) {
                hub.drain(|_| ControlFlow::Continue(()));
            }
        })
    };
    while !writers.iter().all(thread::JoinHandle::is_finished) {
        assert!(hub.allocated_bytes() <= hub.max_bytes());
    }
    for writer in writers {
        writer.join().unwrap();
    }
    done.store(true, Ordering::Release);
    consumer.join().unwrap();
    hub.drain(|_| ControlFlow::Continue(()));
    assert!(
        hub.allocated_bytes().is_multiple_of(CHUNK),
        "chunks only: each oversize record was given back"
    );
}
