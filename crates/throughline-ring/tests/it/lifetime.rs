use std::sync::Arc;
use std::thread;

use throughline_ring::{Full, Hub, TALLIES, Writer};

use crate::{CHUNK, drain_texts, hub_of};

/// Shows by its count whether the hub's state is gone: the waker goes with it.
fn probe(hub: &Hub) -> Arc<()> {
    let probe = Arc::new(());
    let held = probe.clone();
    hub.set_waker(Box::new(move || {
        let _ = &held;
    }));
    probe
}

fn is_gone(probe: &Arc<()>) -> bool {
    Arc::strong_count(probe) == 1
}

#[test]
fn writers_may_go_before_the_hub() {
    let hub = hub_of(8);
    let probe = probe(&hub);
    let mut writer = hub.writer();
    writer.push(*b"", b"kept").unwrap();
    drop(writer);
    assert_eq!(drain_texts(&hub), ["kept"]);
    drop(hub);
    assert!(is_gone(&probe));
}

#[test]
fn the_hub_may_go_before_its_writers() {
    let hub = hub_of(8);
    let probe = probe(&hub);
    let mut writer = hub.writer();
    let idle = hub.writer();
    writer.push(*b"", &[b'o'; 3 * CHUNK]).unwrap();
    writer.push(*b"", b"never read").unwrap();
    drop(hub);
    // What is left of the chunk can be written, after that there is no more.
    while writer.push(*b"", b"nobody reads this").is_ok() {}
    assert_eq!(writer.push(*b"", &[0; 100]), Err(Full));
    writer.tally(0, 1);
    drop(writer);
    assert!(!is_gone(&probe), "the other writer still holds the state");
    drop(idle);
    assert!(is_gone(&probe));
}

#[test]
fn undrained_records_go_with_the_hub() {
    let hub = hub_of(64);
    let probe = probe(&hub);
    for _ in 0..5 {
        let mut writer = hub.writer();
        for length in [0, 100, 3 * CHUNK, 500, 700] {
            writer.push(*b"", &vec![0; length]).unwrap();
        }
    }
    drop(hub);
    assert!(is_gone(&probe));
}

#[test]
fn hub_and_writer_may_go_at_the_same_time_on_different_threads() {
    for _ in 0..500 {
        let hub = hub_of(4);
        let probe = probe(&hub);
        let mut writer = hub.writer();
        let other = thread::spawn(move || {
            for _ in 0..20 {
                let _ = writer.push(*b"", &[1; 300]);
            }
        });
        drop(hub);
        other.join().unwrap();
        assert!(is_gone(&probe));
    }
}

#[test]
fn wakers_that_were_replaced_go_with_the_hub() {
    let hub = hub_of(4);
    let first = probe(&hub);
    let second = probe(&hub);
    drop(hub);
    assert!(is_gone(&first) && is_gone(&second));
}

#[test]
fn counts_outlive_the_writers_that_made_them() {
    let hub = hub_of(4);
    for round in 1..=10 {
        let writer = hub.writer();
        for index in 0..TALLIES {
            writer.tally(index, index as u64);
        }
        writer.tally(TALLIES, 1);
        drop(writer);
        let expected: Vec<u64> = (0..TALLIES as u64).map(|index| round * index).collect();
        assert_eq!(hub.tallies(), *expected);
    }
    assert_eq!(hub.tally(3), 30);
    assert_eq!(hub.tally(TALLIES), 0);
}

#[test]
fn a_writer_may_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Writer>();

    let hub = hub_of(4);
    let mut writer = hub.writer();
    for number in 0..10_u8 {
        writer = thread::spawn(move || {
            writer.push([b'0' + number], b"").unwrap();
            writer.tally(0, 1);
            writer
        })
        .join()
        .unwrap();
    }
    assert_eq!(drain_texts(&hub).concat(), "0123456789");
    assert_eq!(hub.tally(0), 10);
}

#[test]
fn a_writer_is_no_bigger_than_a_cache_line() {
    assert!(size_of::<Writer>() <= 64);
}
