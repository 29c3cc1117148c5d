//! Spans that several owners enter, edit and end: what `tracing` spans and other APIs' spans are built on.
//!
//! Rules of concurrency:
//! 1. The open span lies behind a mutex, held while it is edited, which may format values of the user.
//! 2. A thread that is already editing a shared span never waits for another one: it gives up that edit instead, so
//!    that a `Debug` that logs cannot deadlock.
//! 3. The first stay is noted without the mutex, by the thread that made the span and no other. Every other stay is
//!    added under the mutex, by whichever thread it was on. The end brings the two together.
//! 4. The memory of a span goes to the pool of the thread where its last owner lets go, if that one says so. There are no
//!    weak references, so that an owner sees by one load that it is the last.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use triomphe::{Arc, UniqueArc};

use crate::clock::{self, Ticks};
use crate::context::Context;
use crate::id::SpanId;
use crate::live::LiveSpan;
use crate::local;

/// A span with several owners. It ends at [`end`](Self::end), or when the last owner goes.
///
/// [`enter`](Self::enter) and [`exit`](Self::exit) may come unbalanced, out of order and on several threads at once.
#[derive(Clone)]
pub struct SharedSpan(Arc<Inner>);

struct Inner {
    context: Context,
    live: Mutex<Option<Box<LiveSpan>>>,
    ended: AtomicBool,
    is_sampled: bool,
    /// The number of the thread that made the span, which alone writes `first`.
    maker: u64,
    first: FirstStay,
}

/// When the span was first entered and left by the thread that made it: for most spans, all there is to know.
#[derive(Default)]
struct FirstStay {
    entered: AtomicU64,
    /// Zero as long as there was none.
    left: AtomicU64,
}

impl SharedSpan {
    pub(crate) fn new(live: Option<Box<LiveSpan>>) -> Self {
        let kept = POOL.try_with(|pool| pool.try_borrow_mut().ok()?.pop());
        let Some(mut place) = kept.ok().flatten() else {
            return Self::in_new_memory(live);
        };
        // Field by field, and the context right from where it is: what is put together elsewhere first, in parts, the
        // processor cannot copy as a whole before all parts have arrived.
        place.context = context_of(live.as_deref());
        place.is_sampled = place.context.span_context().is_sampled();
        // What was in it has ended, or `recycle` would not have kept it.
        place.live = Mutex::new(live);
        place.ended = AtomicBool::new(false);
        place.maker = this_thread();
        place.first = FirstStay::default();
        Self(place.shareable())
    }

    #[cold]
    #[inline(never)]
    fn in_new_memory(live: Option<Box<LiveSpan>>) -> Self {
        let context = context_of(live.as_deref());
        Self(Arc::new(Inner {
            is_sampled: context.span_context().is_sampled(),
            context,
            live: Mutex::new(live),
            ended: AtomicBool::new(false),
            maker: this_thread(),
            first: FirstStay::default(),
        }))
    }

    /// The context that makes others children of this span.
    pub fn context(&self) -> Context {
        self.0.context.clone()
    }

    /// The span's identifier.
    #[inline]
    pub fn span_id(&self) -> SpanId {
        self.0.context.span_id()
    }

    /// Whether the span records; an unsampled one does not.
    #[inline]
    pub fn is_sampled(&self) -> bool {
        self.0.is_sampled
    }

    /// Whether an [`edit`](Self::edit) at this moment would be made. Takes no lock, as a rule.
    pub(crate) fn is_recording(&self) -> bool {
        if is_editing() {
            // It may be the one that this thread is editing.
            return self.edit(|_| ()).is_some();
        }
        self.is_sampled() && !self.is_ended()
    }

    /// Makes the span current on this thread until [`exit`](Self::exit).
    pub fn enter(&self) {
        self.clone().enter_owned();
    }

    /// As [`enter`](Self::enter), for an owner that [`exit_owned`](Self::exit_owned) gives back: it is moved rather
    /// than cloned.
    #[inline]
    pub fn enter_owned(self) {
        let entered = if self.is_sampled() {
            clock::now()
        } else {
            Ticks::default()
        };
        local::enter_shared(self, entered);
    }

    /// Undoes the last [`enter`](Self::enter) of this span on this thread; does nothing if there was none.
    pub fn exit(&self) {
        Self::exit_owned(self.span_id());
    }

    /// Undoes the last [`enter_owned`](Self::enter_owned) of the span with that id on this thread; `None` if there was
    /// none.
    #[inline]
    pub fn exit_owned(id: SpanId) -> Option<Self> {
        let (span, entered) = local::exit_shared(id)?;
        if span.is_sampled() {
            span.add_stay(entered, clock::now());
        }
        Some(span)
    }

    #[inline]
    fn add_stay(&self, entered: Ticks, left: Ticks) {
        let first = &self.0.first;
        // Relaxed: only this thread writes it.
        if self.0.maker == this_thread() && first.left.load(Ordering::Relaxed) == 0 {
            first.entered.store(entered.get(), Ordering::Relaxed);
            // Pairs with the load in `FirstStay::get`.
            first.left.store(left.get(), Ordering::Release);
        } else {
            self.add_further_stay(entered, left);
        }
    }

    #[cold]
    #[inline(never)]
    fn add_further_stay(&self, entered: Ticks, left: Ticks) {
        self.edit(|live| live.add_poll(entered, left));
    }

    /// Edits the span, unless it has ended, is unsampled, or this thread is editing a span already.
    pub fn edit<R>(&self, edit: impl FnOnce(&mut LiveSpan) -> R) -> Option<R> {
        let editing = Editing::begin();
        let mut live = editing.lock(&self.0.live)?;
        live.as_deref_mut()
            .filter(|live| live.is_recording())
            .map(edit)
    }

    /// Ends the span at the time of its last [`exit`](Self::exit), or now if it was never entered. Later calls do
    /// nothing.
    pub fn end(&self) {
        let Some(mut live) = lock(&self.0.live, is_editing()) else {
            // It is being edited, and ends when its last owner goes.
            return;
        };
        let taken = live.take();
        drop(live);
        // Relaxed: it orders nothing; who has to know at once is told by whoever calls `end`.
        self.0.ended.store(true, Ordering::Relaxed);
        if let Some(live) = taken {
            end(live, self.0.first.get());
        }
    }

    /// As [`end`](Self::end), at that unix time in nanoseconds; an end before the start becomes the start.
    pub fn end_at(&self, unix_nanos: u64) {
        self.edit(|live| live.end_at(unix_nanos));
        self.end();
    }

    /// Whether the span has ended.
    #[inline]
    pub fn is_ended(&self) -> bool {
        // Relaxed: see `end`.
        self.0.ended.load(Ordering::Relaxed)
    }

    /// Lets go of a span, as dropping does. The last owner of one that has ended keeps its memory for the next one that
    /// this thread makes.
    #[inline]
    pub fn recycle(self) {
        if self.is_ended()
            && let Ok(place) = Arc::try_unique(self.0)
        {
            // Where the pool is gone or full, the memory is freed.
            let _ = POOL.try_with(|pool| {
                if let Ok(mut pool) = pool.try_borrow_mut()
                    && pool.len() < POOLED
                {
                    pool.push(place);
                }
            });
        }
    }

    pub(crate) fn context_ref(&self) -> &Context {
        &self.0.context
    }
}

/// The context of a span; an empty one if there is none.
#[inline]
fn context_of(live: Option<&LiveSpan>) -> Context {
    live.map(LiveSpan::context).cloned().unwrap_or_default()
}

impl FirstStay {
    fn get(&self) -> Option<(Ticks, Ticks)> {
        // Acquire: pairs with the store in `add_stay`, so that the other number is there too.
        match self.left.load(Ordering::Acquire) {
            0 => None,
            left => {
                let entered = self.entered.load(Ordering::Relaxed);
                Some((Ticks::from_raw(entered), Ticks::from_raw(left)))
            }
        }
    }
}

#[inline]
fn end(mut live: Box<LiveSpan>, first: Option<(Ticks, Ticks)>) {
    let last_exit = match first {
        // A span that was entered once was busy all the time: nobody asks how long.
        Some((_, left)) if live.polls() == 0 => Some(left),
        first => end_of_stays(&mut live, first),
    };
    live.finish(live.outcome_so_far());
    let end = live.ended_at().or(last_exit);
    local::end(live, end);
}

/// Brings the stays together; returns when the last one ended.
#[inline(never)]
fn end_of_stays(live: &mut LiveSpan, first: Option<(Ticks, Ticks)>) -> Option<Ticks> {
    let last_exit = (live.polls() > 0).then(|| live.last_exit());
    let Some((entered, left)) = first else {
        return last_exit;
    };
    live.add_poll(entered, left);
    last_exit.max(Some(left))
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(live) = self
            .live
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            end(live, self.first.get());
        }
    }
}

impl fmt::Debug for SharedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSpan")
            .field("context", &self.0.context)
            .finish_non_exhaustive()
    }
}

/// The number of this thread, which no other thread of the process ever has.
#[inline]
fn this_thread() -> u64 {
    match THREAD.get() {
        0 => number_thread(),
        number => number,
    }
}

#[cold]
fn number_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: the number is only an identity.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    THREAD.set(number);
    number
}

/// Cells that a thread keeps for its next spans.
const POOLED: usize = 64;

thread_local! {
    static EDITING: Cell<u32> = const { Cell::new(0) };
    /// Zero until it is asked for.
    static THREAD: Cell<u64> = const { Cell::new(0) };
    static POOL: RefCell<Vec<UniqueArc<Inner>>> = const { RefCell::new(Vec::new()) };
}

/// Marks this thread as one that edits a shared span (rule 2).
struct Editing {
    nested: bool,
}

impl Editing {
    fn begin() -> Self {
        Self {
            nested: EDITING.replace(EDITING.get() + 1) > 0,
        }
    }

    fn lock<'a>(
        &self,
        live: &'a Mutex<Option<Box<LiveSpan>>>,
    ) -> Option<MutexGuard<'a, Option<Box<LiveSpan>>>> {
        lock(live, self.nested)
    }
}

/// Locks an open span; `None` rather than to wait if this thread edits a span already.
#[inline]
fn lock(
    live: &Mutex<Option<Box<LiveSpan>>>,
    is_editing: bool,
) -> Option<MutexGuard<'_, Option<Box<LiveSpan>>>> {
    if !is_editing {
        return Some(live.lock().unwrap_or_else(PoisonError::into_inner));
    }
    match live.try_lock() {
        Ok(live) => Some(live),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn is_editing() -> bool {
    EDITING.get() > 0
}

impl Drop for Editing {
    fn drop(&mut self) {
        EDITING.set(EDITING.get() - 1);
    }
}
