use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use throughline_ring::Hub;

use crate::{CAPACITY, drain_texts, hub_of};

fn count_calls(hub: &Hub) -> Arc<AtomicUsize> {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    hub.set_waker(Box::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    }));
    calls
}

#[test]
fn a_sleeper_is_woken_once_by_the_next_chunk_taken() {
    let hub = hub_of(20);
    let calls = count_calls(&hub);
    let mut writer = hub.writer();
    writer.push(*b"", &[0; CAPACITY / 2]).unwrap();
    drain_texts(&hub);
    assert_eq!(calls.load(Ordering::SeqCst), 0, "nobody slept");

    assert!(hub.sleep(0));
    writer.push(*b"", b"fits the chunk").unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 0, "no span wakes anybody");
    for _ in 0..5 {
        writer.push(*b"", &[0; CAPACITY - 8]).unwrap();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);

    assert_eq!(drain_texts(&hub).len(), 6);
    assert!(hub.sleep(0));
    writer.push(*b"", &[0; CAPACITY - 8]).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_sleeper_is_woken_once_when_there_is_as_much_as_it_wants() {
    let hub = hub_of(20);
    let calls = count_calls(&hub);
    let mut writers = [hub.writer(), hub.writer()];
    drain_texts(&hub);
    assert!(hub.sleep(3 * CAPACITY));
    for (number, woken) in [(0, 0), (1, 0), (0, 1), (1, 1), (0, 1)] {
        writers[number].push(*b"", &[0; CAPACITY - 8]).unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), woken);
    }
    // As much is there already, or not.
    assert!(!hub.sleep(5 * CAPACITY));
    assert!(hub.sleep(5 * CAPACITY + 1));
    drain_texts(&hub);

    // A record that is too big for a chunk is as much as it has bytes.
    assert!(hub.sleep(3 * CAPACITY));
    writers[0].push(*b"", &[0; 4 * CAPACITY]).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_drain_takes_the_sleep_back() {
    let hub = hub_of(20);
    let calls = count_calls(&hub);
    assert!(hub.sleep(0));
    drain_texts(&hub);
    hub.writer().push(*b"", b"takes a chunk").unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[test]
fn who_wants_to_sleep_is_told_what_was_missed() {
    let hub = hub_of(20);
    drain_texts(&hub);
    hub.writer().push(*b"", b"takes a chunk").unwrap();
    assert!(!hub.sleep(0));
    assert_eq!(drain_texts(&hub).len(), 1);
    assert!(hub.sleep(0));
}

#[test]
fn a_writer_without_memory_wakes_the_sleeper() {
    let hub = hub_of(1);
    let calls = count_calls(&hub);
    let mut writer = hub.writer();
    writer.push(*b"", &[0; CAPACITY - 8]).unwrap();
    hub.drain(|_| ControlFlow::Continue(()));
    for calls_then in 1..10 {
        // However much it wants, and however often there is none.
        assert!(hub.sleep(usize::MAX));
        for _ in 0..calls_then {
            assert!(writer.push(*b"", &[0; CAPACITY - 8]).is_err());
        }
        assert_eq!(calls.load(Ordering::SeqCst), calls_then);
        assert!(!hub.sleep(usize::MAX));
        hub.drain(|_| ControlFlow::Break(()));
    }
}

#[test]
fn a_hub_without_a_waker_may_sleep_too() {
    let hub = hub_of(2);
    assert!(hub.sleep(0));
    hub.writer().push(*b"", b"takes a chunk").unwrap();
    assert_eq!(drain_texts(&hub).len(), 1);
}

#[test]
fn a_consumer_that_only_sleeps_and_drains_gets_every_chunk() {
    let hub = hub_of(4);
    let consumer = {
        let hub = hub.clone();
        thread::spawn(move || {
            let me = thread::current();
            hub.set_waker(Box::new(move || me.unpark()));
            let mut records = 0;
            // Parks without a timeout: a lost wake-up would hang the test.
            while records < 20_000 {
                records += hub.drain(|_| ControlFlow::Continue(())).records;
                if records < 20_000 && hub.sleep(0) {
                    thread::park();
                }
            }
        })
    };
    // Each record takes a whole chunk, so none may wait unannounced.
    let mut writer = hub.writer();
    for _ in 0..20_000 {
        while writer.push(*b"", &[0; CAPACITY - 4]).is_err() {
            thread::yield_now();
        }
    }
    consumer.join().unwrap();
}
