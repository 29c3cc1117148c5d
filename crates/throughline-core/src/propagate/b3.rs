//! [B3](https://github.com/openzipkin/b3-propagation), in one header and in several.
//!
//! Both are read, whichever is written; the single header wins. The debug flag stays with the trace, and the id of the
//! parent's parent is neither kept nor sent.

use super::carrier::{Extract, Found, Inject, only};
use super::extras::Decision;
use super::text::Text;
use crate::context::Context;
use crate::id::{SpanId, TraceFlags, TraceId, decode_hex};
use crate::span_context::SpanContext;

pub(super) fn extract(context: Context, carrier: &dyn Extract) -> Context {
    let found = match only(carrier, B3, parse) {
        Found::Nothing => read_many(carrier),
        found => found.value(),
    };
    match found {
        None => context,
        Some(B3Header { span, sampling }) => match span {
            Some((trace_id, span_id)) => {
                let flags = TraceFlags::NONE.with_sampled(sampling.is_accepted());
                let span = SpanContext::new(trace_id, span_id, flags, true);
                let decision = match sampling {
                    Sampling::Deferred => Decision::Deferred,
                    _ => Decision::InFlags,
                };
                context.received(span, decision, sampling == Sampling::Debug)
            }
            // Only a decision: it does not change what another header said.
            None if context.span_context().is_valid() => context,
            None => context.edit_extras(|extras| {
                extras.debug |= sampling == Sampling::Debug;
                extras.decision = match sampling {
                    Sampling::Deferred => extras.decision,
                    Sampling::Deny => Decision::Deny,
                    Sampling::Accept | Sampling::Debug => Decision::Accept,
                };
            }),
        },
    }
}

pub(super) fn inject_single(context: &Context, carrier: &mut dyn Inject) {
    let span = context.span_context();
    let sampling = Sampling::of(context);
    let state = match sampling {
        Sampling::Deferred => "",
        Sampling::Deny => "0",
        Sampling::Accept => "1",
        Sampling::Debug => "d",
    };
    if !span.is_valid() {
        if sampling != Sampling::Deferred {
            carrier.set(B3, state);
        }
        return;
    }
    let mut header = ids_of(&span);
    if sampling != Sampling::Deferred {
        header = header.push("-").push(state);
    }
    carrier.set(B3, header.as_str());
}

pub(super) fn inject_multi(context: &Context, carrier: &mut dyn Inject) {
    let span = context.span_context();
    let sampling = Sampling::of(context);
    if span.is_valid() {
        let trace_id = Text::<32>::new().hex(&span.trace_id().to_bytes());
        let span_id = Text::<16>::new().hex(&span.span_id().to_bytes());
        carrier.set(TRACE_ID, trace_id.as_str());
        carrier.set(SPAN_ID, span_id.as_str());
    } else if sampling == Sampling::Deferred {
        return;
    }
    // What a copied request says about another span must not go along.
    carrier.remove(PARENT_SPAN_ID);
    match sampling {
        Sampling::Debug => {
            carrier.set(FLAGS, "1");
            carrier.remove(SAMPLED);
        }
        Sampling::Deferred => {
            carrier.remove(FLAGS);
            carrier.remove(SAMPLED);
        }
        Sampling::Accept | Sampling::Deny => {
            let accepted = sampling == Sampling::Accept;
            carrier.set(SAMPLED, if accepted { "1" } else { "0" });
            carrier.remove(FLAGS);
        }
    }
}

/// `{trace id}-{span id}`, with room for what B3 and Sentry add.
pub(super) fn ids_of(span: &SpanContext) -> Text<51> {
    Text::new()
        .hex(&span.trace_id().to_bytes())
        .push("-")
        .hex(&span.span_id().to_bytes())
}

struct B3Header {
    span: Option<(TraceId, SpanId)>,
    sampling: Sampling,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sampling {
    Deferred,
    Deny,
    Accept,
    Debug,
}

impl Sampling {
    /// What is to be sent for this context; without a span, [`Deferred`](Self::Deferred) stands for nothing.
    fn of(context: &Context) -> Self {
        let span = context.span_context();
        let accepted = match context.decision() {
            decision if !span.is_valid() => match decision {
                Decision::Accept => true,
                Decision::Deny => false,
                Decision::InFlags | Decision::Deferred => return Self::Deferred,
            },
            _ if context.is_deferred() => return Self::Deferred,
            _ => span.trace_flags().is_sampled(),
        };
        match (accepted, context.is_debug()) {
            (true, true) => Self::Debug,
            (true, false) => Self::Accept,
            (false, _) => Self::Deny,
        }
    }

    const fn is_accepted(self) -> bool {
        matches!(self, Self::Accept | Self::Debug)
    }
}

/// Reads `{trace id}-{span id}[-{sampling}[-{parent}]]` or a sampling state alone.
fn parse(header: &[u8]) -> Option<B3Header> {
    if let Some(sampling) = state(header) {
        let span = None;
        return Some(B3Header { span, sampling });
    }
    // No form is longer; what is, need not be split.
    if header.len() > 68 {
        return None;
    }
    let mut fields = header.split(|byte| *byte == b'-');
    let trace_id = trace_id(fields.next()?)?;
    let span_id = span_id(fields.next()?)?;
    let sampling = match fields.next() {
        Some(field) => state(field)?,
        None => Sampling::Deferred,
    };
    if let Some(parent) = fields.next() {
        decode_hex::<8>(parent)?;
    }
    let span = Some((trace_id, span_id));
    fields
        .next()
        .is_none()
        .then_some(B3Header { span, sampling })
}

fn state(field: &[u8]) -> Option<Sampling> {
    match field {
        b"0" => Some(Sampling::Deny),
        b"1" => Some(Sampling::Accept),
        b"d" => Some(Sampling::Debug),
        _ => None,
    }
}

fn read_many(carrier: &dyn Extract) -> Option<B3Header> {
    let sampled = only(carrier, SAMPLED, |value| match value {
        b"1" => Some(Sampling::Accept),
        b"0" => Some(Sampling::Deny),
        value if value.eq_ignore_ascii_case(b"true") => Some(Sampling::Accept),
        value if value.eq_ignore_ascii_case(b"false") => Some(Sampling::Deny),
        _ => None,
    });
    let debug = only(carrier, FLAGS, |value| (value == b"1").then_some(()));
    let sampling = match (debug, sampled) {
        (Found::Value(()), _) => Sampling::Debug,
        (_, Found::Value(sampling)) => sampling,
        (_, Found::Nothing) => Sampling::Deferred,
        (_, Found::Wrong) => return None,
    };
    let ids = (
        only(carrier, TRACE_ID, trace_id),
        only(carrier, SPAN_ID, span_id),
    );
    let span = match ids {
        (Found::Value(trace_id), Found::Value(span_id)) => Some((trace_id, span_id)),
        (Found::Nothing, Found::Nothing) if sampling != Sampling::Deferred => None,
        _ => return None,
    };
    Some(B3Header { span, sampling })
}

/// 128 bits, or 64 that are filled up with zeros on the left.
fn trace_id(field: &[u8]) -> Option<TraceId> {
    let id = match decode_hex::<8>(field) {
        Some(low) => TraceId::from_halves([0, u64::from_be_bytes(low)]),
        None => TraceId::from_bytes(decode_hex(field)?),
    };
    id.is_valid().then_some(id)
}

fn span_id(field: &[u8]) -> Option<SpanId> {
    let id = SpanId::from_bytes(decode_hex(field)?);
    id.is_valid().then_some(id)
}

pub(super) const B3: &str = "b3";
pub(super) const TRACE_ID: &str = "x-b3-traceid";
pub(super) const SPAN_ID: &str = "x-b3-spanid";
pub(super) const SAMPLED: &str = "x-b3-sampled";
pub(super) const FLAGS: &str = "x-b3-flags";
const PARENT_SPAN_ID: &str = "x-b3-parentspanid";
