//! The headers of [W3C Trace Context level 2](https://www.w3.org/TR/trace-context-2/) and of
//! [W3C Baggage](https://www.w3.org/TR/baggage/).

use super::baggage::{Baggage, Budget};
use super::carrier::{Extract, Inject, only};
use super::extras::Decision;
use super::propagator::Egress;
use super::tracestate::TraceState;
use crate::context::Context;
use crate::span_context;

pub(super) fn extract(context: Context, carrier: &dyn Extract) -> Context {
    let Some(span) = only(carrier, TRACEPARENT, span_context::parse).value() else {
        return context;
    };
    let tracestate = TraceState::parse_visited(|visit| carrier.get_all(TRACESTATE, visit));
    context
        .received(span, Decision::InFlags, false)
        .with_tracestate(tracestate.unwrap_or_default())
}

pub(super) fn inject(context: &Context, carrier: &mut dyn Inject) {
    let span = context.span_context();
    if !span.is_valid() {
        return;
    }
    carrier.set(TRACEPARENT, span.to_traceparent().as_str());
    let tracestate = context.tracestate();
    if tracestate.is_empty() {
        // One that is there belongs to another traceparent.
        carrier.remove(TRACESTATE);
    } else {
        carrier.set(TRACESTATE, tracestate.as_str());
    }
}

pub(super) fn extract_baggage(context: Context, carrier: &dyn Extract) -> Context {
    let mut baggage = Baggage::new();
    let mut budget = Budget::new();
    carrier.get_all(BAGGAGE, &mut |header| baggage.read(header, &mut budget));
    if baggage.is_empty() {
        return context;
    }
    context.with_baggage(baggage)
}

pub(super) fn inject_baggage(context: &Context, egress: &Egress, carrier: &mut dyn Inject) {
    if let Some(header) = context.baggage().to_header(|name| egress.allows(name)) {
        carrier.set(BAGGAGE, &header);
    }
}

pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";
pub(super) const BAGGAGE: &str = "baggage";
