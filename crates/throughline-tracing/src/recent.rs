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
    let entry = take(key)?;
    let result = f(&entry.1);
    put(entry);
    Some(result)
}

/// Lets this thread know the span.
#[inline]
pub(crate) fn remember(key: SpanKey, span: SharedSpan) {
    put((key, span));
}

/// Takes the span out, if this thread knows it.
#[inline]
pub(crate) fn forget(key: SpanKey) -> Option<SharedSpan> {
    take(key).map(|(_, span)| span)
}

#[inline]
fn take(key: SpanKey) -> Option<Entry> {
    let taken = RECENT.try_with(|recent| recent[key.slot()].take());
    match taken.ok().flatten() {
        Some(entry) if entry.0 == key && !entry.1.is_ended() => Some(entry),
        // Another span of the same slot keeps its place.
        Some(entry) if entry.0 != key => {
            put(entry);
            None
        }
        _ => None,
    }
}

#[inline]
fn put(entry: Entry) {
    // What was there is dropped out here: it may be the last owner of its span, and end it.
    let replaced = RECENT.try_with(|recent| recent[entry.0.slot()].replace(Some(entry)));
    drop(replaced);
}

type Entry = (SpanKey, SharedSpan);

/// Spans that a thread knows; a power of two.
const SLOTS: usize = 32;

thread_local! {
    static RECENT: [Cell<Option<Entry>>; SLOTS] = const { [const { Cell::new(None) }; SLOTS] };
}
