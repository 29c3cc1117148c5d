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

use throughline_core::SharedSpan;
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

/// Runs `f` on the span, if this thread knows it. `f` must not run code of the user.
#[inline]
pub(crate) fn with<R>(key: SpanKey, f: impl FnOnce(&SharedSpan) -> R) -> Option<R> {
    let known = RECENT.try_with(|recent| {
        let slot = &recent[key.slot()];
        // Out of its slot, the entry is safe from whatever `f` leads to.
        let entry = slot.take()?;
        let result = entry.is(key).then(|| f(&entry.span));
        slot.set(Some(entry));
        result
    });
    known.ok().flatten()
}

/// Lets this thread know the span.
#[inline]
pub(crate) fn remember(key: SpanKey, span: SharedSpan) {
    let entry = Entry { key, span };
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
        if entry.is(key) {
            return Some(entry.span);
        }
        slot.set(Some(entry));
        None
    });
    known.ok().flatten()
}

struct Entry {
    key: SpanKey,
    span: SharedSpan,
}

impl Entry {
    fn is(&self, key: SpanKey) -> bool {
        self.key == key && !self.span.is_ended()
    }
}

/// Spans that a thread knows; a power of two.
const SLOTS: usize = 32;

thread_local! {
    static RECENT: [Cell<Option<Entry>>; SLOTS] = const { [const { Cell::new(None) }; SLOTS] };
}
