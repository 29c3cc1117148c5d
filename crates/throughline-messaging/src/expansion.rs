//! What the expansions of the role attributes call. Not public API: it changes with the macros.

use throughline_core::{Callsite, LiveSpan, Span, expansion};

use crate::observe::join;

/// Starts the span of a handler and lets `fill` record what it starts with, unless a layer further out observes the
/// same message: then that span becomes one of this callsite and takes over what `fill` records, and the one that is
/// returned is disabled.
pub fn start_handler(callsite: &'static Callsite, fill: impl FnOnce(&mut LiveSpan)) -> Span {
    if !callsite.is_enabled() {
        return Span::disabled();
    }
    let mut fill = Some(fill);
    let joined = join(|current| {
        current.edit(|span| {
            span.adopt(callsite);
            if let Some(fill) = fill.take() {
                fill(span);
            }
        });
    });
    if joined {
        return Span::disabled();
    }
    match fill {
        Some(fill) => expansion::start(callsite, fill),
        None => Span::disabled(),
    }
}
