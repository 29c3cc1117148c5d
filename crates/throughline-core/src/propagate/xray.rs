//! AWS X-Ray's [`X-Amzn-Trace-Id`](https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader).

use super::carrier::{Extract, Inject, only};
use super::extras::Decision;
use super::text::{Text, split_once, trim};
use crate::context::Context;
use crate::id::{SpanId, TraceFlags, TraceId, decode_hex};
use crate::span_context::SpanContext;

pub(super) fn extract(context: Context, carrier: &dyn Extract) -> Context {
    match only(carrier, X_AMZN_TRACE_ID, parse).value() {
        Some((span, decision)) => context.received(span, decision, false),
        None => context,
    }
}

pub(super) fn inject(context: &Context, carrier: &mut dyn Inject) {
    let span = context.span_context();
    if !span.is_valid() {
        return;
    }
    let trace_id = span.trace_id().to_bytes();
    let sampled = match span.trace_flags().is_sampled() {
        _ if context.is_deferred() => ";Sampled=?",
        true => ";Sampled=1",
        false => ";Sampled=0",
    };
    let header = Text::<74>::new()
        .push("Root=1-")
        .hex(&trace_id[..4])
        .push("-")
        .hex(&trace_id[4..])
        .push(";Parent=")
        .hex(&span.span_id().to_bytes())
        .push(sampled);
    carrier.set(X_AMZN_TRACE_ID, header.as_str());
}

/// Reads `Root=…;Parent=…;Sampled=…` in any order. Load balancers add `Self`, Lambda adds `Lineage`; both are ignored.
fn parse(header: &[u8]) -> Option<(SpanContext, Decision)> {
    if header.len() > LONGEST {
        return None;
    }
    let (mut root, mut parent) = (None, None);
    let (mut sampled, mut decision) = (false, Decision::Deferred);
    for field in header.split(|byte| *byte == b';') {
        let Some((key, value)) = split_once(field, b'=') else {
            continue;
        };
        match (trim(key), trim(value)) {
            (b"Root", value) => root = Some(trace_id(value)?),
            (b"Parent", value) => parent = Some(SpanId::from_bytes(decode_hex(value)?)),
            (b"Sampled", b"?") => decision = Decision::Deferred,
            (b"Sampled", value @ (b"0" | b"1")) => {
                decision = Decision::InFlags;
                sampled = value == b"1";
            }
            (b"Sampled", _) => return None,
            _ => {}
        }
    }
    let flags = TraceFlags::NONE.with_sampled(sampled && decision == Decision::InFlags);
    let span = SpanContext::new(root?, parent?, flags, true);
    span.is_valid().then_some((span, decision))
}

/// Reads `1-{8 digits}-{24 digits}`.
fn trace_id(value: &[u8]) -> Option<TraceId> {
    let rest = value.strip_prefix(b"1-")?;
    let (time, random) = split_once(rest, b'-')?;
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&decode_hex::<4>(time)?);
    bytes[4..].copy_from_slice(&decode_hex::<12>(random)?);
    Some(TraceId::from_bytes(bytes))
}

pub(super) const X_AMZN_TRACE_ID: &str = "x-amzn-trace-id";
/// What a header may have and still be looked at.
const LONGEST: usize = 1024;
