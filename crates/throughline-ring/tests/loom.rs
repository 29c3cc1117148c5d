//! Every interleaving of small models, under the model checker:
//!
//! ```text
//! RUSTFLAGS="--cfg throughline_loom" cargo test -p throughline-ring --release --test loom
//! ```
//!
//! Besides what each model asserts, the checker fails on a chunk byte that is
//! read and written without an order between the two, on a deadlock, and on a
//! chunk that is never freed.

#![cfg(throughline_loom)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ops::ControlFlow;
use std::sync::Arc;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use throughline_ring::{Drained, Hub, HubConfig, Writer};

/// The smallest chunk: 64 bytes of records after 64 bytes of header.
const CHUNK: usize = 128;

fn hub(chunks: usize) -> Arc<Hub> {
    Hub::new(HubConfig {
        max_bytes: chunks * CHUNK,
        chunk_bytes: CHUNK,
    })
}

/// Two of these fill a chunk.
fn push_half(writer: &mut Writer, value: u8) -> bool {
    writer.push([value; 4], &[value; 24]).is_ok()
}

/// One of these fills a chunk.
fn push_whole(writer: &mut Writer, value: u8) -> bool {
    writer.push([value; 4], &[value; 56]).is_ok()
}

/// Checks every interleaving with at most `preemptions` switches away from a
/// thread that could go on: for models where all of them would take minutes.
fn model_bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn drain_into(hub: &Hub, values: &mut Vec<u8>) -> Drained {
    hub.drain(|record| {
        assert!(record.iter().all(|byte| *byte == record[0]), "torn record");
        values.push(record[0]);
        ControlFlow::Continue(())
    })
}

#[test]
fn publish_while_draining_delivers_each_record_once_in_order() {
    loom::model(|| {
        let hub = hub(1);
        let mut writer = hub.writer();
        let producer = thread::spawn(move || {
            assert!(push_half(&mut writer, 1));
            assert!(push_half(&mut writer, 2));
            writer
        });
        let mut values = Vec::new();
        drain_into(&hub, &mut values);
        let _writer = producer.join();
        drain_into(&hub, &mut values);
        assert_eq!(values, [1, 2]);
    });
}

#[test]
fn handing_over_chunks_while_draining_keeps_order() {
    model_bounded(3, || {
        let hub = hub(3);
        let mut writer = hub.writer();
        let producer = thread::spawn(move || {
            for value in 1..=3 {
                assert!(push_whole(&mut writer, value));
            }
            writer
        });
        let mut values = Vec::new();
        drain_into(&hub, &mut values);
        drain_into(&hub, &mut values);
        let _writer = producer.join();
        drain_into(&hub, &mut values);
        assert_eq!(values, [1, 2, 3]);
    });
}

#[test]
fn recycled_chunks_are_never_written_while_read() {
    loom::model(|| {
        // Two chunks for three records: the third needs a recycled one, and is
        // refused if the consumer has not got that far.
        let hub = hub(2);
        let mut writer = hub.writer();
        let producer = thread::spawn(move || {
            let mut accepted = Vec::new();
            for value in 1..=3 {
                if push_whole(&mut writer, value) {
                    accepted.push(value);
                }
            }
            (writer, accepted)
        });
        let mut values = Vec::new();
        drain_into(&hub, &mut values);
        let (_writer, accepted) = producer.join().unwrap();
        drain_into(&hub, &mut values);
        assert_eq!(values, accepted);
        assert!(values.len() >= 2);
        assert!(hub.allocated_bytes() <= hub.max_bytes());
    });
}

#[test]
fn a_chunk_moves_from_one_writer_to_another() {
    loom::model(|| {
        let hub = hub(2);
        let mut first = hub.writer();
        let mut second = hub.writer();
        assert!(push_whole(&mut first, 1));
        assert!(push_whole(&mut first, 2));
        let consumer = {
            let hub = hub.clone();
            thread::spawn(move || {
                let mut values = Vec::new();
                drain_into(&hub, &mut values);
                values
            })
        };
        let accepted = push_whole(&mut second, 3);
        let mut values = consumer.join().unwrap();
        drain_into(&hub, &mut values);
        values.sort_unstable();
        let expected: &[u8] = if accepted { &[1, 2, 3] } else { &[1, 2] };
        assert_eq!(values, expected);
    });
}

#[test]
fn thread_exit_while_draining_loses_nothing_and_returns_the_chunk() {
    loom::model(|| {
        let hub = hub(2);
        let mut writer = hub.writer();
        let producer = thread::spawn(move || {
            assert!(push_whole(&mut writer, 1));
            writer.tally(0, 1);
            assert!(push_whole(&mut writer, 2));
            writer.tally(0, 1);
        });
        let mut values = Vec::new();
        drain_into(&hub, &mut values);
        assert!(hub.tally(0) <= 2);
        producer.join().unwrap();
        drain_into(&hub, &mut values);
        assert_eq!(values, [1, 2]);
        assert_eq!(hub.tally(0), 2);

        // Both chunks are free again, and the lane serves another writer.
        let mut next = hub.writer();
        assert!(push_whole(&mut next, 3));
        assert!(push_whole(&mut next, 4));
        next.tally(0, 1);
        drain_into(&hub, &mut values);
        assert_eq!(values, [1, 2, 3, 4]);
        assert_eq!(hub.tally(0), 3);
    });
}

#[test]
fn a_record_written_just_before_thread_exit_is_not_lost() {
    loom::model(|| {
        let hub = hub(1);
        let mut writer = hub.writer();
        let producer = thread::spawn(move || {
            assert!(push_half(&mut writer, 1));
            // The fast path: nothing but this publishes it before the exit.
            assert!(push_half(&mut writer, 2));
        });
        let mut values = Vec::new();
        drain_into(&hub, &mut values);
        producer.join().unwrap();
        drain_into(&hub, &mut values);
        assert_eq!(values, [1, 2]);
    });
}

#[test]
fn a_lane_changes_hands_between_threads() {
    loom::model(|| {
        let hub = hub(1);
        let mut old = hub.writer();
        assert!(push_whole(&mut old, 1));
        old.tally(0, 1);
        drop(old);
        let successor = {
            let hub = hub.clone();
            thread::spawn(move || {
                let mut writer = hub.writer();
                let accepted = push_whole(&mut writer, 2);
                writer.tally(0, 1);
                accepted
            })
        };
        let mut values = Vec::new();
        drain_into(&hub, &mut values);
        let accepted = successor.join().unwrap();
        drain_into(&hub, &mut values);
        let expected: &[u8] = if accepted { &[1, 2] } else { &[1] };
        assert_eq!(values, expected);
        assert_eq!(hub.tally(0), 2);
    });
}

#[test]
fn a_flush_sees_all_that_was_published_before_it() {
    model_bounded(3, || {
        let hub = hub(2);
        let delivered = Arc::new(AtomicUsize::new(0));
        let published = Arc::new(AtomicBool::new(false));
        let count = |delivered: &AtomicUsize, hub: &Hub| {
            hub.drain(|_| {
                delivered.fetch_add(1, Ordering::Relaxed);
                ControlFlow::Continue(())
            });
        };
        let producer = {
            let (hub, published) = (hub.clone(), published.clone());
            thread::spawn(move || {
                // Registered here, so that a new lane is part of the question.
                let mut writer = hub.writer();
                assert!(push_whole(&mut writer, 1));
                published.store(true, Ordering::Release);
            })
        };
        let other_consumer = {
            let (hub, delivered) = (hub.clone(), delivered.clone());
            thread::spawn(move || count(&delivered, &hub))
        };
        if published.load(Ordering::Acquire) {
            count(&delivered, &hub);
            // Whoever of the two consumers got it, it has been delivered when
            // the flush returns.
            assert_eq!(delivered.load(Ordering::Relaxed), 1);
        }
        producer.join().unwrap();
        other_consumer.join().unwrap();
        count(&delivered, &hub);
        assert_eq!(delivered.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn writers_that_compete_for_the_last_chunk_stay_within_the_bound() {
    loom::model(|| {
        let hub = hub(1);
        let mut first = hub.writer();
        let mut second = hub.writer();
        let rival = thread::spawn(move || push_whole(&mut second, 2));
        let won = push_whole(&mut first, 1);
        assert!(hub.allocated_bytes() <= hub.max_bytes());
        let rival_won = rival.join().unwrap();
        assert!(won != rival_won, "exactly one gets the chunk");
        let mut values = Vec::new();
        drain_into(&hub, &mut values);
        assert_eq!(values, [if won { 1 } else { 2 }]);
    });
}

#[test]
fn an_oversize_record_is_handed_over_and_freed() {
    loom::model(|| {
        let hub = Hub::new(HubConfig {
            max_bytes: CHUNK + 100,
            chunk_bytes: CHUNK,
        });
        let mut writer = hub.writer();
        let producer = thread::spawn(move || {
            assert!(writer.push([7; 4], &[7; 96]).is_ok());
        });
        let mut values = Vec::new();
        drain_into(&hub, &mut values);
        producer.join().unwrap();
        drain_into(&hub, &mut values);
        assert_eq!(values, [7]);
        assert_eq!(hub.allocated_bytes(), CHUNK);
    });
}

#[test]
fn the_hub_may_go_while_a_writer_writes() {
    model_bounded(3, || {
        let hub = hub(2);
        let mut writer = hub.writer();
        let producer = thread::spawn(move || {
            for value in 1..=2 {
                push_whole(&mut writer, value);
            }
        });
        drop(hub);
        producer.join().unwrap();
    });
}

#[test]
fn a_sleeping_consumer_is_woken_for_a_chunk() {
    model_bounded(4, || {
        let hub = hub(2);
        let woken = Arc::new(WakeUp::default());
        {
            let woken = woken.clone();
            hub.set_waker(Box::new(move || woken.notify()));
        }
        let mut writer = hub.writer();
        let producer = thread::spawn(move || {
            assert!(push_whole(&mut writer, 1));
            assert!(push_whole(&mut writer, 2));
            writer
        });
        // Sleeps without a timeout: a lost wake-up is a deadlock, which fails
        // the model.
        let mut values = Vec::new();
        while values.len() < 2 {
            drain_into(&hub, &mut values);
            if values.len() < 2 && hub.sleep(0) {
                woken.wait();
            }
        }
        assert_eq!(values, [1, 2]);
        let _writer = producer.join();
        assert!(woken.calls() <= 2, "one call per sleep");
    });
}

#[test]
fn a_sleeping_consumer_is_woken_by_whoever_makes_it_enough() {
    model_bounded(3, || {
        let hub = hub(2);
        let woken = Arc::new(WakeUp::default());
        {
            let woken = woken.clone();
            hub.set_waker(Box::new(move || woken.notify()));
        }
        let writers = [hub.writer(), hub.writer()];
        let mut values = Vec::new();
        drain_into(&hub, &mut values);
        let producers = writers.map(|mut writer| {
            thread::spawn(move || {
                assert!(push_whole(&mut writer, 1));
                writer
            })
        });
        // Only both together are enough, and nobody else drains.
        if hub.sleep(CHUNK) {
            woken.wait();
        }
        drain_into(&hub, &mut values);
        assert_eq!(values, [1, 1]);
        let _writers = producers.map(thread::JoinHandle::join);
    });
}

/// A counter to wait on, made of what the checker knows.
#[derive(Default)]
struct WakeUp {
    state: Mutex<(bool, usize)>,
    changed: loom::sync::Condvar,
}

impl WakeUp {
    fn notify(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 = true;
        state.1 += 1;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut state = self.state.lock().unwrap();
        while !state.0 {
            state = self.changed.wait(state).unwrap();
        }
        state.0 = false;
    }

    fn calls(&self) -> usize {
        self.state.lock().unwrap().1
    }
}
