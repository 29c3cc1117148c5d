//! Sentry's [`sentry-trace`](https://develop.sentry.dev/sdk/telemetry/traces/#header-sentry-trace).

use super::b3::ids_of;
use super::carrier::{Extract, Inject, only};
use super::extras::Decision;
use crate::context::Context;
use crate::id::{SpanId, TraceFlags, TraceId, decode_hex};
use crate::span_context::SpanContext;

pub(super) fn extract(context: Context, carrier: &dyn Extract) -> Context {
    match only(carrier, SENTRY_TRACE, parse).value() {
        Some((span, decision)) => context.received(span, decision, false),
        None => context,
    }
}

pub(super) fn inject(context: &Context, carrier: &mut dyn Inject) {
    let span = context.span_context();
    if !span.is_valid() {
        return;
    }
    let header = ids_of(&span);
    let header = match span.trace_flags().is_sampled() {
        _ if context.is_deferred() => header,
        true => header.push("-1"),
        false => header.push("-0"),
    };
    carrier.set(SENTRY_TRACE, header.as_str());
}

/// Reads `{trace id}-{span id}[-{sampled}]`.
fn parse(header: &[u8]) -> Option<(SpanContext, Decision)> {
    let (ids, rest) = header.split_at_checked(32 + 1 + 16)?;
    let (sampled, decision) = match rest {
        b"" => (false, Decision::Deferred),
        b"-0" => (false, Decision::InFlags),
        b"-1" => (true, Decision::InFlags),
        _ => return None,
    };
    let trace_id = TraceId::from_bytes(decode_hex(&ids[..32])?);
    let span_id = SpanId::from_bytes(decode_hex(&ids[33..])?);
    let flags = TraceFlags::NONE.with_sampled(sampled);
    let span = SpanContext::new(trace_id, span_id, flags, true);
    (ids[32] == b'-' && span.is_valid()).then_some((span, decision))
}

pub(super) const SENTRY_TRACE: &str = "sentry-trace";
