//! Which span a panic came out of, for whoever catches it.

use std::cell::Cell;

use crate::context::Context;
use crate::span::Span;

thread_local! {
    /// The outermost of the spans that the last panic came out of.
    static UNWOUND: Cell<Option<Context>> = const { Cell::new(None) };
}

/// The thread unwinds out of a poll in that span.
#[cold]
pub(crate) fn note(span: &Span) {
    if !span.is_disabled() {
        // A thread that is ending has nobody to catch this.
        let _ = UNWOUND.try_with(|cell| cell.set(Some(span.context())));
    }
}

/// The outermost of the spans whose polls were unwound since this was asked last.
pub(crate) fn take() -> Option<Context> {
    UNWOUND.try_with(Cell::take).unwrap_or_default()
}
