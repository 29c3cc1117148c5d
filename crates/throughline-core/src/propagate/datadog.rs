//! Datadog's `x-datadog-…` headers: ids in decimal, the high half of the trace id and the sampling mechanism in tags.

use std::fmt::Write;

use super::carrier::{Extract, Inject, only};
use super::extras::Decision;
use super::text::{Text, ascii, split_once};
use crate::context::Context;
use crate::id::{SpanId, TraceFlags, TraceId, decode_hex};
use crate::span_context::SpanContext;

/// What Datadog knows of a trace that the W3C headers do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DatadogExtras {
    /// Beside "keep" and "reject", who decided: a user's decision is above that of a sampler.
    priority: i8,
    origin: Box<str>,
    /// The tags that travel, without the high half of the trace id.
    tags: Box<str>,
}

pub(super) fn extract(context: Context, carrier: &dyn Extract) -> Context {
    let ids = (
        only(carrier, TRACE_ID, decimal).value(),
        only(carrier, PARENT_ID, decimal).value(),
    );
    let (Some(low), Some(span_id)) = ids else {
        return context;
    };
    let priority = only(carrier, PRIORITY, priority_of).value();
    let (high, tags) = only(carrier, TAGS, tags_of).value().unwrap_or_default();
    let high = high.unwrap_or_else(|| {
        // A caller that knows half of the id means the trace whose other half another header gave.
        let [high, known] = context.trace_id().halves();
        if known == low { high } else { 0 }
    });
    let trace_id = TraceId::from_halves([high, low]);
    let span_id = SpanId::from_number(span_id);
    let flags = TraceFlags::NONE.with_sampled(priority.is_some_and(|priority| priority > 0));
    let span = SpanContext::new(trace_id, span_id, flags, true);
    let decision = match priority {
        Some(_) => Decision::InFlags,
        None => Decision::Deferred,
    };
    let extras = DatadogExtras {
        priority: priority.unwrap_or_default(),
        origin: only(carrier, ORIGIN, origin_of).value().unwrap_or_default(),
        tags,
    };
    let context = context.received(span, decision, false);
    if !extras.says_more_than_the_flags() {
        return context;
    }
    context.edit_extras(|all| all.datadog = Some(Box::new(extras)))
}

pub(super) fn inject(context: &Context, carrier: &mut dyn Inject) {
    let span = context.span_context();
    let [high, low] = span.trace_id().halves();
    // Half of an id that is zero is none to Datadog.
    if !span.is_valid() || low == 0 {
        return;
    }
    let none = DatadogExtras::default();
    let extras = context
        .extras()
        .and_then(|extras| extras.datadog.as_deref());
    let extras = extras.unwrap_or(&none);
    let sampled = span.trace_flags().is_sampled();
    carrier.set(TRACE_ID, decimal_text(low).as_str());
    carrier.set(PARENT_ID, decimal_text(span.span_id().number()).as_str());
    if context.is_deferred() {
        carrier.remove(PRIORITY);
    } else {
        let priority = match (extras.priority, sampled) {
            (2, true) => "2",
            (_, true) => "1",
            (-1, false) => "-1",
            (_, false) => "0",
        };
        carrier.set(PRIORITY, priority);
    }
    set_or_remove(carrier, ORIGIN, &extras.origin);
    let tid = Text::<27>::new()
        .push(TID)
        .push("=")
        .hex(&high.to_be_bytes());
    match (high, &*extras.tags) {
        (0, tags) => set_or_remove(carrier, TAGS, tags),
        (_, "") => carrier.set(TAGS, tid.as_str()),
        (_, tags) => carrier.set(TAGS, &format!("{},{tags}", tid.as_str())),
    }
}

fn set_or_remove(carrier: &mut dyn Inject, name: &str, value: &str) {
    if value.is_empty() {
        carrier.remove(name);
    } else {
        carrier.set(name, value);
    }
}

impl DatadogExtras {
    fn says_more_than_the_flags(&self) -> bool {
        !matches!(self.priority, 0 | 1) || !self.origin.is_empty() || !self.tags.is_empty()
    }
}

/// A decimal number that is not zero.
fn decimal(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.len() <= 20 && value.iter().all(u8::is_ascii_digit);
    let number = if digits {
        ascii(value).parse().ok()?
    } else {
        0
    };
    (number != 0).then_some(number)
}

fn decimal_text(number: u64) -> Text<20> {
    let mut text = Text::new();
    // A `u64` has at most 20 digits, and writing to the text cannot fail.
    let _ = write!(text, "{number}");
    text
}

fn priority_of(value: &[u8]) -> Option<i8> {
    match value {
        b"-1" => Some(-1),
        b"0" => Some(0),
        b"1" => Some(1),
        b"2" => Some(2),
        _ => None,
    }
}

fn origin_of(value: &[u8]) -> Option<Box<str>> {
    let printable = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    (printable && value.len() <= LONGEST_ORIGIN).then(|| ascii(value).into())
}

/// The high half of the trace id, and the other tags that travel.
fn tags_of(value: &[u8]) -> Option<(Option<u64>, Box<str>)> {
    if value.len() > LONGEST_TAGS || !value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    let (mut high, mut kept) = (None, String::new());
    for tag in value.split(|byte| *byte == b',') {
        let Some((key, text)) = split_once(tag, b'=') else {
            continue;
        };
        if key == TID.as_bytes() {
            high = decode_hex(text).map(u64::from_be_bytes);
        } else if key.starts_with(TRAVELS.as_bytes()) && !text.is_empty() {
            if !kept.is_empty() {
                kept.push(',');
            }
            kept.push_str(ascii(tag));
        }
    }
    Some((high, kept.trim().into()))
}

pub(super) const TRACE_ID: &str = "x-datadog-trace-id";
pub(super) const PARENT_ID: &str = "x-datadog-parent-id";
pub(super) const PRIORITY: &str = "x-datadog-sampling-priority";
pub(super) const ORIGIN: &str = "x-datadog-origin";
pub(super) const TAGS: &str = "x-datadog-tags";
const TID: &str = "_dd.p.tid";
const TRAVELS: &str = "_dd.p.";
/// Datadog's own limit of the header.
const LONGEST_TAGS: usize = 512;
const LONGEST_ORIGIN: usize = 128;
