use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use throughline_ring::{Drained, Hub};

use crate::{CHUNK, drain_texts, hub_of};

fn drain_one(hub: &Hub) -> String {
    let mut text = String::new();
    let drained = hub.drain(|record| {
        text = String::from_utf8_lossy(record).into_owned();
        ControlFlow::Break(())
    });
    assert_eq!(drained.bytes, text.len());
    text
}

#[test]
fn a_drain_that_stops_goes_on_with_another_writer() {
    let hub = hub_of(10);
    let mut first = hub.writer();
    let mut second = hub.writer();
    for number in [b"0", b"1", b"2"] {
        first.push(*b"first ", number).unwrap();
        second.push(*b"second ", number).unwrap();
    }
    let order: Vec<String> = (0..6).map(|_| drain_one(&hub)).collect();
    assert_eq!(
        order,
        [
            "second 0", "first 0", "second 1", "first 1", "second 2", "first 2"
        ]
    );
    assert_eq!(drain_one(&hub), "");
}

#[test]
fn a_drain_counts_what_it_offered() {
    let hub = hub_of(10);
    let mut writer = hub.writer();
    writer.push(*b"ab", b"cde").unwrap();
    writer.push(*b"", b"").unwrap();
    let drained = hub.drain(|_| ControlFlow::Continue(()));
    assert_eq!(
        drained,
        Drained {
            records: 2,
            bytes: 5
        }
    );
    assert_eq!(hub.drain(|_| ControlFlow::Continue(())), Drained::default());
}

#[test]
fn a_drain_inside_a_drain_returns_at_once_with_nothing() {
    let hub = hub_of(10);
    let other = hub_of(10);
    hub.writer().push(*b"", b"one").unwrap();
    other.writer().push(*b"", b"two").unwrap();
    let mut inner = None;
    let drained = hub.drain(|_| {
        // Through another hub's drain it is still the same thread.
        other.drain(|_| {
            inner = Some(hub.drain(|_| ControlFlow::Continue(())));
            ControlFlow::Continue(())
        });
        ControlFlow::Continue(())
    });
    assert_eq!(inner, Some(Drained::default()));
    assert_eq!(drained.records, 1);
}

#[test]
fn a_callback_may_push_and_register_and_count() {
    let hub = hub_of(10);
    let mut writer = hub.writer();
    writer.push(*b"", b"first").unwrap();
    let mut texts = Vec::new();
    hub.drain(|record| {
        texts.push(String::from_utf8_lossy(record).into_owned());
        if texts.len() == 1 {
            writer.push(*b"", b"from the callback").unwrap();
            hub.writer().push(*b"", b"from a new writer").unwrap();
            hub.writer().tally(0, 1);
            assert_eq!(hub.tally(0), 1);
        }
        ControlFlow::Continue(())
    });
    texts.extend(drain_texts(&hub));
    texts.sort_unstable();
    assert_eq!(texts, ["first", "from a new writer", "from the callback"]);
}

#[test]
fn a_callback_that_pushes_for_ever_does_not_make_the_drain_endless() {
    let hub = hub_of(10);
    let mut writer = hub.writer();
    writer.push(*b"", b"seed").unwrap();
    for _ in 0..100 {
        let drained = hub.drain(|_| {
            writer.push(*b"", b"more").unwrap();
            ControlFlow::Continue(())
        });
        assert_eq!(drained.records, 1);
    }
}

#[test]
fn a_callback_that_panics_loses_no_other_record() {
    let hub = hub_of(10);
    let mut writer = hub.writer();
    writer.push(*b"", b"1").unwrap();
    writer.push(*b"", &[b'2'; 3 * CHUNK]).unwrap();
    writer.push(*b"", b"3").unwrap();
    for _ in 0..2 {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            hub.drain(|_| std::panic::resume_unwind(Box::new("callback")))
        }));
        assert!(panicked.is_err());
    }
    assert_eq!(hub.allocated_bytes(), CHUNK, "the oversize one was freed");
    assert_eq!(drain_texts(&hub), ["3"]);
}

#[test]
fn concurrent_drains_share_the_records() {
    let hub = hub_of(64);
    let consumers = 4;
    let delivered = Arc::new(AtomicUsize::new(0));
    let start = Arc::new(Barrier::new(consumers + 1));
    let threads: Vec<_> = (0..consumers)
        .map(|_| {
            let (hub, delivered, start) = (hub.clone(), delivered.clone(), start.clone());
            thread::spawn(move || {
                start.wait();
                while delivered.load(Ordering::Acquire) < 50_000 {
                    let drained = hub.drain(|_| ControlFlow::Continue(()));
                    delivered.fetch_add(drained.records, Ordering::AcqRel);
                }
            })
        })
        .collect();
    let mut writer = hub.writer();
    start.wait();
    for number in 0..50_000_u32 {
        while writer.push(number.to_le_bytes(), b"body").is_err() {
            thread::yield_now();
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(delivered.load(Ordering::Acquire), 50_000);
    assert_eq!(drain_texts(&hub).len(), 0);
}

#[test]
fn a_flush_after_a_handshake_delivers_everything() {
    let hub = hub_of(64);
    for round in 0..500_u32 {
        let producers: Vec<_> = (0..3)
            .map(|_| {
                let hub = hub.clone();
                thread::spawn(move || {
                    let mut writer = hub.writer();
                    writer.push(round.to_le_bytes(), b"").unwrap();
                    writer
                })
            })
            .collect();
        // The writers live on, so this is not about thread exit.
        let mut writers = Vec::new();
        for producer in producers {
            writers.push(producer.join().unwrap());
        }
        let drained = hub.drain(|record| {
            assert_eq!(record, round.to_le_bytes());
            ControlFlow::Continue(())
        });
        assert_eq!(drained.records, 3);
    }
}
