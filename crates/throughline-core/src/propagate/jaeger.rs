//! Jaeger's [own headers](https://www.jaegertracing.io/sdk-migration/#propagation-format): `uber-trace-id`, and baggage
//! in `uberctx-…` and `jaeger-baggage`.

use std::ops::ControlFlow;

use super::baggage::{Baggage, percent_decode, percent_encode};
use super::carrier::{Extract, Inject, only};
use super::extras::Decision;
use super::propagator::Egress;
use super::text::{Text, padded_hex, split_once, trim};
use crate::context::Context;
use crate::id::{SpanId, TraceFlags, TraceId};
use crate::span_context::SpanContext;

pub(super) fn extract(context: Context, carrier: &dyn Extract) -> Context {
    let context = match only(carrier, UBER_TRACE_ID, parse).value() {
        Some((span, debug)) => context.received(span, Decision::InFlags, debug),
        None => context,
    };
    extract_baggage(context, carrier)
}

pub(super) fn inject(context: &Context, egress: &Egress, carrier: &mut dyn Inject) {
    let span = context.span_context();
    if span.is_valid() {
        let flags = match (span.trace_flags().is_sampled(), context.is_debug()) {
            (true, true) => ":0:3",
            (true, false) => ":0:1",
            (false, _) => ":0:0",
        };
        let header = Text::<53>::new()
            .hex(&span.trace_id().to_bytes())
            .push(":")
            .hex(&span.span_id().to_bytes())
            .push(flags);
        carrier.set(UBER_TRACE_ID, header.as_str());
    }
    for (name, value) in context.baggage().iter() {
        if egress.allows(name) {
            let mut encoded = String::with_capacity(value.len());
            percent_encode(value, &mut encoded);
            carrier.set(&format!("{UBERCTX}{name}"), &encoded);
        }
    }
}

/// Reads `{trace id}:{span id}:{parent}:{flags}`, whose colons may be encoded as in a URL.
fn parse(header: &[u8]) -> Option<(SpanContext, bool)> {
    // No form is longer, its three colons encoded.
    if header.len() > 32 + 16 + 16 + 2 + 9 {
        return None;
    }
    let mut plain = Text::<75>::new();
    let mut rest = header;
    while let [byte, after @ ..] = rest {
        match rest {
            [b'%', b'3', b'A' | b'a', after @ ..] => {
                plain.extend(b":");
                rest = after;
            }
            _ => {
                plain.extend(&[*byte]);
                rest = after;
            }
        }
    }
    let mut fields = plain.as_bytes().split(|byte| *byte == b':');
    let trace_id = TraceId::from_bytes(padded_hex(fields.next()?)?);
    let span_id = SpanId::from_bytes(padded_hex(fields.next()?)?);
    let _parent = padded_hex::<8>(fields.next()?)?;
    let [flags] = padded_hex::<1>(fields.next()?)?;
    let debug = flags & DEBUG != 0;
    let sampled = debug || flags & SAMPLED != 0;
    let flags = TraceFlags::NONE.with_sampled(sampled);
    let span = SpanContext::new(trace_id, span_id, flags, true);
    (span.is_valid() && fields.next().is_none()).then_some((span, debug))
}

fn extract_baggage(context: Context, carrier: &dyn Extract) -> Context {
    let mut received = Received {
        baggage: Baggage::new(),
        bytes: MOST_BYTES,
        members: MOST_MEMBERS,
    };
    carrier.get_all(JAEGER_BAGGAGE, &mut |header| {
        for member in header.split(|byte| *byte == b',') {
            if let Some((name, value)) = split_once(member, b'=') {
                received.add(trim(name), trim(value))?;
            }
        }
        ControlFlow::Continue(())
    });
    carrier.names(&mut |header| {
        let prefix = header.get(..UBERCTX.len());
        if !prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(UBERCTX.as_bytes())) {
            return ControlFlow::Continue(());
        }
        let (Some(name), Ok(header)) = (header.get(UBERCTX.len()..), std::str::from_utf8(header))
        else {
            return ControlFlow::Continue(());
        };
        let mut flow = ControlFlow::Continue(());
        carrier.get_all(header, &mut |value| {
            flow = received.add(name, trim(value));
            flow
        });
        flow
    });
    if received.baggage.is_empty() {
        return context;
    }
    let mut baggage = context.baggage().clone();
    for (name, value) in received.baggage.iter() {
        // What has no room beside the baggage of another header is left out.
        let _ = baggage.insert(name, value);
    }
    context.with_baggage(baggage)
}

struct Received {
    baggage: Baggage,
    bytes: usize,
    members: usize,
}

impl Received {
    fn add(&mut self, name: &[u8], value: &[u8]) -> ControlFlow<()> {
        let size = name.len() + value.len() + 2;
        if self.members == 0 || size > self.bytes {
            return ControlFlow::Break(());
        }
        self.members -= 1;
        self.bytes -= size;
        if let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) {
            // Names travel in names of headers, where case means nothing. One that is no token, or a value that grows
            // when it is decoded and written again, is left out.
            let name = name.to_ascii_lowercase();
            let _ = self.baggage.insert(&name, &percent_decode(value));
        }
        ControlFlow::Continue(())
    }
}

pub(super) const UBER_TRACE_ID: &str = "uber-trace-id";
const UBERCTX: &str = "uberctx-";
const JAEGER_BAGGAGE: &str = "jaeger-baggage";
const SAMPLED: u8 = 1;
const DEBUG: u8 = 2;
const MOST_MEMBERS: usize = 64;
const MOST_BYTES: usize = 8192;
