//! Owns what one process's side of a hub consists of: the pool, the list of
//! lanes, the consumer's lock. Shared by the hub and its writers. Knows nothing
//! of how a hub replaces it after a fork.
//!
//! Rules:
//! 1. Lanes are only ever added to the list, at its front, and are freed with
//!    the list. A lane whose writer is gone waits in `idle` for another one, so
//!    there are never more lanes than writers and undrained chains at one time.
//! 2. Whoever holds `consumer` is the one consumer of all lanes.
//! 3. `owner` names the thread that holds `consumer`, so that a drain called
//!    from its own callback is noticed instead of deadlocking.

use std::ops::ControlFlow;
use std::ptr::{self, NonNull};
use std::sync::PoisonError;

use crate::config::{HubConfig, TALLIES};
use crate::fork::fork_generation;
use crate::hub::Drained;
use crate::lane::{Lane, Visit};
use crate::pool::Pool;
use crate::sync::{AtomicPtr, AtomicUsize, Mutex, Ordering, SegQueue, thread_token};
use crate::wake::Wake;

/// See the module documentation.
pub(crate) struct Inner {
    pub(crate) pool: Pool,
    pub(crate) wake: Wake,
    generation: u32,
    lanes: AtomicPtr<Node>,
    idle: SegQueue<LaneRef>,
    /// The lane the next drain starts with: fairness when drains stop early.
    consumer: Mutex<Option<LaneRef>>,
    owner: AtomicUsize,
}

/// A lane and its place in the list.
struct Node {
    lane: Lane,
    next: Option<LaneRef>,
}

/// A pointer to a lane of some `Inner`, valid for as long as that lives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneRef(NonNull<Node>);

// SAFETY: a pointer to a `Node`, which is `Sync` (a lane of atomics and a
// pointer that does not change once shared).
unsafe impl Send for LaneRef {}

impl LaneRef {
    /// # Safety
    ///
    /// The `Inner` the lane belongs to must live during `'a`.
    #[inline]
    pub(crate) unsafe fn lane<'a>(self) -> &'a Lane {
        // SAFETY: nodes live as long as their `Inner` and are only shared.
        &unsafe { self.0.as_ref() }.lane
    }

    /// # Safety
    ///
    /// As for `lane`.
    unsafe fn next(self) -> Option<Self> {
        // SAFETY: as for `lane`; `next` is set before the node is listed.
        unsafe { self.0.as_ref() }.next
    }
}

impl Inner {
    pub(crate) fn new(config: &HubConfig) -> Self {
        Self {
            pool: Pool::new(config),
            wake: Wake::new(),
            generation: fork_generation(),
            lanes: AtomicPtr::new(ptr::null_mut()),
            idle: SegQueue::new(),
            consumer: Mutex::new(None),
            owner: AtomicUsize::new(0),
        }
    }

    /// The process this belongs to; see [`fork_generation`].
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// A lane for a new writer, who is then its only one.
    pub(crate) fn open_lane(&self) -> LaneRef {
        if let Some(lane) = self.idle.pop() {
            return lane;
        }
        let node = NonNull::from(Box::leak(Box::new(Node {
            lane: Lane::new(),
            next: None,
        })));
        // Relaxed: the exchange below publishes, and `next` is only followed.
        let mut first = self.lanes.load(Ordering::Relaxed);
        loop {
            // SAFETY: not shared before the exchange succeeds.
            unsafe { (*node.as_ptr()).next = NonNull::new(first).map(LaneRef) };
            // Release pairs with the acquire in `first_lane`; acquire takes
            // over the nodes behind for whoever acquires this one.
            match self.lanes.compare_exchange(
                first,
                node.as_ptr(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return LaneRef(node),
                Err(other) => first = other,
            }
        }
    }

    /// The lane's writer is gone; `used` if it ever extended the lane.
    ///
    /// # Safety
    ///
    /// `lane` must come from `open_lane` of this value, and the caller must be
    /// its writer and not use it afterwards.
    pub(crate) unsafe fn leave_lane(&self, lane: LaneRef, used: bool) {
        if used {
            // SAFETY: a lane of `self`.
            unsafe { lane.lane() }.close();
        } else {
            // The consumer has nothing to do with a lane that has no chain.
            self.idle.push(lane);
        }
    }

    pub(crate) fn tallies(&self) -> [u64; TALLIES] {
        let mut sums = [0; TALLIES];
        for lane in self.lanes_from(self.first_lane()) {
            // SAFETY: a lane of `self`.
            unsafe { lane.lane() }.add_tallies_to(&mut sums);
        }
        sums
    }

    /// See [`Hub::drain`](crate::Hub::drain).
    pub(crate) fn drain<F>(&self, mut offer: F) -> Drained
    where
        F: FnMut(&[u8]) -> ControlFlow<()>,
    {
        let mut drained = Drained::default();
        let token = thread_token();
        // Relaxed: equal only if this very thread stored it, rule 3.
        if self.owner.load(Ordering::Relaxed) == token {
            return drained;
        }
        // A panic in a callback leaves everything valid, so a poisoned lock
        // means nothing here.
        let mut resume = self.consumer.lock().unwrap_or_else(PoisonError::into_inner);
        let _owned = Owned::claim(&self.owner, token);
        self.wake.begin();

        let mut offer = |record: &[u8]| {
            drained.records += 1;
            drained.bytes += record.len();
            let flow = offer(record);
            if self.generation == fork_generation() {
                flow
            } else {
                // The callback forked and this is the child: what is left
                // belongs to the parent.
                ControlFlow::Break(())
            }
        };
        let first = self.first_lane();
        let start = resume.take().or(first);
        let before_start = self
            .lanes_from(first)
            .take_while(|lane| Some(*lane) != start);
        for lane in self.lanes_from(start).chain(before_start) {
            // SAFETY: a lane of `self`.
            let visited = unsafe { lane.lane() };
            // SAFETY: the lock makes us the one consumer, a re-entrant call
            // has returned above, and lanes are extended from this pool only.
            match unsafe { visited.read(&self.pool, &mut offer) } {
                Visit::Read => {}
                Visit::Retired => self.idle.push(lane),
                Visit::Stopped => {
                    // SAFETY: a lane of `self`.
                    *resume = unsafe { lane.next() };
                    break;
                }
            }
        }
        drained
    }

    /// The hub is gone: frees what is not in a writer's hands, and lets writers
    /// take no more.
    pub(crate) fn abandon(&self) {
        self.pool.close();
        self.drain(|_| ControlFlow::Continue(()));
    }

    fn first_lane(&self) -> Option<LaneRef> {
        // Acquire pairs with the release in `open_lane`.
        NonNull::new(self.lanes.load(Ordering::Acquire)).map(LaneRef)
    }

    fn lanes_from(&self, start: Option<LaneRef>) -> impl Iterator<Item = LaneRef> + use<> {
        // SAFETY: a lane of `self`; callers do not keep the iterator longer
        // than they borrow `self`.
        std::iter::successors(start, |lane| unsafe { lane.next() })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut node = self.first_lane();
        while let Some(lane) = node {
            // SAFETY: a lane of `self`.
            let last = unsafe { lane.lane() };
            // SAFETY: hub and writers are gone, so nobody else uses the lane.
            unsafe { last.dismantle(&self.pool) };
            // SAFETY: as above; made by `Box::leak`, and freed once.
            let owned = unsafe { Box::from_raw(lane.0.as_ptr()) };
            node = owned.next;
        }
    }
}

/// Names the thread that drains, for as long as it does.
struct Owned<'a>(&'a AtomicUsize);

impl<'a> Owned<'a> {
    fn claim(owner: &'a AtomicUsize, token: usize) -> Self {
        // Relaxed, here and in drop: see `drain`.
        owner.store(token, Ordering::Relaxed);
        Self(owner)
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Hub;

    fn lanes(hub: &std::sync::Arc<Hub>) -> usize {
        let inner = hub.share();
        inner.lanes_from(inner.first_lane()).count()
    }

    #[test]
    fn lanes_are_as_many_as_writers_at_one_time() {
        let hub = Hub::new(HubConfig::default());
        for round in 0..1000 {
            let mut writers = [hub.writer(), hub.writer(), hub.writer()];
            if round % 2 == 0 {
                let [used, ..] = &mut writers;
                assert!(used.push([], b"record").is_ok());
            }
            drop(writers);
            hub.drain(|_| ControlFlow::Continue(()));
        }
        assert_eq!(lanes(&hub), 3);
    }
}
