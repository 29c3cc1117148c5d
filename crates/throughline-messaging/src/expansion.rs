//! What the expansions of the role attributes call. Not public API: it changes with the macros.

use throughline_core::expansion::{self, Arrived, Carries, Turn};
use throughline_core::{Callsite, Context, LiveSpan, Span, short_type_name};

use crate::delivery::Delivery;
use crate::keys;
use crate::observe::join_as;
use crate::policy::Policy;
use crate::selection::{Subject, selected};

/// Starts the span of a handler and lets `fill` record what it starts with, unless a layer further out observes the
/// same message: then that span becomes one of this callsite and takes over what `fill` records, and the one that is
/// returned is disabled.
pub fn start_handler(callsite: &'static Callsite, fill: impl FnOnce(&mut LiveSpan)) -> Span {
    if !callsite.is_enabled() {
        return Span::disabled();
    }
    let mut fill = Some(fill);
    let joined = join_as(Some(callsite), |current| {
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
        Some(fill) if may_start(callsite) => {
            let mut span = expansion::start(callsite, fill);
            span.arrived(callsite, None);
            span.keep();
            span
        }
        _ => Span::disabled(),
    }
}

/// Whether the selection of the process lets a handler have a span here that nobody else observes: it is known by its
/// callsite alone.
fn may_start(callsite: &'static Callsite) -> bool {
    let selected = selected(&Subject::new(), callsite, &Policy::new());
    selected.start || selected.trace && Context::current().span_context().is_valid()
}

impl<T> Carries for Delivery<T> {
    fn handler_span(&self, callsite: &'static Callsite) -> Span {
        self.span_at(callsite)
    }

    fn message_type(&self) -> &'static str {
        short_type_name(std::any::type_name::<T>())
    }
}

/// Begins to handle a message that was received: until the turn is dropped. A layer further in joins its span.
pub fn turn(arrived: Arrived, fill: impl FnOnce(&mut LiveSpan, &'static str)) -> Turn {
    let message_type = arrived.message_type();
    let mut span = arrived.into_span(fill);
    span.label(|| [(keys::MESSAGE_TYPE.name(), Some(message_type))]);
    span.offer();
    expansion::turn_in(span)
}
