use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;

use throughline_ring::{Hub, Writer};

use crate::{CHUNK, drain_texts, hub_of};

#[test]
fn ten_thousand_short_threads_fit_a_small_bound() {
    const THREADS: usize = 10_000;
    const AT_ONCE: usize = 8;
    let hub = hub_of(AT_ONCE);
    let mut delivered = 0;
    for _ in 0..THREADS / AT_ONCE {
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let hub = hub.clone();
                thread::spawn(move || {
                    let mut writer = hub.writer();
                    for number in 0..3_u8 {
                        writer.push([number], b"from a short thread").unwrap();
                        writer.tally(0, 1);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        delivered += hub.drain(|_| ControlFlow::Continue(())).records;
    }
    assert_eq!(delivered, 3 * THREADS);
    assert_eq!(hub.tally(0), 3 * THREADS as u64);
    assert!(hub.allocated_bytes() <= AT_ONCE * CHUNK);

    // All of it is free again: one writer can have the whole bound.
    let mut writer = hub.writer();
    for _ in 0..AT_ONCE {
        writer.push([], &[0; CHUNK - 70]).unwrap();
    }
}

#[test]
fn short_threads_and_a_busy_consumer_lose_nothing() {
    let hub = hub_of(6);
    let producers: Vec<_> = (0..4)
        .map(|_| {
            let hub = hub.clone();
            thread::spawn(move || {
                for _ in 0..500 {
                    let hub = hub.clone();
                    let short = thread::spawn(move || {
                        let mut writer = hub.writer();
                        for _ in 0..5 {
                            while writer.push(*b"", &[b'r'; 300]).is_err() {
                                thread::yield_now();
                            }
                            writer.tally(1, 1);
                        }
                    });
                    short.join().unwrap();
                }
            })
        })
        .collect();
    let mut delivered = 0;
    while !producers.iter().all(thread::JoinHandle::is_finished) {
        delivered += hub.drain(|_| ControlFlow::Continue(())).records;
        assert!(hub.tally(1) <= 4 * 500 * 5);
    }
    for producer in producers {
        producer.join().unwrap();
    }
    delivered += hub.drain(|_| ControlFlow::Continue(())).records;
    assert_eq!(delivered, 4 * 500 * 5);
    assert_eq!(hub.tally(1), 4 * 500 * 5);
}

thread_local! {
    static WRITER: RefCell<Option<Writer>> = const { RefCell::new(None) };
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

/// Writes once more when its thread-local is destroyed: through the thread's
/// writer if that still exists, through a fresh one otherwise.
struct Late(Arc<Hub>);

impl Drop for Late {
    fn drop(&mut self) {
        let through_the_old = WRITER.try_with(|writer| {
            let mut writer = writer.borrow_mut();
            let writer = writer.as_mut().expect("set before this was");
            writer.push(*b"late, ", b"old writer").unwrap();
            writer.tally(0, 1);
        });
        if through_the_old.is_err() {
            let mut writer = self.0.writer();
            writer.push(*b"late, ", b"fresh writer").unwrap();
            writer.tally(0, 1);
            drop(writer);
            // The consumer's side works here as well.
            assert!(self.0.tally(0) >= 2);
        }
    }
}

fn set_writer(hub: &Arc<Hub>) {
    let mut writer = hub.writer();
    writer.push(*b"in time", b"").unwrap();
    writer.tally(0, 1);
    WRITER.set(Some(writer));
}

#[test]
fn a_thread_local_destroyed_before_the_writer_writes_through_it() {
    let hub = hub_of(8);
    let on_thread = hub.clone();
    thread::spawn(move || {
        // Destroyed in reverse order of their first use.
        set_writer(&on_thread);
        LATE.set(Some(Late(on_thread)));
    })
    .join()
    .unwrap();
    assert_eq!(drain_texts(&hub), ["in time", "late, old writer"]);
    assert_eq!(hub.tally(0), 2);
}

#[test]
fn a_thread_local_destroyed_after_the_writer_writes_through_a_fresh_one() {
    let hub = hub_of(8);
    let on_thread = hub.clone();
    thread::spawn(move || {
        LATE.set(Some(Late(on_thread.clone())));
        set_writer(&on_thread);
    })
    .join()
    .unwrap();
    let mut texts = drain_texts(&hub);
    texts.sort_unstable();
    assert_eq!(texts, ["in time", "late, fresh writer"]);
    assert_eq!(hub.tally(0), 2);
}

#[test]
fn a_drain_works_in_a_thread_local_destructor() {
    struct DrainsLate(Arc<Hub>);
    impl Drop for DrainsLate {
        fn drop(&mut self) {
            assert_eq!(drain_texts(&self.0), ["in time"]);
            let nested = self.0.drain(|_| ControlFlow::Continue(()));
            assert_eq!(nested.records, 0);
        }
    }
    thread_local!(static DRAINS: RefCell<Option<DrainsLate>> = const { RefCell::new(None) });

    let hub = hub_of(8);
    thread::spawn(move || {
        DRAINS.set(Some(DrainsLate(hub.clone())));
        set_writer(&hub);
    })
    .join()
    .expect("an assertion in a destructor would abort");
}
