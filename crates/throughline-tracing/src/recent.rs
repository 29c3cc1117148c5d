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
    /// The key of nothing: a span's identifier is not zero.
    const NONE: Self = Self { layer: 0, id: 0 };

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
    let entered = with(key, |slot| {
        let span = slot.span.take()?;
        if span.is_ended() {
            slot.key.set(SpanKey::NONE);
            return None;
        }
        span.enter_owned();
        Some(())
    });
    entered.is_some()
}

/// Undoes the last [`enter`] of the span, or an enter of its own; `false` if this thread does not know it.
#[inline]
pub(crate) fn exit(key: SpanKey) -> bool {
    let left = with(key, |slot| {
        let id = slot.id.get();
        let span = match slot.span.take() {
            None => SharedSpan::exit_owned(id)?,
            Some(span) => slot.exit_further(span)?,
        };
        slot.fill(key, id, span);
        Some(())
    });
    left.is_some()
}

/// Lets this thread know the span.
#[inline]
pub(crate) fn remember(key: SpanKey, span: SharedSpan) {
    let _ = RECENT.try_with(|recent| {
        recent[key.slot()].fill(key, span.span_id(), span);
    });
}

/// Takes the span out, if this thread knows it.
#[inline]
pub(crate) fn forget(key: SpanKey) -> Option<SharedSpan> {
    with(key, |slot| {
        slot.key.set(SpanKey::NONE);
        slot.span.take().filter(|span| !span.is_ended())
    })
}

/// Runs `f` on the slot of the span, if this thread knows it.
#[inline]
fn with<R>(key: SpanKey, f: impl FnOnce(&Slot) -> Option<R>) -> Option<R> {
    let done = RECENT.try_with(|recent| {
        let slot = &recent[key.slot()];
        (slot.key.get() == key).then(|| f(slot)).flatten()
    });
    done.ok().flatten()
}

/// What a thread knows of one span, each part by itself, so that none is moved which is not needed.
struct Slot {
    key: Cell<SpanKey>,
    id: Cell<SpanId>,
    /// The span, unless it is current: then it is moved to the thread's stack, and comes back when it is left.
    span: Cell<Option<SharedSpan>>,
}

impl Slot {
    /// Leaves a span that is entered more often than once, or was entered by a thread that knew it from elsewhere.
    #[cold]
    #[inline(never)]
    fn exit_further(&self, span: SharedSpan) -> Option<SharedSpan> {
        if span.is_ended() {
            self.key.set(SpanKey::NONE);
            return None;
        }
        span.exit();
        Some(span)
    }

    #[inline]
    fn fill(&self, key: SpanKey, id: SpanId, span: SharedSpan) {
        self.key.set(key);
        self.id.set(id);
        // What was there is dropped here, the slot being whole: it may be the last owner of its span, and end it.
        drop(self.span.replace(Some(span)));
    }
}

/// Spans that a thread knows; a power of two.
const SLOTS: usize = 32;

thread_local! {
    static RECENT: [Slot; SLOTS] = const {
        [const {
            Slot {
                key: Cell::new(SpanKey::NONE),
                id: Cell::new(SpanId::INVALID),
                span: Cell::new(None),
            }
        }; SLOTS]
    };
}
