//! One destination: what waits for it and what became of its spans.
//!
//! Who touches what:
//!
//! 1. `state` is locked for a few assignments at a time, never across a wait, a
//!    call of the exporter, or a line that is said. Queue and counts share the
//!    lock, so that a span is never in both or in neither.
//! 2. The drain thread fills the queue, the destination's export thread empties it
//!    and counts. The drain thread counts in its place what the exporter does not
//!    give back: a call that is overdue, and everything when a shutdown is over.
//!    Whoever comes second finds nothing in flight, hence counts nothing.
//! 3. In a forked child nothing here is touched.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::durations::Operations;
use crate::exporter::{Batch, ExportError, Receipt, SpooledReader};
use crate::notice::{DropNotices, Memory, Notices};
use crate::queue::{Capacity, Item, Queue};
use crate::say;
use crate::stats::{SpooledSpans, Tallies};
use crate::sync::{Bell, Mutex, MutexGuard, Notify};

/// How much later than its time limit a call of the exporter is given up from
/// outside. An exporter that lets its thread go is ended in time by that thread.
const OVERDUE: Duration = Duration::from_millis(500);

pub(crate) struct Destination {
    name: String,
    /// Wakes the drain when a batch is settled, if it asked for that.
    bell: Arc<Bell>,
    state: Mutex<State>,
    /// Tells what became of the spans that the exporter took over without delivering them.
    spooled: Option<SpooledReader>,
    /// An item was pushed.
    filled: Notify,
    /// Somebody waits for the export thread.
    awaited: Bell,
    notices: Mutex<Notices>,
    drops: Mutex<DropNotices>,
}

struct State {
    queue: Queue,
    counts: Counts,
    call: Call,
    /// Whether the drain waits for a batch to be settled.
    is_awaited: bool,
    /// The flush that was popped last, if nothing was popped since.
    flush: Option<u64>,
}

/// What the exporter is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    None,
    /// It was called and should be back by then.
    Until(Instant),
    /// It was called, and nobody counts on it any more.
    GivenUp,
}

/// What became of the spans that were meant for one destination.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) in_flight: u64,
    pub(crate) exported: u64,
    pub(crate) spooled: u64,
    pub(crate) failed: Tallies,
    pub(crate) dropped: Tallies,
    pub(crate) operations: Operations,
    /// Flushes of the exporter itself that failed, ever.
    pub(crate) failed_flushes: u64,
}

impl Counts {
    fn fail(&mut self, error_type: &str, spans: u64) {
        self.failed.add(error_type.to_owned(), spans);
    }

    /// Puts the spans that the exporter took over where they are by now.
    fn with_spooled(mut self, spooled: &SpooledSpans) -> Self {
        let direct = self.exported.saturating_sub(spooled.accepted);
        // A batch that was given up at the moment at which it was taken over is counted
        // as failed, and must not be counted twice.
        let twice = spooled.accepted.saturating_sub(self.exported);
        let waiting = spooled.waiting();
        self.spooled = waiting.saturating_sub(twice);
        let delivered = spooled.delivered;
        self.exported = direct + delivered.saturating_sub(twice.saturating_sub(waiting));
        self.failed.merge(&spooled.failed);
        self.dropped.merge(&spooled.dropped);
        self
    }
}

impl Destination {
    pub(crate) fn new(
        name: String,
        spooled: Option<SpooledReader>,
        capacity: Capacity,
        bell: Arc<Bell>,
    ) -> Self {
        Self {
            notices: Mutex::new(Notices::new(name.clone())),
            drops: Mutex::new(DropNotices::at(name.clone())),
            name,
            bell,
            state: Mutex::new(State {
                queue: Queue::new(capacity),
                counts: Counts::default(),
                call: Call::None,
                is_awaited: false,
                flush: None,
            }),
            spooled,
            filled: Notify::new(),
            awaited: Bell::default(),
        }
    }

    /// Where the spans go, for people.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn counts(&self) -> Counts {
        // Asked first: spans count as taken over before they count as exported.
        let spooled = self.spooled.as_ref().map(|spooled| spooled());
        let counts = self.state().counts.clone();
        match spooled {
            Some(spooled) => counts.with_spooled(&spooled),
            None => counts,
        }
    }

    /// Whether the exporter holds its thread for longer than it may.
    pub(crate) fn is_blocked(&self) -> bool {
        self.state().call == Call::GivenUp
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notices(&self) -> MutexGuard<'_, Notices> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For the drain thread.
impl Destination {
    /// How much may still come. It becomes less only through the drain itself.
    pub(crate) fn room(&self) -> Capacity {
        self.state().queue.room()
    }

    /// Has the bell rung when the next batch is settled.
    pub(crate) fn await_settled(&self) {
        self.state().is_awaited = true;
    }

    /// Whether no batch waits or is in flight. If one does, the bell is rung when the next
    /// one is settled.
    pub(crate) fn is_idle(&self) -> bool {
        let mut state = self.state();
        let is_idle = state.queue.is_idle();
        state.is_awaited |= !is_idle;
        is_idle
    }

    /// Takes a batch, or counts it as dropped if there is no room.
    pub(crate) fn offer(&self, batch: Batch) {
        let mut state = self.state();
        if state.queue.takes(&batch) {
            state.queue.push(Item::Batch(batch));
            drop(state);
            self.filled.notify_one();
        } else {
            state.counts.dropped.add("queue_full", batch.spans());
        }
    }

    /// Takes an item that needs no room.
    pub(crate) fn push(&self, item: Item) {
        self.state().queue.push(item);
        self.filled.notify_one();
        self.awaited.ring();
    }

    /// Gives a call of the exporter up that should have ended: the batch in flight
    /// counts as failed.
    pub(crate) fn supervise(&self, now: Instant) {
        let mut state = self.state();
        let Call::Until(deadline) = state.call else {
            return;
        };
        if now.saturating_duration_since(deadline) < OVERDUE {
            return;
        }
        state.call = Call::GivenUp;
        let spans = std::mem::take(&mut state.counts.in_flight);
        let error = blocked();
        state.counts.fail(error.error_type(), spans);
        drop(state);
        // Not while the lock is held: the sink is the application's.
        let line = self.notices().gave_up(now, &error, spans);
        warn(line);
    }

    /// Counts everything that is left: nobody waits for this destination any more.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        let in_flight = std::mem::take(&mut state.counts.in_flight);
        state.counts.fail("shutdown", in_flight);
        let waiting = state.queue.clear();
        state.counts.dropped.add("shutdown", waiting);
        // Should the exporter ever return, its thread ends.
        state.queue.push(Item::Close);
        drop(state);
        self.filled.notify_one();
        self.awaited.ring();
    }

    /// Tells of spans that this destination had no room for.
    pub(crate) fn look_at_drops(&self, now: Instant) {
        let state = self.state();
        let dropped = state.counts.dropped.get("queue_full");
        let max_bytes = state.queue.max_bytes();
        drop(state);
        let mut drops = self.drops.lock().unwrap_or_else(PoisonError::into_inner);
        let line = drops.look(now, dropped, max_bytes);
        drop(drops);
        warn(line);
    }
}

/// For the export thread.
impl Destination {
    /// Rung when a flush or the end is asked for.
    pub(crate) fn awaited(&self) -> &Bell {
        &self.awaited
    }

    /// Takes the first item, waiting for one if need be. A batch is in flight from
    /// here on.
    pub(crate) async fn pop(&self) -> Item {
        loop {
            {
                let mut state = self.state();
                if let Some(item) = state.queue.pop() {
                    state.flush = None;
                    match &item {
                        Item::Batch(batch) => state.counts.in_flight = batch.spans(),
                        Item::Flush(number) => state.flush = Some(*number),
                        Item::Close => {}
                    }
                    return item;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Says that the exporter is about to be called, and until when it may take.
    pub(crate) fn calling(&self, deadline: Instant) {
        self.state().call = Call::Until(deadline);
    }

    /// Says that the call is over. False: it was given up, and with it the batch.
    pub(crate) fn returned(&self) -> bool {
        let call = std::mem::replace(&mut self.state().call, Call::None);
        call != Call::GivenUp
    }

    /// Measures an export that has ended. Only one that was accepted as a whole has
    /// succeeded. One that was given up meanwhile has neither succeeded nor an end.
    pub(crate) fn took(&self, time: Duration, result: &Result<Receipt, ExportError>) {
        let error_type = match result {
            Ok(receipt) if receipt.rejected() == 0 => None,
            Ok(_) => Some("rejected"),
            Err(error) => Some(error.error_type()),
        };
        let mut state = self.state();
        if state.counts.in_flight > 0 {
            state.counts.operations.record(error_type, time);
        }
    }

    /// Counts and tells what became of the batch in flight or a part of it. Returns
    /// how many spans are left.
    pub(crate) fn exported(&self, spans: u64, result: &Result<Receipt, ExportError>) -> u64 {
        let mut state = self.state();
        let counts = &mut state.counts;
        let spans = spans.min(counts.in_flight);
        counts.in_flight -= spans;
        let left = counts.in_flight;
        match result {
            Ok(receipt) => {
                let rejected = receipt.rejected().min(spans);
                counts.exported += spans - rejected;
                counts.failed.add("rejected", rejected);
            }
            Err(error) => counts.fail(error.error_type(), spans),
        }
        drop(state);
        if spans > 0 {
            self.tell(spans, result);
        }
        left
    }

    /// Tells that an attempt failed and will be repeated.
    pub(crate) fn retrying(&self, error: &ExportError, mut memory: Memory) {
        let state = self.state();
        memory.used_bytes += state.queue.bytes();
        memory.max_bytes += state.queue.max_bytes();
        drop(state);
        let line = self.notices().retrying(Instant::now(), error, memory);
        warn(line);
    }

    /// Counts the batch in flight as dropped.
    pub(crate) fn drop_in_flight(&self, reason: &'static str) {
        let mut state = self.state();
        let spans = std::mem::take(&mut state.counts.in_flight);
        state.counts.dropped.add(reason, spans);
    }

    /// Says that the batch that was popped last is done with.
    pub(crate) fn settle(&self) {
        let mut state = self.state();
        state.queue.settle();
        let is_awaited = std::mem::take(&mut state.is_awaited);
        drop(state);
        // A drain that has nothing to do with it sleeps on.
        if is_awaited {
            self.bell.ring();
        }
    }

    pub(crate) fn flush_failed(&self) {
        self.state().counts.failed_flushes += 1;
    }

    /// Counts the batch that was in flight when the export loop unwound. Returns the
    /// flush that it was asked for then.
    pub(crate) fn unwound(&self) -> Option<u64> {
        let mut state = self.state();
        let spans = std::mem::take(&mut state.counts.in_flight);
        state.counts.fail("panic", spans);
        state.call = Call::None;
        let flush = state.flush.take();
        drop(state);
        self.settle();
        flush
    }

    fn tell(&self, spans: u64, result: &Result<Receipt, ExportError>) {
        let now = Instant::now();
        match result {
            Ok(receipt) => {
                let mut notices = self.notices();
                let lines = (
                    notices.delivered(now),
                    notices.partly_accepted(now, receipt),
                );
                drop(notices);
                if let Some(line) = lines.0 {
                    say::inform(line);
                }
                warn(lines.1);
            }
            Err(error) => {
                let line = self.notices().gave_up(now, error, spans);
                warn(line);
            }
        }
    }
}

/// What the batch is lost to whose export does not return.
pub(crate) fn blocked() -> ExportError {
    ExportError::permanent(
        "blocked",
        "the exporter holds its thread for longer than its time limit",
    )
}

fn warn(line: Option<String>) {
    if let Some(line) = line {
        say::warn(line);
    }
}

#[cfg(all(test, throughline_loom))]
mod model;

#[cfg(all(test, not(throughline_loom)))]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn destination() -> Destination {
        let capacity = Capacity {
            spans: 100,
            bytes: 1000,
        };
        Destination::new("somewhere".to_owned(), None, capacity, Arc::default())
    }

    fn batch(spans: u64) -> Batch {
        Batch::new(Bytes::from_static(b"x"), spans)
    }

    #[tokio::test]
    async fn a_call_that_is_overdue_is_counted_once() {
        let destination = destination();
        destination.offer(batch(10));
        destination.offer(batch(20));
        assert!(matches!(destination.pop().await, Item::Batch(_)));
        let start = Instant::now();
        destination.calling(start);
        destination.supervise(start + OVERDUE / 2);
        assert!(!destination.is_blocked());
        destination.supervise(start + OVERDUE);
        destination.supervise(start + 2 * OVERDUE);
        assert!(destination.is_blocked());
        let counts = destination.counts();
        assert_eq!((counts.in_flight, counts.failed.get("blocked")), (0, 10));

        // It comes back after all, and says that it was successful.
        assert!(!destination.returned());
        assert_eq!(destination.exported(10, &Ok(Receipt::complete())), 0);
        destination.settle();
        assert!(!destination.is_blocked());
        assert!(matches!(destination.pop().await, Item::Batch(_)));
        destination.calling(Instant::now() + OVERDUE);
        assert!(destination.returned());
        assert_eq!(destination.exported(5, &Ok(Receipt::complete())), 15);
        assert_eq!(destination.exported(15, &Err(blocked())), 0);
        let counts = destination.counts();
        assert_eq!((counts.exported, counts.failed.total()), (5, 25));
    }

    #[tokio::test]
    async fn what_is_abandoned_is_counted_once() {
        let destination = destination();
        for spans in [10, 20, 30] {
            destination.offer(batch(spans));
        }
        assert!(matches!(destination.pop().await, Item::Batch(_)));
        destination.abandon();
        let counts = destination.counts();
        assert_eq!((counts.failed.total(), counts.dropped.total()), (10, 50));
        destination.took(Duration::from_secs(1), &Ok(Receipt::complete()));
        assert_eq!(destination.exported(10, &Ok(Receipt::complete())), 0);
        destination.settle();
        assert!(matches!(destination.pop().await, Item::Close));
        // What it says afterwards changes nothing.
        let after = destination.counts();
        assert_eq!((after.failed.total(), after.exported), (10, 0));
        assert_eq!(after.operations, counts.operations);
    }

    #[tokio::test]
    async fn what_an_export_loop_leaves_behind_is_told_once() {
        let destination = destination();
        destination.push(Item::Flush(7));
        destination.offer(batch(10));
        assert!(matches!(destination.pop().await, Item::Flush(7)));
        assert_eq!(destination.unwound(), Some(7));
        assert_eq!(destination.unwound(), None);
        assert!(matches!(destination.pop().await, Item::Batch(_)));
        assert_eq!(destination.unwound(), None);
        assert_eq!(destination.unwound(), None);
        let counts = destination.counts();
        assert_eq!((counts.in_flight, counts.failed.get("panic")), (0, 10));
        assert!(destination.is_idle());
    }

    #[test]
    fn what_finds_no_room_is_dropped() {
        let destination = destination();
        destination.offer(batch(60));
        destination.offer(batch(60));
        assert_eq!(destination.counts().dropped.get("queue_full"), 60);
        assert!(!destination.is_idle());
    }
}
