//! The interleavings of the threads around one destination, under the model checker:
//!
//! ```text
//! RUSTFLAGS="--cfg throughline_loom" cargo test -p throughline-export --release --lib destination::model
//! ```
//!
//! A wake-up that is lost is a thread that never ends, which the checker tells. An
//! interleaving has at most two switches away from a thread that could go on.

use loom::future::block_on;
use loom::thread::{self, JoinHandle};
use throughline_core::diagnostics;

use super::*;

/// A call of the exporter is overdue from then on.
const LONG: Duration = Duration::from_secs(60);

fn model(check: impl Fn(&Arc<Destination>) + Send + Sync + 'static) {
    diagnostics::set_sink(Some(Arc::new(|_, _| {})));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let capacity = Capacity {
            spans: 100,
            bytes: 1000,
        };
        let name = "somewhere".to_owned();
        check(&Arc::new(Destination::new(
            name,
            None,
            capacity,
            Arc::default(),
        )));
    });
}

fn offer(destination: &Destination, spans: u64) {
    destination.offer(Batch::new(bytes::Bytes::from_static(b"x"), spans));
}

/// What the export thread does, with an exporter that accepts everything. Returns the
/// number of the last flush, and how many spans were counted when it came.
fn export(destination: &Arc<Destination>) -> JoinHandle<Option<(u64, u64)>> {
    let destination = Arc::clone(destination);
    thread::spawn(move || {
        let mut flushed = None;
        loop {
            match block_on(destination.pop()) {
                Item::Batch(batch) => {
                    destination.calling(Instant::now());
                    if destination.returned() {
                        destination.exported(batch.spans(), &Ok(Receipt::complete()));
                    }
                    destination.settle();
                }
                Item::Flush(number) => flushed = Some((number, counted(&destination))),
                Item::Close => return flushed,
            }
        }
    })
}

/// The spans whose fate is known.
fn counted(destination: &Destination) -> u64 {
    let counts = destination.counts();
    counts.exported + counts.failed.total() + counts.dropped.total()
}

fn assert_settled(destination: &Destination, offered: u64) {
    assert_eq!(destination.counts().in_flight, 0);
    assert_eq!(counted(destination), offered);
    assert!(destination.is_idle());
}

#[test]
fn a_flush_is_answered_when_all_before_it_is_counted() {
    model(|destination| {
        let thread = export(destination);
        offer(destination, 10);
        destination.push(Item::Flush(7));
        offer(destination, 20);
        destination.push(Item::Close);
        let (number, counted) = thread.join().expect("it ends").expect("a flush");
        assert_eq!((number, counted), (7, 10));
        assert_settled(destination, 30);
    });
}

#[test]
fn a_drain_that_waits_for_room_hears_of_it() {
    model(|destination| {
        offer(destination, 100);
        destination.push(Item::Close);
        let thread = export(destination);
        let has_room = || destination.room().spans > 0;
        while !has_room() {
            destination.await_settled();
            if !has_room() {
                destination.bell.wait(LONG);
            }
        }
        thread.join().expect("it ends");
        assert_settled(destination, 100);
    });
}

#[test]
fn a_drain_that_waits_for_the_last_batch_hears_of_it() {
    model(|destination| {
        offer(destination, 10);
        offer(destination, 20);
        destination.push(Item::Close);
        let thread = export(destination);
        while !destination.is_idle() {
            destination.bell.wait(LONG);
        }
        thread.join().expect("it ends");
        assert_settled(destination, 30);
    });
}

#[test]
fn a_shutdown_whose_time_is_over_counts_every_span_once() {
    model(|destination| {
        let thread = export(destination);
        offer(destination, 10);
        offer(destination, 20);
        destination.abandon();
        assert!(thread.join().expect("it ends").is_none());
        assert_settled(destination, 30);
    });
}

#[test]
fn a_call_that_is_given_up_while_it_returns_is_counted_once() {
    model(|destination| {
        offer(destination, 10);
        destination.push(Item::Close);
        let thread = export(destination);
        destination.supervise(Instant::now() + LONG);
        thread.join().expect("it ends");
        assert!(!destination.is_blocked());
        assert_settled(destination, 10);
    });
}

#[test]
fn a_shutdown_ends_what_is_given_up_too() {
    model(|destination| {
        offer(destination, 10);
        let thread = export(destination);
        destination.supervise(Instant::now() + LONG);
        destination.abandon();
        thread.join().expect("it ends");
        assert_settled(destination, 10);
    });
}
