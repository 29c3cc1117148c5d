//! What the tasks of one runtime inherited.
//!
//! Rules of concurrency:
//!
//! 1. What a task inherited is written once, when it is spawned, before any thread can poll it, and removed once, when
//!    it terminates. Task ids are never used again in a process. So a copy in a thread's cache is never wrong, and the
//!    cache needs no invalidation. (A copy whose time is up turns into one without a span; every copy does that.)
//! 2. The count of a shard is raised before its map is written and lowered after, both under the lock. A thread that
//!    polls a task learned of it through Tokio's queues, so it sees the count of that task's spawn.
//! 3. No code of the user runs while the cache is borrowed or a shard is locked.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::panic::Location;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use throughline_core::clock;
use throughline_core::{Context, ContextGuard};
use tokio::task::Id;

use super::exclusions::Exclusions;

/// The tasks of one runtime that inherited a context. Its counts are read at each poll, so it shares no line of the cache
/// with its neighbours on the heap.
#[repr(align(128))]
pub(crate) struct Tasks {
    /// How many tasks each shard holds. Apart from the shards, so that what every poll reads stays in the nearest cache.
    counts: [AtomicU32; SHARDS],
    shards: [Shard; SHARDS],
    exclusions: Exclusions,
    /// Tells runtimes apart: what one of them excludes, another may not.
    number: usize,
    /// How old a task may get before it starts new traces, in ticks of the clock.
    max_age: Option<u64>,
}

/// What a task inherited, and until which tick it keeps it.
#[derive(Clone)]
struct Inherited {
    context: Context,
    until: u64,
}

type Shard = Mutex<Contexts>;
type Contexts = HashMap<u64, Inherited, BuildHasherDefault<Spread>>;

/// One thread: the tasks with a context that it saw last, and the polls it is in, which nest where one blocks on another
/// runtime.
struct Local {
    /// Grows with the number of tasks; a power of two, or empty.
    seen: Vec<Seen>,
    places: [Place; PLACES],
    /// What is attached for the innermost of the polls that something is attached for, and at which depth. It is written at
    /// each poll, so it must not lie on the heap, where the neighbour may be another thread's.
    innermost: Option<(usize, ContextGuard)>,
    /// The same of the polls around it.
    outer: Vec<(usize, ContextGuard)>,
}

/// How many polls the thread is in, and which is the innermost that something is attached for. Apart from [`Local`], since
/// a poll of a task without a context needs nothing else.
struct Polls {
    depth: Cell<usize>,
    attached: Cell<usize>,
}

/// A task and what it inherited. Zero is no task.
struct Seen {
    task: u64,
    inherited: Option<Inherited>,
}

impl Seen {
    const NOTHING: Self = Self {
        task: 0,
        inherited: None,
    };
}

/// A place that spawns tasks and whether a runtime leaves them out. The number zero is no runtime.
#[derive(Clone, Copy)]
struct Place {
    runtime: usize,
    address: usize,
    excluded: bool,
}

impl Place {
    const NOWHERE: Self = Self {
        runtime: 0,
        address: 0,
        excluded: false,
    };
}

thread_local! {
    static LOCAL: RefCell<Local> = const {
        RefCell::new(Local {
            seen: Vec::new(),
            places: [Place::NOWHERE; PLACES],
            innermost: None,
            outer: Vec::new(),
        })
    };
    static POLLS: Polls = const {
        Polls {
            depth: Cell::new(0),
            attached: Cell::new(0),
        }
    };
}

/// `None` where the thread is ending.
#[inline]
fn with_local<R>(f: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL
        .try_with(|local| local.try_borrow_mut().ok().map(|mut local| f(&mut local)))
        .unwrap_or_default()
}

/// How many runtimes there were.
static RUNTIMES: AtomicUsize = AtomicUsize::new(0);

impl Tasks {
    pub(crate) fn new(exclusions: Exclusions, max_age: Option<Duration>) -> Self {
        Self {
            counts: std::array::from_fn(|_| AtomicU32::new(0)),
            shards: std::array::from_fn(|_| Shard::default()),
            exclusions,
            number: RUNTIMES.fetch_add(1, Ordering::Relaxed) + 1,
            max_age: max_age.map(ticks),
        }
    }

    /// A task is spawned on this thread: it inherits what is current here.
    pub(crate) fn spawned(&self, id: Id, place: &'static Location<'static>) {
        let context = Context::current();
        if context == Context::default() || self.excludes(place) {
            return;
        }
        let until = match self.max_age {
            Some(age) => clock::now().get().saturating_add(age),
            None => u64::MAX,
        };
        let task = number(id);
        let inherited = Inherited { context, until };
        // Most tasks are polled first where they are spawned.
        with_local(|local| local.see(task, Some(inherited.clone())));
        let mut tasks = lock(self.shard(task));
        // Pairs with nothing: rule 2 says who may rely on it.
        self.count(task).fetch_add(1, Ordering::Relaxed);
        tasks.insert(task, inherited);
    }

    /// A poll of the task begins on this thread.
    #[inline]
    pub(crate) fn poll_begins(&self, id: Id) {
        let task = number(id);
        let depth = POLLS.with(|polls| {
            polls.depth.set(polls.depth.get() + 1);
            polls.depth.get()
        });
        let count = self.count(task).load(Ordering::Relaxed);
        if count > 0 || Context::has_current() {
            attach(depth, task, self.shard(task), count as usize);
        }
    }

    /// The innermost poll of this thread ends.
    #[inline]
    pub(crate) fn poll_ends() {
        let attached = POLLS.with(|polls| {
            let depth = polls.depth.get();
            polls.depth.set(depth.saturating_sub(1));
            polls.attached.get() == depth && depth > 0
        });
        if attached {
            detach();
        }
    }

    /// The task will not be polled again.
    pub(crate) fn terminated(&self, id: Id) {
        let task = number(id);
        let count = self.count(task);
        if count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut tasks = lock(self.shard(task));
        let removed = tasks.remove(&task);
        if removed.is_some() {
            count.fetch_sub(1, Ordering::Relaxed);
            if tasks.is_empty() {
                tasks.shrink_to(KEPT_PER_SHARD);
            }
        }
    }

    /// How many tasks hold a context.
    #[cfg(test)]
    fn len(&self) -> usize {
        let counts = self.counts.iter();
        counts
            .map(|count| count.load(Ordering::Relaxed) as usize)
            .sum()
    }

    /// Reading the path of a file takes a microsecond, so each place is judged once a thread.
    fn excludes(&self, place: &'static Location<'static>) -> bool {
        let (runtime, address) = (self.number, std::ptr::from_ref(place).addr());
        // Locations are static, so their addresses are theirs; they are words apart.
        let at = (address / size_of::<usize>()) % PLACES;
        let known = with_local(|local| local.places[at])
            .filter(|known| known.runtime == runtime && known.address == address);
        if let Some(known) = known {
            return known.excluded;
        }
        let excluded = self.exclusions.exclude(place);
        with_local(|local| {
            local.places[at] = Place {
                runtime,
                address,
                excluded,
            };
        });
        excluded
    }

    fn shard(&self, task: u64) -> &Shard {
        &self.shards[shard_of(task)]
    }

    fn count(&self, task: u64) -> &AtomicU32 {
        &self.counts[shard_of(task)]
    }
}

/// Makes current what the task inherited, or nothing where something is current. Apart from the poll of a task that needs
/// neither, which would otherwise save and restore the registers that this takes.
#[inline(never)]
fn attach(depth: usize, task: u64, shard: &Shard, count: usize) {
    if count > 0 && with_local(|local| local.attach(depth, task, shard, count)) == Some(true) {
        return;
    }
    // A task that inherited nothing has nothing current, whatever the thread it is polled on is within.
    if Context::has_current() {
        with_local(|local| local.push(depth, Context::default().attach()));
    }
}

#[inline(never)]
fn detach() {
    with_local(Local::pop);
}

/// Neighbours in number are often alive together, so they go to different shards.
const fn shard_of(task: u64) -> usize {
    task as usize % SHARDS
}

fn lock(shard: &Shard) -> MutexGuard<'_, Contexts> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Local {
    /// Makes current what the task inherited, if it did.
    #[inline]
    fn attach(&mut self, depth: usize, task: u64, shard: &Shard, count: usize) -> bool {
        let at = self.slot(task);
        if self.seen.get(at).is_none_or(|seen| seen.task != task) {
            self.grow(count * SHARDS);
            self.see(task, lock(shard).get(&task).cloned());
        }
        let at = self.slot(task);
        let Some(inherited) = self
            .seen
            .get_mut(at)
            .and_then(|seen| seen.inherited.as_mut())
        else {
            return false;
        };
        if inherited.until != u64::MAX && inherited.until < clock::now().get() {
            inherited.context = inherited.context.without_span();
            inherited.until = u64::MAX;
        }
        let guard = inherited.context.attach();
        self.push(depth, guard);
        true
    }

    fn push(&mut self, depth: usize, guard: ContextGuard) {
        if let Some(outer) = self.innermost.replace((depth, guard)) {
            self.outer.push(outer);
        }
        POLLS.with(|polls| polls.attached.set(depth));
    }

    fn pop(&mut self) {
        self.innermost = self.outer.pop();
        let left = self.innermost.as_ref().map_or(0, |(depth, _)| *depth);
        POLLS.with(|polls| polls.attached.set(left));
    }

    /// Remembers what the task inherited.
    fn see(&mut self, task: u64, inherited: Option<Inherited>) {
        let at = self.slot(task);
        if let Some(seen) = self.seen.get_mut(at) {
            *seen = Seen { task, inherited };
        }
    }

    /// Makes room for about so many tasks. What was remembered is forgotten, and found again in the shards.
    fn grow(&mut self, tasks: usize) {
        let wanted = tasks.clamp(FEWEST_SEEN, MOST_SEEN).next_power_of_two();
        if wanted > self.seen.len() {
            self.seen.clear();
            self.seen.resize_with(wanted, || Seen::NOTHING);
        }
    }

    fn slot(&self, task: u64) -> usize {
        task as usize & self.seen.len().wrapping_sub(1)
    }
}

/// The number in a task id. It has no accessor, but what it hashes is that number.
#[inline]
fn number(id: Id) -> u64 {
    let mut hasher = Number(0);
    id.hash(&mut hasher);
    hasher.0
}

/// Keeps what it is given.
struct Number(u64);

impl Hasher for Number {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// Spreads the numbers of one shard over its map.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The multiplier of Fibonacci hashing; the map reads both ends of the result.
        let product = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }
}

/// A duration in ticks of the clock.
fn ticks(duration: Duration) -> u64 {
    const SAMPLE: u64 = 1 << 32;
    let nanos = u128::from(clock::ticks_to_nanos(SAMPLE).max(1));
    let ticks = duration.as_nanos().saturating_mul(u128::from(SAMPLE)) / nanos;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// How many tasks a thread remembers: as many as the runtime has, within these limits, at 56 bytes each. Past the second,
/// a poll looks its task up in the shards.
const FEWEST_SEEN: usize = 64;
const MOST_SEEN: usize = 16 << 10;
/// How many places a thread remembers.
const PLACES: usize = 32;
/// More than threads, so that they rarely meet; many enough that few of them hold anything while few tasks do.
const SHARDS: usize = 256;
/// The capacity that an empty shard keeps.
const KEPT_PER_SHARD: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use throughline_core::{SpanContext, SpanId, TraceFlags, TraceId};

    fn some_context() -> Context {
        Context::from(SpanContext::new(
            TraceId::from_bytes([1; 16]),
            SpanId::from_bytes([2; 8]),
            TraceFlags::NONE,
            false,
        ))
    }

    /// Ids are Tokio's to make.
    fn ids(count: usize) -> Vec<Id> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let tasks = (0..count).map(|_| tokio::spawn(std::future::ready(())));
            tasks.map(|task| task.id()).collect()
        })
    }

    #[test]
    fn what_was_inherited_is_there_from_spawn_to_end() {
        let tasks = Tasks::new(Exclusions::none(), None);
        let ids = ids(1000);
        let context = some_context();
        for &id in &ids {
            let _current = context.attach();
            tasks.spawned(id, Location::caller());
        }
        assert_eq!(tasks.len(), 1000);
        for &id in &ids {
            tasks.poll_begins(id);
            assert_eq!(Context::current(), context);
            Tasks::poll_ends();
            assert_eq!(Context::current(), Context::default());
        }
        ids.iter().for_each(|&id| tasks.terminated(id));
        ids.iter().for_each(|&id| tasks.terminated(id));
        assert_eq!(tasks.len(), 0);
    }

    #[test]
    fn polls_nest() {
        let tasks = Tasks::new(Exclusions::none(), None);
        let ids = ids(2);
        let context = some_context();
        {
            let _current = context.attach();
            tasks.spawned(ids[0], Location::caller());
        }
        tasks.spawned(ids[1], Location::caller());
        tasks.poll_begins(ids[0]);
        tasks.poll_begins(ids[1]);
        assert!(!Context::current().span_context().is_valid());
        Tasks::poll_ends();
        assert_eq!(Context::current(), context);
        Tasks::poll_ends();
        Tasks::poll_ends();
        assert_eq!(Context::current(), Context::default());
    }

    #[test]
    fn a_second_has_as_many_ticks_as_the_clock_says() {
        let nanos = clock::ticks_to_nanos(ticks(Duration::from_secs(1)));
        assert!((999_000_000..=1_001_000_000).contains(&nanos), "{nanos}");
        assert_eq!(ticks(Duration::MAX), u64::MAX);
    }
}
