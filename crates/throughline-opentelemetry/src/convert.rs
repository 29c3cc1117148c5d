//! The same things in OpenTelemetry's types and in ours: ids, contexts, kinds, times and values.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{self as otel, TraceState};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use throughline_core::{
    AttributeValue, EventFields, LinkFields, LiveSpan, SpanContext, SpanId, SpanKind, Status,
    TraceFlags, TraceId, ValueWriter,
};

/// Our form of a span context; its `tracestate` stays behind.
pub(crate) fn span_context(from: &otel::SpanContext) -> SpanContext {
    if !from.is_valid() {
        return SpanContext::INVALID;
    }
    SpanContext::new(
        TraceId::from_bytes(from.trace_id().to_bytes()),
        SpanId::from_bytes(from.span_id().to_bytes()),
        TraceFlags::from_u8(from.trace_flags().to_u8()),
        from.is_remote(),
    )
}

/// OpenTelemetry's form of a span context.
pub(crate) fn otel_span_context(from: SpanContext, tracestate: TraceState) -> otel::SpanContext {
    if !from.is_valid() {
        return otel::SpanContext::NONE;
    }
    otel::SpanContext::new(
        opentelemetry::TraceId::from_bytes(from.trace_id().to_bytes()),
        opentelemetry::SpanId::from_bytes(from.span_id().to_bytes()),
        opentelemetry::TraceFlags::new(from.trace_flags().to_u8()),
        from.is_remote(),
        tracestate,
    )
}

pub(crate) const fn kind(from: &otel::SpanKind) -> SpanKind {
    match from {
        otel::SpanKind::Client => SpanKind::Client,
        otel::SpanKind::Server => SpanKind::Server,
        otel::SpanKind::Producer => SpanKind::Producer,
        otel::SpanKind::Consumer => SpanKind::Consumer,
        otel::SpanKind::Internal => SpanKind::Internal,
    }
}

/// Nanoseconds since 1970, saturating at both ends of the range.
pub(crate) fn unix_nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn set_status(live: &mut LiveSpan, status: &otel::Status) {
    match status {
        otel::Status::Unset => live.set_status(Status::Unset, ""),
        otel::Status::Ok => live.set_status(Status::Ok, ""),
        otel::Status::Error { description } => live.set_status(Status::Error, description),
    }
}

pub(crate) fn set_attribute(live: &mut LiveSpan, attribute: &KeyValue) {
    live.set_attribute(attribute.key.as_str(), Recorded(&attribute.value));
}

pub(crate) fn add_event(
    live: &mut LiveSpan,
    name: &str,
    time: SystemTime,
    attributes: &[KeyValue],
    dropped: u32,
) {
    live.add_event_at(name, unix_nanos(time), |event: &mut EventFields<'_, '_>| {
        event.add_dropped(dropped);
        for attribute in attributes {
            event.attribute(&attribute.key.as_str(), Recorded(&attribute.value));
        }
    });
}

/// Links another span. A link to nowhere is left out, as the API's own `with_links` does.
pub(crate) fn add_link(
    live: &mut LiveSpan,
    to: &otel::SpanContext,
    attributes: &[KeyValue],
    dropped: u32,
) {
    if to.is_valid() {
        live.add_link_with(
            span_context(to),
            &to.trace_state().header(),
            |link: &mut LinkFields<'_, '_>| {
                link.add_dropped(dropped);
                for attribute in attributes {
                    link.attribute(&attribute.key.as_str(), Recorded(&attribute.value));
                }
            },
        );
    }
}

/// An OpenTelemetry value that writes itself.
struct Recorded<'a>(&'a Value);

impl AttributeValue for Recorded<'_> {
    fn write(&self, writer: ValueWriter<'_>) {
        match self.0 {
            Value::Bool(value) => writer.bool(*value),
            Value::I64(value) => writer.i64(*value),
            Value::F64(value) => writer.f64(*value),
            Value::String(value) => writer.str(value.as_str()),
            Value::Array(Array::Bool(values)) => values.write(writer),
            Value::Array(Array::I64(values)) => values.write(writer),
            Value::Array(Array::F64(values)) => values.write(writer),
            Value::Array(Array::String(values)) => writer.array(|array| {
                for value in values {
                    array.value(|writer| writer.str(StringValue::as_str(value)));
                }
            }),
            // What a later version of the API adds.
            other => writer.display(other),
        }
    }
}
