//! What goes where, and what is counted.

use std::future::{pending, ready};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::memory::{Memory, Operation};
use crate::exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter};
use crate::spool::stats::SpoolStats;
use crate::spool::{SpoolBuilder, SpoolExporter};

/// Longer than anything takes that is not broken.
const LONG: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Accepts,
    AcceptsInPart,
    Fails,
    Throttles,
    Refuses,
    IsTooLarge,
    Panics,
    /// Answers when it is told to.
    Waits,
    NeverAnswers,
}

/// A destination that does what it is told; clones are the same one.
#[derive(Clone)]
struct Destination(Arc<Inside>);

struct Inside {
    state: Mutex<State>,
    changed: Condvar,
    go: Notify,
}

struct State {
    mood: Mood,
    attempts: Vec<u8>,
    accepted: Vec<u8>,
    flushes: u32,
}

impl Destination {
    fn new(mood: Mood) -> Self {
        Self(Arc::new(Inside {
            state: Mutex::new(State {
                mood,
                attempts: Vec::new(),
                accepted: Vec::new(),
                flushes: 0,
            }),
            changed: Condvar::new(),
            go: Notify::new(),
        }))
    }

    fn is_now(&self, mood: Mood) {
        self.0.state.lock().unwrap().mood = mood;
    }

    fn accepted(&self) -> Vec<u8> {
        self.0.state.lock().unwrap().accepted.clone()
    }

    fn attempts(&self) -> Vec<u8> {
        self.0.state.lock().unwrap().attempts.clone()
    }

    fn wait_until(&self, done: impl Fn(&State) -> bool) {
        let state = self.0.state.lock().unwrap();
        let waited = self
            .0
            .changed
            .wait_timeout_while(state, LONG, |state| !done(state))
            .unwrap();
        assert!(!waited.1.timed_out());
    }
}

impl SpanExporter for Destination {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        let number = batch.request()[0];
        let mood = {
            let mut state = self.0.state.lock().unwrap();
            state.attempts.push(number);
            state.mood
        };
        self.0.changed.notify_all();
        Box::pin(async move {
            let receipt = match mood {
                Mood::Accepts => Receipt::complete(),
                Mood::AcceptsInPart => Receipt::partial(1, "one is too old"),
                Mood::Fails => return Err(ExportError::transient("503", "unavailable")),
                Mood::Throttles => {
                    let error = ExportError::transient("429", "slow down");
                    return Err(error.with_retry_after(LONG));
                }
                Mood::Refuses => return Err(ExportError::permanent("400", "bad request")),
                Mood::IsTooLarge => return Err(ExportError::too_large("413", "too large")),
                Mood::Panics => panic!("the destination panics"),
                Mood::Waits => {
                    self.0.go.notified().await;
                    Receipt::complete()
                }
                Mood::NeverAnswers => pending().await,
            };
            self.0.state.lock().unwrap().accepted.push(number);
            self.0.changed.notify_all();
            Ok(receipt)
        })
    }

    fn flush(&mut self) -> ExportFuture<'_> {
        self.0.state.lock().unwrap().flushes += 1;
        Box::pin(ready(Ok(Receipt::complete())))
    }
}

/// A batch of three spans with this number.
fn batch(number: u8) -> Batch {
    Batch::new(Bytes::from(vec![number; 100]), 3)
}

fn builder(destination: &Destination) -> SpoolBuilder {
    SpoolExporter::wrap(destination.clone(), "in memory").write_after(LONG)
}

fn open(builder: SpoolBuilder, disk: &Memory) -> SpoolExporter {
    builder.open_in(disk.clone(), 64 << 10).unwrap()
}

fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let bounded = async { tokio::time::timeout(LONG, future).await.unwrap() };
    runtime.block_on(bounded)
}

fn export(exporter: &mut SpoolExporter, number: u8) -> Result<Receipt, ExportError> {
    wait(exporter.export(batch(number)))
}

/// Every count but those of the files' sizes.
fn figures(stats: &SpoolStats) -> String {
    let side = |side: &crate::stats::SpooledSpans| {
        format!(
            "{} accepted, {} delivered, {} failed, {} dropped, {} waiting",
            side.accepted,
            side.delivered,
            side.failed,
            side.dropped,
            side.waiting()
        )
    };
    let (own, earlier) = (side(&stats.own), side(&stats.earlier));
    format!(
        "own: {own}; earlier: {earlier}; failures: {}",
        stats.failures
    )
}

const NOTHING: &str = "0 accepted, 0 delivered, 0 failed, 0 dropped, 0 waiting";

#[test]
fn while_the_destination_works_no_file_is_touched() {
    let (destination, disk) = (Destination::new(Mood::Accepts), Memory::default());
    let mut exporter = open(builder(&destination), &disk);
    for number in 0..5 {
        assert_eq!(export(&mut exporter, number).unwrap(), Receipt::complete());
    }
    destination.is_now(Mood::Refuses);
    assert!(!export(&mut exporter, 5).unwrap_err().is_transient());
    destination.is_now(Mood::IsTooLarge);
    assert!(export(&mut exporter, 6).unwrap_err().is_too_large());
    destination.is_now(Mood::Panics);
    assert_eq!(export(&mut exporter, 7).unwrap_err().error_type(), "panic");
    wait(exporter.flush()).unwrap();
    assert_eq!(destination.0.state.lock().unwrap().flushes, 1);
    assert_eq!(destination.accepted(), [0, 1, 2, 3, 4]);
    assert_eq!(disk.disk().peak(), 0);
    assert_eq!(exporter.handle().stats(), SpoolStats::default());
}

#[test]
fn what_fails_is_kept_and_delivered_in_order_when_the_destination_is_back() {
    let (destination, disk) = (Destination::new(Mood::Fails), Memory::default());
    let mut exporter = open(builder(&destination), &disk);
    for number in 0..5 {
        assert_eq!(export(&mut exporter, number).unwrap(), Receipt::complete());
    }
    let failed = wait(exporter.flush()).unwrap_err();
    assert_eq!(failed.error_type(), "spooled");
    let stats = exporter.handle().stats();
    assert_eq!((stats.own.accepted, stats.own.waiting()), (15, 15));
    assert!(stats.file_bytes > 500 && disk.disk().bytes() == stats.file_bytes);

    destination.is_now(Mood::Accepts);
    wait(exporter.flush()).unwrap();
    assert_eq!(destination.accepted(), [0, 1, 2, 3, 4]);
    assert_eq!(destination.0.state.lock().unwrap().flushes, 1);
    assert_eq!(disk.disk().bytes(), 0);
    // The spool is empty again, so the next batch goes directly.
    assert_eq!(export(&mut exporter, 5).unwrap(), Receipt::complete());
    assert_eq!(destination.accepted(), [0, 1, 2, 3, 4, 5]);
    let expected = format!(
        "own: 15 accepted, 15 delivered, 0 failed, 0 dropped, 0 waiting; earlier: {NOTHING}; \
         failures: 0"
    );
    assert_eq!(figures(&exporter.handle().stats()), expected);
}

#[test]
fn what_an_earlier_exporter_left_comes_first_and_is_counted_apart() {
    let (destination, disk) = (Destination::new(Mood::Fails), Memory::default());
    let mut exporter = open(builder(&destination), &disk);
    export(&mut exporter, 1).unwrap();
    export(&mut exporter, 2).unwrap();
    drop(exporter);

    destination.is_now(Mood::Accepts);
    // Nobody has to ask for it.
    let exporter = open(builder(&destination), &disk);
    destination.wait_until(|state| state.accepted.len() == 2);
    drop(exporter);
    let mut exporter = open(builder(&destination), &disk);
    export(&mut exporter, 3).unwrap();
    assert_eq!(destination.accepted(), [1, 2, 3]);

    destination.is_now(Mood::Fails);
    export(&mut exporter, 4).unwrap();
    drop(exporter);
    let mut exporter = open(builder(&destination), &disk);
    export(&mut exporter, 5).unwrap();
    destination.is_now(Mood::AcceptsInPart);
    wait(exporter.flush()).unwrap();
    assert_eq!(destination.accepted(), [1, 2, 3, 4, 5]);
    let side = "3 accepted, 2 delivered, 1 (rejected: 1) failed, 0 dropped, 0 waiting";
    let expected = format!("own: {side}; earlier: {side}; failures: 0");
    assert_eq!(figures(&exporter.handle().stats()), expected);
}

#[test]
fn a_batch_that_is_not_answered_is_written_and_not_sent_again_when_it_is() {
    let (destination, disk) = (Destination::new(Mood::Waits), Memory::default());
    let impatient = builder(&destination).write_after(Duration::from_millis(1));
    let mut exporter = open(impatient, &disk);
    export(&mut exporter, 1).unwrap();
    assert_eq!(exporter.handle().stats().own.waiting(), 3);
    assert!(disk.disk().bytes() > 0 && destination.accepted().is_empty());
    // The next one waits behind it.
    export(&mut exporter, 2).unwrap();
    destination.0.go.notify_one();
    destination.wait_until(|state| state.attempts.len() == 2);
    destination.0.go.notify_one();
    wait(exporter.flush()).unwrap();
    assert_eq!(destination.accepted(), [1, 2]);
    assert_eq!(destination.attempts(), [1, 2]);
    assert_eq!(exporter.handle().stats().own.delivered, 6);
    assert_eq!(disk.disk().bytes(), 0);
}

#[test]
fn with_no_patience_every_batch_is_written_before_it_is_sent() {
    let (destination, disk) = (Destination::new(Mood::NeverAnswers), Memory::default());
    let mut exporter = open(builder(&destination).write_after(Duration::ZERO), &disk);
    export(&mut exporter, 1).unwrap();
    assert!(disk.disk().bytes() > 0);
    destination.wait_until(|state| state.attempts == [1]);
    // It does not hold up the next ones, nor the end.
    export(&mut exporter, 2).unwrap();
    assert_eq!(exporter.handle().stats().own.waiting(), 6);
    drop(exporter);

    destination.is_now(Mood::Accepts);
    let mut exporter = open(builder(&destination).write_after(Duration::ZERO), &disk);
    // A disk that takes nothing is no reason to deliver nothing.
    wait(exporter.flush()).unwrap();
    disk.disk().fail(Operation::Create, 1);
    export(&mut exporter, 3).unwrap();
    assert_eq!(destination.accepted(), [1, 2, 3]);
}

#[test]
fn what_a_full_disk_does_not_take_is_the_pipelines_to_try_again() {
    let (destination, disk) = (Destination::new(Mood::Fails), Memory::default());
    let mut exporter = open(builder(&destination), &disk);
    for of in [Operation::Create, Operation::Write, Operation::Sync] {
        disk.disk().tear_at(50);
        disk.disk().fail(of, 1);
        let error = export(&mut exporter, 1).unwrap_err();
        assert!(
            error.is_transient() && error.error_type() == "503",
            "{error}"
        );
        assert_eq!(disk.disk().bytes(), 0, "no half record is left");
    }
    export(&mut exporter, 1).unwrap();
    // With something in the spool, a batch must not overtake it.
    let before = disk.disk().bytes();
    disk.disk().fail(Operation::Write, 1);
    let error = export(&mut exporter, 2).unwrap_err();
    assert!(
        error.is_transient() && error.error_type() == "spool",
        "{error}"
    );
    assert_eq!(disk.disk().bytes(), before);
    destination.is_now(Mood::Accepts);
    wait(exporter.flush()).unwrap();
    export(&mut exporter, 2).unwrap();
    assert_eq!(destination.accepted(), [1, 2]);
    let expected = format!(
        "own: 3 accepted, 3 delivered, 0 failed, 0 dropped, 0 waiting; earlier: {NOTHING}; \
         failures: 4 (create: 1, sync: 1, write: 2)"
    );
    assert_eq!(figures(&exporter.handle().stats()), expected);
}

#[test]
fn a_caller_who_stops_waiting_keeps_his_batch() {
    let (destination, disk) = (Destination::new(Mood::NeverAnswers), Memory::default());
    let mut exporter = open(builder(&destination), &disk);
    wait(async {
        let attempt = exporter.export(batch(1));
        tokio::time::timeout(Duration::from_millis(1), attempt)
            .await
            .unwrap_err();
    });
    destination.is_now(Mood::Accepts);
    export(&mut exporter, 1).unwrap();
    assert_eq!(destination.accepted(), [1]);
    assert_eq!(exporter.handle().stats(), SpoolStats::default());
}

#[test]
fn a_caller_who_stops_waiting_before_he_hears_that_it_was_written_keeps_his_batch() {
    let (destination, disk) = (Destination::new(Mood::Fails), Memory::default());
    let mut exporter = open(builder(&destination), &disk);
    wait(async {
        let mut attempt = exporter.export(batch(1));
        let once = std::future::poll_fn(|cx| {
            // The worker cannot write meanwhile.
            let _held = disk.disk();
            assert!(attempt.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        });
        once.await;
        while disk.disk().bytes() == 0 {
            tokio::task::yield_now().await;
        }
        drop(attempt);
    });
    destination.is_now(Mood::Accepts);
    export(&mut exporter, 2).unwrap();
    assert_eq!(destination.accepted(), [2]);
    assert_eq!(disk.disk().bytes(), 0);
    assert_eq!(exporter.handle().stats(), SpoolStats::default());
}

#[test]
fn what_the_destination_refuses_later_is_counted_by_its_error() {
    let (destination, disk) = (Destination::new(Mood::Fails), Memory::default());
    let mut exporter = open(builder(&destination), &disk);
    for mood in [Mood::Refuses, Mood::IsTooLarge, Mood::Panics] {
        destination.is_now(Mood::Fails);
        export(&mut exporter, 1).unwrap();
        destination.is_now(mood);
        wait(exporter.flush()).unwrap();
    }
    let expected = format!(
        "own: 9 accepted, 0 delivered, 9 (400: 3, 413: 3, panic: 3) failed, 0 dropped, 0 waiting; \
         earlier: {NOTHING}; failures: 0"
    );
    assert_eq!(figures(&exporter.handle().stats()), expected);
}

#[test]
fn a_destination_that_asks_for_a_wait_gets_it() {
    let (destination, disk) = (Destination::new(Mood::Throttles), Memory::default());
    let mut exporter = open(builder(&destination), &disk);
    export(&mut exporter, 1).unwrap();
    export(&mut exporter, 2).unwrap();
    destination.is_now(Mood::Accepts);
    assert_eq!(wait(exporter.flush()).unwrap_err().error_type(), "spooled");
    assert_eq!(destination.attempts(), [1]);
    drop(exporter);
    let _exporter = open(builder(&destination), &disk);
    destination.wait_until(|state| state.accepted == [1, 2]);
}

#[test]
fn an_attempt_ends_when_its_time_is_over() {
    let (destination, disk) = (Destination::new(Mood::NeverAnswers), Memory::default());
    let hasty = builder(&destination).timeout(Duration::from_millis(1));
    let mut exporter = open(hasty, &disk);
    export(&mut exporter, 1).unwrap();
    assert_eq!(exporter.handle().stats().own.waiting(), 3);
    destination.is_now(Mood::Accepts);
    wait(exporter.flush()).unwrap();
    assert_eq!(destination.accepted(), [1]);
}

#[test]
fn a_full_spool_gives_up_its_oldest_spans_and_counts_them() {
    let (destination, disk) = (Destination::new(Mood::Fails), Memory::default());
    let mut exporter = open(builder(&destination), &disk);
    let batches: u64 = 2000;
    for number in 0..batches {
        export(&mut exporter, (number % 251) as u8).unwrap();
        assert!(disk.disk().bytes() <= 64 << 10);
    }
    let stats = exporter.handle().stats();
    let (waiting, dropped) = (stats.own.waiting(), stats.own.dropped.get("spool_full"));
    assert_eq!(waiting + dropped, batches * 3);
    // An eighth makes room at a time, so seven eighths are always there.
    assert!(waiting >= 7 * (64 << 10) / 8 / 124 * 3 - 24, "{waiting}");
    destination.is_now(Mood::Accepts);
    wait(exporter.flush()).unwrap();
    let last: Vec<u8> = (0..batches).map(|number| (number % 251) as u8).collect();
    let accepted = destination.accepted();
    // The head may have been tried while its segment made room.
    assert_eq!(accepted, last[last.len() - accepted.len()..]);
    assert_eq!(accepted.len() as u64 * 3, waiting);
}

#[test]
fn a_spool_that_cannot_be_read_gives_up_in_the_end() {
    let (destination, disk) = (Destination::new(Mood::Fails), Memory::default());
    let mut exporter = open(builder(&destination), &disk);
    disk.disk().fail(Operation::Read, u32::MAX);
    export(&mut exporter, 1).unwrap();
    // Each flush is an attempt.
    while exporter.handle().stats().own.dropped.total() == 0 {
        let _ = wait(exporter.flush());
    }
    assert_eq!(
        exporter
            .handle()
            .stats()
            .own
            .dropped
            .get("spool_unreadable"),
        3
    );
    destination.is_now(Mood::Accepts);
    export(&mut exporter, 2).unwrap();
    assert_eq!(destination.accepted(), [2]);
}

#[test]
fn an_option_out_of_range_is_refused() {
    let destination = Destination::new(Mood::Accepts);
    let error = builder(&destination).max_bytes(1000).open().unwrap_err();
    assert!(error.is_invalid_option());
    assert_eq!(
        error.to_string(),
        "max_bytes of a spool is 1000; give at least 65536"
    );
}
