//! Spans that several owners enter, edit and end: what `tracing` spans and other APIs' spans are built on.
//!
//! Rules of concurrency:
//! 1. The open span lies behind a mutex, held while it is edited, which may format values of the user.
//! 2. A thread that is already editing a shared span never waits for another one: it gives up that edit instead, so
//!    that a `Debug` that logs cannot deadlock.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::clock::{self, Ticks};
use crate::context::Context;
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
}

impl SharedSpan {
    pub(crate) fn new(context: Context, live: Option<Box<LiveSpan>>) -> Self {
        Self(Arc::new(Inner {
            context,
            live: Mutex::new(live),
            ended: AtomicBool::new(false),
        }))
    }

    /// The context that makes others children of this span.
    pub fn context(&self) -> Context {
        self.0.context.clone()
    }

    /// Whether the span records; an unsampled one does not.
    pub fn is_sampled(&self) -> bool {
        self.0.context.span_context().is_sampled()
    }

    /// Makes the span current on this thread until [`exit`](Self::exit).
    pub fn enter(&self) {
        let entered = if self.is_sampled() {
            clock::now()
        } else {
            Ticks::default()
        };
        local::enter_shared(self.clone(), entered);
    }

    /// Undoes the last [`enter`](Self::enter) of this span on this thread; does nothing if there was none.
    pub fn exit(&self) {
        if let Some(entered) = local::exit_shared(self)
            && self.is_sampled()
        {
            let left = clock::now();
            self.edit(|live| live.add_poll(entered, left));
        }
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
        let editing = Editing::begin();
        let taken = editing.lock(&self.0.live).and_then(|mut live| live.take());
        drop(editing);
        // Relaxed: it orders nothing; who has to know at once is told by whoever calls `end`.
        self.0.ended.store(true, Ordering::Relaxed);
        if let Some(live) = taken {
            end(live);
        }
    }

    /// Whether [`end`](Self::end) was called.
    pub fn is_ended(&self) -> bool {
        // Relaxed: see `end`.
        self.0.ended.load(Ordering::Relaxed)
    }

    pub(crate) fn context_ref(&self) -> &Context {
        &self.0.context
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn end(mut live: Box<LiveSpan>) {
    let end = (live.polls() > 0).then(|| live.last_exit());
    live.finish(live.outcome_so_far());
    local::end(live, end);
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(live) = self
            .live
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            end(live);
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

thread_local! {
    static EDITING: Cell<u32> = const { Cell::new(0) };
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
        if !self.nested {
            return Some(live.lock().unwrap_or_else(PoisonError::into_inner));
        }
        match live.try_lock() {
            Ok(live) => Some(live),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Drop for Editing {
    fn drop(&mut self) {
        EDITING.set(EDITING.get() - 1);
    }
}
