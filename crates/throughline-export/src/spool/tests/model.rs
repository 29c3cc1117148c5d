//! Any sequence of events, against a list of numbers.
//!
//! Each batch carries a number. The model knows which numbers were issued, which the
//! log accepted, and which it gave out and heard the fate of; after each step and at
//! the end, when the disk is well and everything is taken out, the two agree:
//!
//! 1. what comes out went in, byte by byte, and in its order within one process;
//! 2. what was accepted comes out or is counted as dropped, whatever kills the
//!    process; a bit that flips costs one record, a loss of power what was not synced;
//! 3. the counts of one process add up at every step;
//! 4. the files never occupy more than the bound;
//! 5. opening succeeds.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use super::memory::{Memory, Operation};
use crate::exporter::Batch;
use crate::spool::log::{Bounds, Fate, Log};
use crate::spool::stats::SpoolHandle;
use crate::stats::SpooledSpans;

/// Spans of a batch, at most.
const MOST_SPANS: u64 = 5;
/// Bytes of a record, at least: its head and the number.
const LEAST_RECORD: u64 = 32;

#[derive(Debug, Clone)]
enum Event {
    Append {
        length: usize,
        spans: u64,
    },
    AppendAndRetract {
        length: usize,
    },
    Deliver,
    Refuse,
    FailToDeliver,
    /// Append while the head is being delivered.
    AppendDuringDelivery {
        length: usize,
        delivered: bool,
    },
    Sync,
    Fault {
        of: Operation,
        times: u32,
        torn_at: usize,
    },
    FlipBit(usize),
    ForeignFile {
        kind: u8,
        sequence: u64,
    },
    KillIn {
        operations: u32,
        torn_at: usize,
    },
    Restart,
    LosePower(u64),
    DeliverAll,
}

/// The sizes of the case. What the log does is judged by [`Judge`].
#[derive(Debug, Clone)]
struct Case;

impl ReferenceStateMachine for Case {
    type State = Bounds;
    type Transition = Event;

    fn init_state() -> BoxedStrategy<Bounds> {
        (200..2000_u64, 60..400_u64, prop_oneof![Just(0), 1..500_u64])
            .prop_map(|(bytes, segment_bytes, unsynced_bytes)| Bounds {
                bytes,
                segment_bytes,
                unsynced_bytes,
            })
            .boxed()
    }

    fn transitions(_: &Bounds) -> BoxedStrategy<Event> {
        use Operation::{Create, Read, Remove, Sync, Truncate, Write};
        let length = || prop_oneof![9 => 0..60_usize, 1 => 0..600_usize];
        let of = prop_oneof![
            3 => Just(Write), 2 => Just(Sync), 1 => Just(Create),
            1 => Just(Truncate), 1 => Just(Read), 1 => Just(Remove),
        ];
        prop_oneof![
            12 => (length(), 1..=MOST_SPANS)
                .prop_map(|(length, spans)| Event::Append { length, spans }),
            1 => length().prop_map(|length| Event::AppendAndRetract { length }),
            8 => Just(Event::Deliver),
            1 => Just(Event::Refuse),
            3 => Just(Event::FailToDeliver),
            3 => (length(), any::<bool>()).prop_map(|(length, delivered)| {
                Event::AppendDuringDelivery { length, delivered }
            }),
            1 => Just(Event::Sync),
            3 => (of, 1..4_u32, 0..100_usize)
                .prop_map(|(of, times, torn_at)| Event::Fault { of, times, torn_at }),
            1 => any::<usize>().prop_map(Event::FlipBit),
            1 => (0..6_u8, any::<u64>())
                .prop_map(|(kind, sequence)| Event::ForeignFile { kind, sequence }),
            2 => (1..8_u32, 0..100_usize)
                .prop_map(|(operations, torn_at)| Event::KillIn { operations, torn_at }),
            1 => Just(Event::Restart),
            1 => any::<u64>().prop_map(Event::LosePower),
            1 => Just(Event::DeliverAll),
        ]
        .boxed()
    }

    fn apply(state: Bounds, _: &Event) -> Bounds {
        state
    }
}

/// What a batch of this number and length says.
fn batch(number: u64, length: usize, spans: u64) -> Batch {
    let mut request = number.to_le_bytes().to_vec();
    request.resize(8 + length, number.to_le_bytes()[0]);
    Batch::new(Bytes::from(request), spans)
}

struct Judge {
    bounds: Bounds,
    disk: Memory,
    log: Log<Memory>,
    counts: SpoolHandle,
    /// The length and the spans of each batch there ever was.
    issued: BTreeMap<u64, (usize, u64)>,
    accepted: BTreeSet<u64>,
    /// Numbers whose fate the log has heard.
    settled: BTreeSet<u64>,
    /// Numbers that must not come out before the process ends.
    retracted: BTreeSet<u64>,
    /// Of this process: its first number, the last one that was settled, spans
    /// accepted, and spans settled.
    first: u64,
    last: Option<u64>,
    accepted_spans: u64,
    settled_spans: u64,
    /// Whether files may not be in the order of their numbers.
    unordered: bool,
    /// Spans that earlier processes counted as dropped.
    dropped_before: u64,
    /// Spans that may be missing without a count.
    allowed_loss: u64,
    /// Spans that may be counted as dropped and are not missing.
    allowed_excess: u64,
    tally: Tally,
}

/// What happened in all cases.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    steps: u64,
    processes: u64,
    accepted: u64,
    delivered: u64,
    dropped: u64,
    corrupt: u64,
    failures: u64,
}

impl Judge {
    fn new(bounds: Bounds) -> Self {
        let disk = Memory::default();
        let counts = SpoolHandle::default();
        let log = Log::open(disk.clone(), bounds, counts.clone()).unwrap();
        Self {
            bounds,
            disk,
            log,
            counts,
            issued: BTreeMap::new(),
            accepted: BTreeSet::new(),
            settled: BTreeSet::new(),
            retracted: BTreeSet::new(),
            first: 0,
            last: None,
            accepted_spans: 0,
            settled_spans: 0,
            unordered: false,
            dropped_before: 0,
            allowed_loss: 0,
            allowed_excess: 0,
            tally: Tally::default(),
        }
    }

    fn apply(&mut self, event: &Event) {
        self.tally.steps += 1;
        match *event {
            Event::Append { length, spans } => self.append(length, spans),
            Event::AppendAndRetract { length } => {
                let (number, batch) = self.issue(length, 1);
                // What is not accepted may be found by a later process all the same.
                self.allowed_excess += batch.spans();
                self.retracted.insert(number);
                if self.log.append(&batch).is_ok() {
                    self.log.retract(&batch);
                }
            }
            Event::Deliver => drop(self.take(Some(Fate::Delivered { rejected: 0 }), |_| {})),
            Event::Refuse => drop(self.take(Some(Fate::Failed("400".to_owned())), |_| {})),
            Event::FailToDeliver => drop(self.take(None, |_| {})),
            Event::AppendDuringDelivery { length, delivered } => {
                let fate = delivered.then_some(Fate::Delivered { rejected: 0 });
                self.take(fate, |judge| judge.append(length, 2));
            }
            Event::Sync => self.log.sync(),
            Event::Fault { of, times, torn_at } => {
                let mut disk = self.disk.disk();
                disk.tear_at(torn_at);
                disk.fail(of, times);
                drop(disk);
                if of == Operation::Sync {
                    // What the system could not write may be what it forgets.
                    let lost = self.bounds.unsynced_bytes / LEAST_RECORD * MOST_SPANS;
                    self.allowed_loss += u64::from(times) * lost;
                }
                if of == Operation::Read {
                    // Nobody knows what was in a file that could never be read.
                    let records = self.bounds.segment_bytes / LEAST_RECORD + 1;
                    self.allowed_loss += u64::from(times) * records * MOST_SPANS;
                }
                if matches!(
                    of,
                    Operation::Remove | Operation::Truncate | Operation::Write | Operation::Read
                ) {
                    // What could not be removed, cut off or marked may come again.
                    self.allowed_excess = u64::MAX / 2;
                }
            }
            Event::FlipBit(at) => {
                if self.disk.disk().flip(at) {
                    self.allowed_loss += MOST_SPANS;
                }
            }
            Event::ForeignFile { kind, sequence } => {
                let garbage: Vec<u8> = (0..90_u8).map(|byte| byte.wrapping_mul(kind)).collect();
                let (name, content) = match kind {
                    0 => ("lock".to_owned(), &[][..]),
                    1 => ("notes.txt".to_owned(), &[][..]),
                    2 => (format!("{sequence:016x}-{sequence:016x}.spool"), &[][..]),
                    3 => (
                        format!("{:016x}-{sequence:016x}.spool", u64::MAX),
                        &garbage[..],
                    ),
                    4 => (
                        format!("{:016x}-{sequence:016x}.spool", sequence % 100),
                        &garbage[..],
                    ),
                    _ => (
                        format!("{:016x}-{sequence:016x}.spool", 0),
                        &b"TLSPOOL1"[..],
                    ),
                };
                self.unordered |= kind == 3;
                // Nobody puts files there while a process runs.
                self.end_process(false);
                self.disk.disk().put(&name, content);
                self.open();
            }
            Event::KillIn {
                operations,
                torn_at,
            } => {
                let mut disk = self.disk.disk();
                disk.tear_at(torn_at);
                disk.kill_in(operations);
            }
            Event::Restart => {
                self.end_process(true);
                self.open();
            }
            Event::LosePower(seed) => {
                let lost = self.bounds.unsynced_bytes / LEAST_RECORD * MOST_SPANS;
                self.allowed_loss += lost;
                self.allowed_excess = u64::MAX / 2;
                // A file whose removal was not on the disk is back, perhaps with a number
                // that was given again.
                self.unordered = true;
                self.end_process(false);
                let mut chance = fastrand::Rng::with_seed(seed);
                self.disk.disk().lose_power(&mut chance);
                self.open();
            }
            Event::DeliverAll => self.deliver_all(),
        }
        if self.disk.disk().is_killed() {
            self.end_process(false);
            self.open();
        }
        self.check_step();
    }

    fn issue(&mut self, length: usize, spans: u64) -> (u64, Batch) {
        let number = self.issued.len() as u64;
        self.issued.insert(number, (length, spans));
        (number, batch(number, length, spans))
    }

    fn append(&mut self, length: usize, spans: u64) {
        let (number, batch) = self.issue(length, spans);
        if self.log.append(&batch).is_ok() && !self.disk.disk().is_killed() {
            self.counts.accept(spans);
            self.accepted.insert(number);
            self.accepted_spans += spans;
            self.tally.accepted += spans;
        } else {
            // It may be on the disk nevertheless, for a later process to find.
            self.allowed_excess += spans;
            self.retracted.insert(number);
        }
    }

    /// Takes the head out, lets something happen, and tells its fate.
    fn take(&mut self, fate: Option<Fate>, meanwhile: impl FnOnce(&mut Self)) -> bool {
        let Ok(Some(batch)) = self.log.head() else {
            return false;
        };
        let number = u64::from_le_bytes(*batch.request().first_chunk().unwrap());
        let (length, spans) = self.issued[&number];
        assert_eq!(
            batch.request(),
            self::batch(number, length, spans).request()
        );
        assert_eq!(batch.spans(), spans);
        let in_order = self.last.is_none_or(|last| last < number);
        assert!(in_order || self.unordered, "{number} comes in its order");
        assert!(
            !self.retracted.contains(&number),
            "{number} was not accepted"
        );
        meanwhile(self);
        if self.disk.disk().is_killed() {
            // If its segment made room, it was left in memory only.
            self.allowed_loss += spans;
            return false;
        }
        match fate {
            None => self.log.put_back(),
            Some(fate) => {
                self.log.settle(spans, fate);
                self.settled.insert(number);
                self.last = Some(number);
                self.tally.delivered += spans;
                if number >= self.first {
                    self.settled_spans += spans;
                }
                if self.disk.disk().is_killed() {
                    // Its mark may not be on the disk.
                    self.allowed_excess += spans;
                }
            }
        }
        true
    }

    fn deliver_all(&mut self) {
        // An attempt to read may fail for a while.
        for _ in 0..10 {
            if self.disk.disk().is_killed() {
                return;
            }
            while self.take(Some(Fate::Delivered { rejected: 0 }), |_| {}) {}
        }
    }

    fn end_process(&mut self, orderly: bool) {
        if orderly {
            self.log.put_back();
            self.log.sync();
        }
        let stats = self.counts.stats();
        self.dropped_before += dropped(&stats.own) + dropped(&stats.earlier);
        self.tally.corrupt += stats.corrupt_records;
        self.tally.failures += stats.failures.total();
        self.disk.disk().restart();
    }

    fn open(&mut self) {
        self.tally.processes += 1;
        self.counts = SpoolHandle::default();
        self.log = Log::open(self.disk.clone(), self.bounds, self.counts.clone()).unwrap();
        self.first = self.issued.len() as u64;
        self.last = None;
        self.retracted.clear();
        (self.accepted_spans, self.settled_spans) = (0, 0);
    }

    fn check_step(&self) {
        let stats = self.counts.stats();
        let disk = self.disk.disk();
        assert!(disk.peak() <= self.bounds.bytes, "{} bytes", disk.peak());
        assert!(stats.file_bytes <= self.bounds.bytes);
        drop(disk);
        let own = &stats.own;
        assert_eq!(own.accepted, self.accepted_spans);
        assert_eq!(own.delivered + own.failed.total(), self.settled_spans);
        for side in [own, &stats.earlier] {
            let gone = side.delivered + side.failed.total() + dropped(side);
            assert!(gone <= side.accepted, "{side:?}");
        }
    }

    /// Takes everything out and compares.
    fn finish(mut self) -> Tally {
        self.disk.disk().restart();
        self.deliver_all();
        self.check_step();
        assert!(self.log.is_empty());
        let stats = self.counts.stats();
        assert_eq!((stats.own.waiting(), stats.earlier.waiting()), (0, 0));
        assert_eq!((stats.file_bytes, stats.earlier_bytes), (0, 0));
        let missing: u64 = self
            .accepted
            .difference(&self.settled)
            .map(|number| self.issued[number].1)
            .sum();
        let dropped = self.dropped_before + dropped(&stats.own) + dropped(&stats.earlier);
        assert!(
            missing <= dropped + self.allowed_loss,
            "{missing} spans are missing, {dropped} were dropped, {} may be lost",
            self.allowed_loss
        );
        assert!(
            dropped <= missing.saturating_add(self.allowed_excess),
            "{missing} spans are missing, {dropped} were dropped, {} of them perhaps not",
            self.allowed_excess
        );
        self.tally.dropped = dropped;
        self.tally.corrupt += stats.corrupt_records;
        self.tally.failures += stats.failures.total();
        self.tally
    }
}

fn dropped(side: &SpooledSpans) -> u64 {
    side.dropped.total()
}

struct Test;

impl StateMachineTest for Test {
    type SystemUnderTest = Judge;
    type Reference = Case;

    fn init_test(bounds: &Bounds) -> Judge {
        Judge::new(*bounds)
    }

    fn apply(mut judge: Judge, _: &Bounds, event: Event) -> Judge {
        judge.apply(&event);
        judge
    }

    fn teardown(judge: Judge, _: Bounds) {
        let tally = judge.finish();
        TOTAL.with_borrow_mut(|total| {
            total.steps += tally.steps;
            total.processes += tally.processes;
            total.accepted += tally.accepted;
            total.delivered += tally.delivered;
            total.dropped += tally.dropped;
            total.corrupt += tally.corrupt;
            total.failures += tally.failures;
        });
    }
}

thread_local! {
    static TOTAL: std::cell::RefCell<Tally> = std::cell::RefCell::default();
}

#[test]
fn whatever_happens_every_span_is_delivered_or_counted() {
    let long = std::env::var("TORTURE").is_ok_and(|value| value == "long");
    let steps = if long { 1_000_000 } else { 10_000 };
    let config = Config {
        cases: steps / 100 + steps / 1000,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config.clone());
    // A hundred steps on average.
    runner
        .run(
            &Case::sequential_strategy(50..150),
            |(initial, events, seen)| {
                Test::test_sequential(config.clone(), initial, events, seen);
                Ok(())
            },
        )
        .unwrap();
    let total = TOTAL.with_borrow(|total| *total);
    println!("row 30, model: {total:?}");
    assert!(total.steps >= u64::from(steps), "{total:?}");
}
