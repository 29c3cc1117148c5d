//! The interleavings of flushes and shutdowns with the pipeline's threads, under the model
//! checker:
//!
//! ```text
//! RUSTFLAGS="--cfg throughline_loom" cargo test -p throughline-export --release --lib lifecycle::model
//! ```
//!
//! No wait ends by itself here, so a caller whom nobody answers is a thread that never ends,
//! which the checker tells. An interleaving has at most two switches away from a thread that
//! could go on, and one where a flush meets another or a shutdown, which would take minutes.
//!
//! The code is the one that ships: what callers do, the queue of the destination, the
//! restart of a thread that panicked, and what the drain does once it has taken what there
//! is. Only the recorder's buffers are a number here, and the exporter accepts everything.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::future::block_on;
use loom::thread::{self, JoinHandle};
use throughline_core::diagnostics;

use super::*;
use crate::exporter::{Batch, Receipt};
use crate::queue::Capacity;
use crate::thread::{repeat, supervise};

/// Where a thread of the pipeline panics, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    /// The export thread, with a batch in flight.
    BeforeExport,
    /// The export thread, when the batch is counted and not settled.
    AfterExport,
    /// The export thread, when it was asked for a flush.
    InFlush,
    /// The drain thread, when it has asked for wishes and taken nothing.
    BeforeOffer,
    /// The drain thread, when it has offered what the wishes are about.
    AfterOffer,
}

struct Pipeline {
    lifecycle: Lifecycle,
    /// Spans that ended and were not taken yet. Not the checker's: what surrounds its
    /// reads and writes is, so that their order varies all the same.
    recorded: AtomicU64,
    defect: Defect,
}

impl Pipeline {
    fn record(&self, spans: u64) {
        self.recorded.fetch_add(spans, Ordering::SeqCst);
    }

    fn flush(&self) -> FlushReport {
        answered(self.lifecycle.flush(FOREVER))
    }

    fn shutdown(&self) -> FlushReport {
        answered(self.lifecycle.shutdown(FOREVER))
    }

    /// Exported and failed spans.
    fn settled(&self) -> (u64, u64) {
        let counts = self.lifecycle.destinations[0].counts();
        assert_eq!((counts.in_flight, counts.dropped.total()), (0, 0));
        (counts.exported, counts.failed.total())
    }

    fn panic_at(&self, here: Defect, armed: &Cell<bool>) {
        if self.defect == here && armed.replace(false) {
            // Without the hook, which would print.
            resume_unwind(Box::new("as the model wants it"));
        }
    }

    /// What the drain thread does.
    fn drain(&self) {
        let armed = Cell::new(true);
        let mut passed_on = 0;
        let run = || {
            loop {
                let wishes = self.lifecycle.wishes();
                self.panic_at(Defect::BeforeOffer, &armed);
                let spans = self.recorded.swap(0, Ordering::SeqCst);
                if spans > 0 {
                    let batch = Batch::new(bytes::Bytes::from_static(b"x"), spans);
                    self.lifecycle.destinations[0].offer(batch);
                }
                self.panic_at(Defect::AfterOffer, &armed);
                if self.lifecycle.pass_on(wishes, &mut passed_on) {
                    return;
                }
                self.lifecycle.supervise(wishes.flush);
                self.lifecycle.bell.wait(IDLE_WAIT);
            }
        };
        // The rest ends by itself, and not by a ring that was meant for the loop.
        repeat(run, || {}, thread::yield_now);
        self.lifecycle.stopped();
    }

    /// What the export thread does.
    fn export(&self) {
        let armed = Cell::new(true);
        let destination = &self.lifecycle.destinations[0];
        let run = || {
            loop {
                match block_on(destination.pop()) {
                    Item::Batch(batch) => {
                        destination.calling(Instant::now() + FOREVER);
                        self.panic_at(Defect::BeforeExport, &armed);
                        if destination.returned() {
                            destination.exported(batch.spans(), &Ok(Receipt::complete()));
                        }
                        self.panic_at(Defect::AfterExport, &armed);
                        destination.settle();
                    }
                    Item::Flush(number) => {
                        self.panic_at(Defect::InFlush, &armed);
                        self.lifecycle.flushed(0, number, true);
                    }
                    Item::Close => return,
                }
            }
        };
        supervise(destination.awaited(), run, || self.lifecycle.unwound(0));
        self.lifecycle.ended(0, true);
    }
}

fn answered(report: FlushReport) -> FlushReport {
    assert!(!report.timed_out, "{report}");
    report
}

/// Checks what callers see of a pipeline whose threads run, and that these end.
fn model(defect: Defect, switches: usize, check: impl Fn(&Arc<Pipeline>) + Send + Sync + 'static) {
    diagnostics::set_sink(Some(Arc::new(|_, _| {})));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(move || {
        let capacity = Capacity {
            spans: 100,
            bytes: 1000,
        };
        let bell = Arc::<Bell>::default();
        let name = "somewhere".to_owned();
        let destination = Destination::new(name, None, capacity, Arc::clone(&bell));
        let pipeline = Arc::new(Pipeline {
            lifecycle: Lifecycle::new(bell, vec![Arc::new(destination)], || 0),
            recorded: AtomicU64::new(0),
            defect,
        });
        let threads = [
            spawn(&pipeline, Pipeline::drain),
            spawn(&pipeline, Pipeline::export),
        ];
        check(&pipeline);
        for thread in threads {
            thread.join().expect("it ends");
        }
    });
}

fn spawn<T: 'static>(pipeline: &Arc<Pipeline>, run: fn(&Pipeline) -> T) -> JoinHandle<T> {
    let pipeline = Arc::clone(pipeline);
    thread::spawn(move || run(&pipeline))
}

/// What a report counts.
fn counts(report: &FlushReport) -> (u64, u64, u64) {
    (report.exported, report.failed, report.dropped)
}

#[test]
fn reports_one_after_the_other_count_each_span_once() {
    model(Defect::None, 2, |pipeline| {
        pipeline.record(10);
        assert_eq!(counts(&pipeline.flush()), (10, 0, 0));
        pipeline.record(20);
        assert_eq!(counts(&pipeline.shutdown()), (20, 0, 0));
        assert_eq!(pipeline.settled(), (30, 0));
    });
}

#[test]
fn flushes_at_the_same_time_are_both_answered_with_what_was_there_before_each() {
    model(Defect::None, 1, |pipeline| {
        pipeline.record(10);
        let other = spawn(pipeline, |pipeline| {
            pipeline.record(20);
            pipeline.flush()
        });
        let one = pipeline.flush();
        let other = other.join().expect("it is answered");
        // One that began when the other was over tells of the rest, or of nothing.
        assert!(matches!(
            (one.exported, other.exported),
            (10, 20) | (10, 30) | (30, 30) | (30, 0) | (0, 30)
        ));
        assert_eq!(pipeline.settled(), (30, 0));
        // The two have told of everything.
        assert_eq!(counts(&pipeline.shutdown()), (0, 0, 0));
    });
}

#[test]
fn a_flush_and_a_shutdown_at_the_same_time_are_both_answered() {
    model(Defect::None, 1, |pipeline| {
        pipeline.record(10);
        let shutdown = spawn(pipeline, Pipeline::shutdown);
        let flush = pipeline.flush();
        let shutdown = shutdown.join().expect("it is answered");
        // Whoever began when the other was over has nothing to tell.
        assert!(matches!(
            (flush.exported, shutdown.exported),
            (10, 10) | (10, 0) | (0, 10)
        ));
        assert_eq!(pipeline.settled(), (10, 0));
    });
}

#[test]
fn shutdowns_at_the_same_time_return_the_same() {
    model(Defect::None, 2, |pipeline| {
        pipeline.record(10);
        let other = spawn(pipeline, Pipeline::shutdown);
        let one = pipeline.shutdown();
        assert_eq!(counts(&one), (10, 0, 0));
        assert_eq!(other.join().expect("it is answered"), one);
        // After that there is nothing to wait for, and nothing to tell.
        assert_eq!(pipeline.shutdown(), one);
        assert_eq!(counts(&pipeline.flush()), (0, 0, 0));
    });
}

/// Spans of which each flush and the shutdown tell, with a thread that dies.
fn with_a_thread_that_dies(defect: Defect, expected: (u64, u64)) {
    model(defect, 1, move |pipeline| {
        pipeline.record(10);
        let shutdown = spawn(pipeline, Pipeline::shutdown);
        let flush = pipeline.flush();
        let shutdown = shutdown.join().expect("it is answered");
        let told = |report: &FlushReport| (report.exported, report.failed);
        for report in [told(&flush), told(&shutdown)] {
            assert!(report == expected || report == (0, 0), "{report:?}");
        }
        assert!(told(&flush) == expected || told(&shutdown) == expected);
        assert_eq!(pipeline.settled(), expected);
    });
}

#[test]
fn an_export_thread_that_dies_loses_its_batch_and_nothing_else() {
    with_a_thread_that_dies(Defect::BeforeExport, (0, 10));
}

#[test]
fn an_export_thread_that_dies_after_a_batch_loses_nothing() {
    with_a_thread_that_dies(Defect::AfterExport, (10, 0));
}

#[test]
fn an_export_thread_that_dies_in_a_flush_has_failed_that_flush() {
    model(Defect::InFlush, 2, |pipeline| {
        pipeline.record(10);
        let flush = pipeline.flush();
        assert_eq!(counts(&flush), (10, 0, 0));
        assert!(flush.exporter_failed);
        let next = pipeline.flush();
        assert!(next.is_complete(), "{next}");
        assert!(pipeline.shutdown().is_complete());
    });
}

#[test]
fn a_drain_that_dies_loses_nothing() {
    for defect in [Defect::BeforeOffer, Defect::AfterOffer] {
        with_a_thread_that_dies(defect, (10, 0));
    }
}

#[test]
fn a_shutdown_waits_for_the_last_metrics() {
    model(Defect::None, 2, |pipeline| {
        pipeline.lifecycle.metrics_are_due(true);
        pipeline.record(10);
        let sender = spawn(pipeline, |pipeline| {
            assert!(pipeline.lifecycle.closes_within(FOREVER));
            assert!(pipeline.lifecycle.wait_for_threads().is_some());
            let last = pipeline.settled();
            pipeline.lifecycle.metrics_are_due(false);
            last
        });
        assert_eq!(counts(&pipeline.shutdown()), (10, 0, 0));
        assert_eq!(sender.join().expect("it ends"), (10, 0));
    });
}
