//! What the expansions of the role attributes call. Not public API: it changes with the macros.

use throughline_core::expansion::{self, Arrived, Carries, Turn};
use throughline_core::handler::{TakenOver, take_over};
use throughline_core::{Callsite, Context, LiveSpan, Span, current};

use crate::delivery::Delivery;
use crate::keys;
use crate::policy::Policy;
use crate::selection::{Subject, selected};

/// Starts the span of a handler and lets `fill` record what it starts with, unless a layer further out observes the
/// same message: then that span becomes one of this callsite and takes over what `fill` records, and the one that is
/// returned is disabled.
pub fn start_handler(callsite: &'static Callsite, fill: impl FnOnce(&mut LiveSpan)) -> Span {
    if !callsite.is_enabled() {
        return Span::disabled();
    }
    match take_over(Some(callsite)) {
        Some(TakenOver::Span) => {
            current().edit(fill);
            Span::disabled()
        }
        Some(TakenOver::Unsampled) => Span::disabled(),
        None if may_start(&Subject::new(), callsite) => {
            kept(expansion::start(callsite, fill), callsite)
        }
        None => Span::disabled(),
    }
}

/// Like [`start_handler`], where the callsite has all there is to be recorded.
pub fn start_constant_handler(callsite: &'static Callsite) -> Span {
    if !callsite.is_enabled() || take_over(Some(callsite)).is_some() {
        return Span::disabled();
    }
    start_of_its_own(callsite)
}

/// Starts the span of a handler that nobody observes further out.
#[inline(never)]
fn start_of_its_own(callsite: &'static Callsite) -> Span {
    if may_start(&Subject::new(), callsite) {
        kept(Span::start(callsite), callsite)
    } else {
        Span::disabled()
    }
}

/// The span of a handler that nobody else observes.
fn kept(mut span: Span, callsite: &'static Callsite) -> Span {
    span.arrived(callsite, None);
    span.keep();
    span
}

/// Whether the selection of the process lets a handler have a span here that nobody else observes.
fn may_start(subject: &Subject<'_>, callsite: &'static Callsite) -> bool {
    let selected = selected(subject, callsite, &Policy::new());
    selected.start || selected.trace && Context::current().span_context().is_valid()
}

impl<T> Carries for Delivery<T> {
    fn handler_span(&self, callsite: &'static Callsite) -> Span {
        self.span_at(callsite)
    }

    fn message_type(&self) -> &'static str {
        std::any::type_name::<T>()
    }
}

/// Begins to handle a message that was received: until the turn is dropped. A layer further in joins its span.
///
/// If none was received, nothing begins.
pub fn turn(arrived: Arrived, fill: impl FnOnce(&mut LiveSpan, &'static str)) -> Turn {
    if !arrived.is_message() {
        return expansion::no_turn();
    }
    let message_type = arrived.message_type();
    let mut span = match arrived.from_nobody() {
        Some((callsite, message)) if !may_start(&Subject::new().message(message), callsite) => {
            Span::disabled()
        }
        _ => arrived.into_span(fill),
    };
    span.label(|| [(keys::MESSAGE_TYPE.name(), Some(message_type))]);
    span.offer();
    expansion::turn_in(span)
}
