//! What one log does, case by case.

use bytes::Bytes;

use super::memory::{Memory, Operation};
use crate::exporter::Batch;
use crate::spool::log::{Bounds, Fate, Log};
use crate::spool::stats::SpoolHandle;

const BOUNDS: Bounds = Bounds {
    bytes: 10_000,
    segment_bytes: 1000,
    unsynced_bytes: 0,
};

fn batch(number: u8) -> Batch {
    Batch::new(Bytes::from(vec![number; 100]), 2)
}

fn open(disk: &Memory, bounds: Bounds) -> (Log<Memory>, SpoolHandle) {
    let counts = SpoolHandle::default();
    let log = Log::open(disk.clone(), bounds, counts.clone()).unwrap();
    (log, counts)
}

fn append(log: &mut Log<Memory>, counts: &SpoolHandle, numbers: impl IntoIterator<Item = u8>) {
    for number in numbers {
        log.append(&batch(number)).unwrap();
        counts.accept(2);
    }
}

fn take_all(log: &mut Log<Memory>) -> Vec<u8> {
    let mut numbers = Vec::new();
    while let Some(batch) = log.head().unwrap() {
        numbers.push(batch.request()[0]);
        log.settle(2, Fate::Delivered { rejected: 0 });
    }
    numbers
}

#[test]
fn a_flip_of_any_bit_costs_one_record_at_most_and_is_counted() {
    let disk = Memory::default();
    let (mut log, counts) = open(&disk, BOUNDS);
    append(&mut log, &counts, 0..4);
    drop(log);
    let name = disk.disk().names().remove(0);
    let sound = disk.disk().content(&name).clone();
    for bit in 0..sound.len() * 8 {
        let disk = Memory::default();
        disk.disk().put(&name, &sound);
        disk.disk().content(&name)[bit / 8] ^= 1 << (bit % 8);
        let (mut log, counts) = open(&disk, BOUNDS);
        let numbers = take_all(&mut log);
        let stats = counts.stats();
        assert!(numbers.len() >= 3, "bit {bit}: {numbers:?}");
        if numbers.len() == 3 {
            assert_eq!(stats.corrupt_records, 1, "bit {bit}");
        }
        assert_eq!(stats.earlier.waiting(), 0);
        assert_eq!(disk.disk().bytes(), 0);
    }
}

#[test]
fn a_write_torn_at_any_byte_leaves_nothing_that_is_read() {
    for torn_at in 0..150 {
        let disk = Memory::default();
        let (mut log, counts) = open(&disk, BOUNDS);
        append(&mut log, &counts, 0..2);
        let before = disk.disk().bytes();
        disk.disk().tear_at(torn_at);
        disk.disk().fail(Operation::Write, 1);
        log.append(&batch(2)).unwrap_err();
        assert_eq!(disk.disk().bytes(), before);
        append(&mut log, &counts, 3..4);

        // And where the process ends in the middle of it.
        disk.disk().kill_in(1);
        log.append(&batch(4)).unwrap_err();
        disk.disk().restart();
        let (mut log, counts) = open(&disk, BOUNDS);
        let numbers = take_all(&mut log);
        let whole = torn_at >= 124;
        assert_eq!(numbers[..3], [0, 1, 3], "{torn_at}");
        assert_eq!(numbers.len(), 3 + usize::from(whole), "{torn_at}");
        let torn = u64::from(torn_at > 0 && !whole);
        assert_eq!(counts.stats().corrupt_records, torn, "{torn_at}");
    }
}

#[test]
fn a_record_that_could_be_neither_written_nor_cut_off_is_not_read() {
    let disk = Memory::default();
    let (mut log, counts) = open(&disk, BOUNDS);
    append(&mut log, &counts, 0..2);
    disk.disk().tear_at(1000);
    disk.disk().fail(Operation::Write, 1);
    disk.disk().fail(Operation::Truncate, 1);
    log.append(&batch(2)).unwrap_err();
    append(&mut log, &counts, 3..4);
    assert_eq!(disk.disk().names().len(), 2, "nothing is put behind it");
    assert_eq!(take_all(&mut log), [0, 1, 3]);
}

#[test]
fn what_is_not_known_to_be_on_the_disk_is_not_accepted() {
    let disk = Memory::default();
    let (mut log, counts) = open(&disk, BOUNDS);
    append(&mut log, &counts, 0..2);
    disk.disk().fail(Operation::Sync, 1);
    log.append(&batch(2)).unwrap_err();
    append(&mut log, &counts, 3..4);
    assert_eq!(counts.stats().failures.get("sync"), 1);
    drop(log);
    let mut chance = fastrand::Rng::with_seed(1);
    disk.disk().lose_power(&mut chance);
    let (mut log, _) = open(&disk, BOUNDS);
    assert_eq!(take_all(&mut log), [0, 1, 3]);
}

#[test]
fn a_loss_of_power_costs_what_was_not_synced() {
    let bounds = Bounds {
        unsynced_bytes: 3 * 124,
        ..BOUNDS
    };
    for seed in 0..200 {
        let disk = Memory::default();
        let (mut log, counts) = open(&disk, bounds);
        append(&mut log, &counts, 0..20);
        drop(log);
        let mut chance = fastrand::Rng::with_seed(seed);
        disk.disk().lose_power(&mut chance);
        let (mut log, _) = open(&disk, bounds);
        let numbers = take_all(&mut log);
        assert!(numbers.len() >= 17, "{numbers:?}");
        assert_eq!(numbers[..17], (0..17).collect::<Vec<u8>>());
    }
}

#[test]
fn what_killed_processes_left_unsynced_does_not_add_up() {
    let bounds = Bounds {
        unsynced_bytes: 2 * 124,
        ..BOUNDS
    };
    for seed in 0..200 {
        let disk = Memory::default();
        for process in 0..5 {
            let (mut log, counts) = open(&disk, bounds);
            append(&mut log, &counts, process * 2..process * 2 + 2);
        }
        let mut chance = fastrand::Rng::with_seed(seed);
        disk.disk().lose_power(&mut chance);
        let (mut log, _) = open(&disk, bounds);
        let numbers = take_all(&mut log);
        assert!(numbers.len() >= 8, "{numbers:?}");
        assert_eq!(numbers[..8], (0..8).collect::<Vec<u8>>());
    }
}

#[test]
fn a_record_that_was_delivered_is_not_delivered_by_the_next_process() {
    let disk = Memory::default();
    let (mut log, counts) = open(&disk, BOUNDS);
    append(&mut log, &counts, 0..4);
    for _ in 0..2 {
        log.head().unwrap().unwrap();
        log.settle(2, Fate::Delivered { rejected: 0 });
    }
    let (mut log, counts) = open(&disk, BOUNDS);
    assert_eq!(take_all(&mut log), [2, 3]);
    assert_eq!(counts.stats().earlier.accepted, 4);
}

#[test]
fn files_of_others_are_left_alone() {
    let disk = Memory::default();
    let names = [
        "lock",
        "notes.txt",
        ".spool",
        "a-b.spool",
        "0000000000000001-000000000000000g.spool",
        "0000000000000001-0000000000000002.spool.tmp",
        "+000000000000001-0000000000000002.spool",
    ];
    for name in names {
        disk.disk().put(name, b"of somebody else");
    }
    let (mut log, counts) = open(&disk, BOUNDS);
    append(&mut log, &counts, 0..1);
    assert_eq!(take_all(&mut log), [0]);
    assert_eq!(disk.disk().names().len(), names.len());
}

#[test]
fn a_lower_bound_holds_at_once() {
    let disk = Memory::default();
    let (mut log, counts) = open(&disk, BOUNDS);
    append(&mut log, &counts, 0..60);
    let bounds = Bounds {
        bytes: 2000,
        ..BOUNDS
    };
    let (mut log, counts) = open(&disk, bounds);
    assert!(disk.disk().bytes() <= 2000);
    let numbers = take_all(&mut log);
    assert_eq!(numbers.last(), Some(&59));
    let stats = counts.stats();
    assert_eq!(
        stats.earlier.dropped.get("spool_full"),
        120 - 2 * numbers.len() as u64
    );
    assert_eq!(stats.earlier.accepted, 120);
}

#[test]
fn room_is_made_while_the_oldest_batch_is_being_delivered() {
    for delivered in [true, false] {
        let disk = Memory::default();
        let (mut log, counts) = open(&disk, BOUNDS);
        append(&mut log, &counts, 0..80);
        log.head().unwrap().unwrap();
        append(&mut log, &counts, 80..90);
        if delivered {
            log.settle(2, Fate::Delivered { rejected: 0 });
        } else {
            log.put_back();
        }
        let stats = counts.stats();
        assert_eq!(stats.own.delivered, if delivered { 2 } else { 0 });
        let rest = take_all(&mut log);
        let stats = counts.stats();
        assert_eq!(stats.own.waiting(), 0);
        let gone = 180 - 2 * rest.len() as u64;
        assert_eq!(
            stats.own.dropped.get("spool_full"),
            gone - if delivered { 2 } else { 0 }
        );
    }
}

#[test]
fn nothing_is_given_up_for_room_that_cannot_be_made() {
    let disk = Memory::default();
    let (mut log, counts) = open(&disk, BOUNDS);
    let mut number = 0;
    while disk.disk().bytes() + 124 <= BOUNDS.bytes {
        append(&mut log, &counts, number..number + 1);
        number += 1;
    }
    disk.disk().fail(Operation::Remove, 1);
    disk.disk().fail(Operation::Truncate, 1);
    let error = log.append(&batch(number)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5));
    let all: Vec<u8> = (0..number).collect();
    assert_eq!(take_all(&mut log), all);
    assert_eq!(counts.stats().own.dropped.total(), 0);
}

#[test]
fn a_batch_larger_than_the_spool_is_refused_and_costs_nobody() {
    let disk = Memory::default();
    let (mut log, counts) = open(&disk, BOUNDS);
    append(&mut log, &counts, 0..3);
    let huge = Batch::new(Bytes::from(vec![9; 10_000]), 1);
    log.append(&huge).unwrap_err();
    // One that is larger than a segment has one to itself.
    let large = Batch::new(Bytes::from(vec![8; 5000]), 1);
    log.append(&large).unwrap();
    assert_eq!(take_all(&mut log), [0, 1, 2, 8]);
}
