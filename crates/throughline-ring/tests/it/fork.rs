#![expect(unsafe_code, reason = "fork, waitpid and _exit are foreign functions")]

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use throughline_ring::{TALLIES, fork_generation};

use crate::{CHUNK, drain_texts, hub_of};

/// Seconds after which a child that hangs is killed.
const CHILD_TIMEOUT_SECONDS: u32 = 20;

/// Forks, runs `child` in the child, and says whether it ended well there.
/// What `child` returns is its verdict; a panic or a hang is a `false`.
fn in_child(child: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs only code that is meant to work after a fork, and
    // leaves by `_exit`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        // SAFETY: no handler is set, so the signal just ends the child.
        unsafe { libc::alarm(CHILD_TIMEOUT_SECONDS) };
        let good = catch_unwind(AssertUnwindSafe(child)).unwrap_or(false);
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(i32::from(!good)) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child, with a valid place for its status.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    waited == pid && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

#[test]
fn a_child_starts_empty_and_the_parent_goes_on() {
    let hub = hub_of(64);
    let mut writer = hub.writer();
    writer.push(*b"", b"parent's").unwrap();
    writer.tally(0, 5);
    let generation = fork_generation();
    let good = in_child(|| {
        assert_eq!(fork_generation(), generation + 1);
        assert!(hub.is_stale());
        assert_eq!(hub.tallies(), [0; TALLIES]);
        assert!(!hub.is_stale(), "the first use renews");
        assert_eq!(hub.allocated_bytes(), 0);
        assert_eq!(drain_texts(&hub).len(), 0);
        writer.push(*b"", b"child's").unwrap();
        writer.tally(1, 1);
        assert_eq!(hub.tallies()[..2], [0, 1]);
        assert_eq!(hub.allocated_bytes(), CHUNK);
        drain_texts(&hub) == ["child's"]
    });
    assert!(good);
    assert_eq!(fork_generation(), generation);
    assert!(!hub.is_stale());
    writer.push(*b"", b"parent's again").unwrap();
    assert_eq!(drain_texts(&hub), ["parent's", "parent's again"]);
    assert_eq!(hub.tally(0), 5);
}

#[test]
fn each_kind_of_first_use_in_a_child_finds_an_empty_hub() {
    let hub = hub_of(8);
    let mut writer = hub.writer();
    writer.push(*b"", b"parent's").unwrap();
    writer.tally(0, 5);
    assert!(in_child(|| {
        writer.tally(0, 1);
        hub.tally(0) == 1
    }));
    assert!(in_child(|| {
        writer.push(*b"", b"pushed first").unwrap();
        drain_texts(&hub) == ["pushed first"]
    }));
    assert!(in_child(|| {
        hub.writer().push(*b"", b"a new writer").unwrap();
        drain_texts(&hub) == ["a new writer"]
    }));
    assert!(in_child(
        || hub.sleep(0) && hub.drain(|_| ControlFlow::Continue(())).records == 0
    ));
}

#[test]
fn a_child_of_a_child_starts_empty_too() {
    let hub = hub_of(8);
    let mut writer = hub.writer();
    writer.push(*b"", b"parent's").unwrap();
    let generation = fork_generation();
    assert!(in_child(|| {
        writer.push(*b"", b"child's").unwrap();
        let grandchild_good = in_child(|| {
            writer.push(*b"", b"grandchild's").unwrap();
            fork_generation() == generation + 2 && drain_texts(&hub) == ["grandchild's"]
        });
        grandchild_good && drain_texts(&hub) == ["child's"]
    }));
    assert_eq!(drain_texts(&hub), ["parent's"]);
}

#[test]
fn inherited_writers_and_hubs_may_be_dropped_in_a_child() {
    let hub = hub_of(8);
    let mut writer = hub.writer();
    writer.push(*b"", b"parent's").unwrap();
    let mut writer = Some(writer);
    let mut only = Some(hub_of(8));
    let mut orphan = only.as_ref().map(|hub| hub.writer());
    assert!(in_child(|| {
        drop(writer.take());
        drop(only.take());
        // A writer whose hub is gone has nowhere to write to.
        let refused = orphan.as_mut().map(|writer| writer.push(*b"", b"lost"));
        drop(orphan.take());
        refused.is_some_and(|refused| refused.is_err()) && drain_texts(&hub).is_empty()
    }));
    drop(writer);
    assert_eq!(drain_texts(&hub), ["parent's"]);
}

#[test]
fn a_fork_while_other_threads_push_and_drain_leaves_both_sides_right() {
    let hub = hub_of(64);
    let stop = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = (0..3)
        .map(|_| {
            let (hub, stop) = (hub.clone(), stop.clone());
            thread::spawn(move || {
                let mut writer = hub.writer();
                while !stop.load(Ordering::Acquire) {
                    if writer.push([7; 16], &[8; 200]).is_ok() {
                        writer.tally(0, 1);
                    }
                }
            })
        })
        .collect();
    let consumer = {
        let (hub, stop) = (hub.clone(), stop.clone());
        thread::spawn(move || {
            let mut delivered = 0;
            while !stop.load(Ordering::Acquire) {
                delivered += hub.drain(|_| ControlFlow::Continue(())).records;
            }
            delivered
        })
    };
    let mut writer = hub.writer();
    for _ in 0..50 {
        while writer.push([7; 16], &[9; 200]).is_err() {
            thread::yield_now();
        }
        writer.tally(0, 1);
        let good = in_child(|| {
            for number in 0..100_u8 {
                writer.push([number], b"child's").unwrap();
                writer.tally(0, 1);
            }
            let mut next = 0_u8;
            hub.drain(|record| {
                assert_eq!((record[0], &record[1..]), (next, &b"child's"[..]));
                next += 1;
                ControlFlow::Continue(())
            });
            next == 100 && hub.tally(0) == 100
        });
        assert!(good);
    }
    stop.store(true, Ordering::Release);
    for producer in producers {
        producer.join().unwrap();
    }
    let mut delivered = consumer.join().unwrap();
    delivered += hub.drain(|_| ControlFlow::Continue(())).records;
    assert_eq!(delivered as u64, hub.tally(0));
}

#[test]
fn a_child_does_not_wait_for_a_drain_its_parent_was_in() {
    let hub = hub_of(8);
    let mut writer = hub.writer();
    writer.push(*b"", b"parent's").unwrap();
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let consumer = {
        let hub = hub.clone();
        thread::spawn(move || {
            hub.drain(|_| {
                entered.send(()).unwrap();
                may_leave.recv().unwrap();
                ControlFlow::Continue(())
            })
        })
    };
    has_entered.recv().unwrap();
    // The consumer's lock is held now, by a thread the child does not have.
    assert!(in_child(|| {
        writer.push(*b"", b"child's").unwrap();
        drain_texts(&hub) == ["child's"]
    }));
    leave.send(()).unwrap();
    assert_eq!(consumer.join().unwrap().records, 1);
}

#[test]
fn a_child_made_inside_a_drain_gets_no_more_of_the_parents_records() {
    let hub = hub_of(8);
    let mut writer = hub.writer();
    for text in [b"1", b"2", b"3"] {
        writer.push(*b"", text).unwrap();
    }
    let mut offered = 0;
    let mut child_good = None;
    let drained = hub.drain(|_| {
        offered += 1;
        if offered == 1 {
            // The nested drain of the child is not re-entrant: the state is new.
            child_good = Some(in_child(|| {
                writer.push(*b"", b"child's").unwrap();
                drain_texts(&hub) == ["child's"]
            }));
        }
        ControlFlow::Continue(())
    });
    assert_eq!(child_good, Some(true));
    assert_eq!((drained.records, offered), (3, 3));
}

#[test]
fn a_child_that_returns_into_the_parents_drain_stops_there() {
    let hub = hub_of(8);
    let mut writer = hub.writer();
    for text in [b"1", b"2", b"3"] {
        writer.push(*b"", text).unwrap();
    }
    let is_child = AtomicBool::new(false);
    let parent = std::process::id();
    let mut child = 0;
    let drained = hub.drain(|_| {
        if child == 0 {
            // SAFETY: the child leaves by `_exit` below.
            child = unsafe { libc::fork() };
            if std::process::id() != parent {
                is_child.store(true, Ordering::Relaxed);
            }
        }
        ControlFlow::Continue(())
    });
    if is_child.load(Ordering::Relaxed) {
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(i32::from(drained.records != 1)) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child, with a valid place for its status.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(
        (libc::WIFEXITED(status), libc::WEXITSTATUS(status)),
        (true, 0)
    );
    assert_eq!(drained.records, 3);
}
