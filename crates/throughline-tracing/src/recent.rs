//! The recorded spans that a thread has to do with at the moment, found without asking the registry.
//!
//! To enter, leave and close a span is most of what happens to it. Asking the registry takes four atomic operations
//! and a hash each time; here it takes a look into an array.
//!
//! Rules:
//! 1. A thread has its own array. What it holds may be out of date, since another thread may close the span: then the
//!    span says that it has ended, and the registry is asked.
//! 2. Identifiers are unique among the open spans of a registry only, and a layer belongs to one registry: a key is
//!    both, the number of the layer and the identifier.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use throughline_core::{SharedSpan, SpanId};
use tracing::Id;

/// A span as a layer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanKey {
    layer: u32,
    id: u64,
}

impl SpanKey {
    pub(crate) fn new(layer: u32, id: &Id) -> Self {
        Self {
            layer,
            id: id.into_u64(),
        }
    }

    /// Spreads identifiers over the slots: Fibonacci hashing.
    const fn slot(self) -> usize {
        (self.id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SLOTS.ilog2())) as usize
    }
}

/// A number for one more layer.
pub(crate) fn layer_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: the number is only an identity.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Makes the span current; `false` if this thread does not know it.
#[inline]
pub(crate) fn enter(key: SpanKey) -> bool {
    with(key, |entry| {
        let span = entry.span.take()?;
        span.enter_owned();
        Some(())
    })
}

/// Undoes the last [`enter`] of the span, or an enter of its own; `false` if this thread does not know it.
#[inline]
pub(crate) fn exit(key: SpanKey) -> bool {
    with(key, |entry| {
        match &entry.span {
            Some(span) => span.exit(),
            None => entry.span = Some(SharedSpan::exit_owned(entry.id)?),
        }
        Some(())
    })
}

/// Runs `f` on the entry of the span. One that is found to be out of date is removed.
#[inline]
fn with(key: SpanKey, f: impl FnOnce(&mut Entry) -> Option<()>) -> bool {
    let done = RECENT.try_with(|recent| {
        let slot = &recent[key.slot()];
        // Out of its slot, the entry is safe from whatever `f` leads to.
        let Some(mut entry) = slot.take() else {
            return false;
        };
        if entry.key != key {
            slot.set(Some(entry));
            return false;
        }
        let done = !entry.has_ended() && f(&mut entry).is_some();
        if done {
            slot.set(Some(entry));
        }
        done
    });
    done.unwrap_or_default()
}

/// Lets this thread know the span.
#[inline]
pub(crate) fn remember(key: SpanKey, span: SharedSpan) {
    let entry = Entry {
        key,
        id: span.context().span_context().span_id(),
        span: Some(span),
    };
    // What was there is dropped out here: it may be the last owner of its span, and end it.
    let replaced = RECENT.try_with(|recent| recent[key.slot()].replace(Some(entry)));
    drop(replaced);
}

/// Takes the span out, if this thread knows it.
#[inline]
pub(crate) fn forget(key: SpanKey) -> Option<SharedSpan> {
    let known = RECENT.try_with(|recent| {
        let slot = &recent[key.slot()];
        let entry = slot.take()?;
        if entry.key == key {
            return entry.span.filter(|span| !span.is_ended());
        }
        slot.set(Some(entry));
        None
    });
    known.ok().flatten()
}

struct Entry {
    key: SpanKey,
    id: SpanId,
    /// The span, unless it is current: then it is moved to the thread's stack, and comes back when it is left.
    span: Option<SharedSpan>,
}

impl Entry {
    fn has_ended(&self) -> bool {
        self.span.as_ref().is_some_and(SharedSpan::is_ended)
    }
}

/// Spans that a thread knows; a power of two.
const SLOTS: usize = 32;

thread_local! {
    static RECENT: [Cell<Option<Entry>>; SLOTS] = const { [const { Cell::new(None) }; SLOTS] };
}
