//! Reads a request into the values that exporters of the SDK take.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanContext, SpanKind, Status, TraceState};
use opentelemetry::{
    Array, InstrumentationScope, KeyValue, SpanId, StringValue, TraceFlags, TraceId, Value,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use throughline_wire::read::{FieldValue, Malformed, fields};

/// What a request holds. All requests of a pipeline have one resource.
pub(super) struct Request<'a> {
    pub(super) resource: Resource,
    /// The resource as it is encoded.
    pub(super) resource_bytes: &'a [u8],
    pub(super) spans: Vec<SpanData>,
}

/// Reads an `ExportTraceServiceRequest`.
pub(super) fn request(bytes: &[u8]) -> Result<Request<'_>, Malformed> {
    let mut resource_bytes: &[u8] = &[];
    let mut spans = Vec::new();
    for resource_spans in messages(bytes, 1)? {
        for field in fields(resource_spans) {
            let field = field?;
            match (field.number, field.value) {
                (1, FieldValue::Len(resource)) => resource_bytes = resource,
                (2, FieldValue::Len(bytes)) => scope_spans(bytes, &mut spans)?,
                _ => {}
            }
        }
    }
    let attributes = attributes(resource_bytes, 1)?;
    let resource = Resource::builder_empty()
        .with_attributes(attributes)
        .build();
    Ok(Request {
        resource,
        resource_bytes,
        spans,
    })
}

/// The fields of that number that are messages.
fn messages(bytes: &[u8], number: u32) -> Result<Vec<&[u8]>, Malformed> {
    let mut found = Vec::new();
    for field in fields(bytes) {
        let field = field?;
        if let (true, FieldValue::Len(message)) = (field.number == number, field.value) {
            found.push(message);
        }
    }
    Ok(found)
}

fn scope_spans(bytes: &[u8], spans: &mut Vec<SpanData>) -> Result<(), Malformed> {
    let (mut name, mut version, mut schema_url) = (String::new(), String::new(), String::new());
    let mut scope_attributes = Vec::new();
    let mut encoded = Vec::new();
    for field in fields(bytes) {
        let field = field?;
        match (field.number, field.value) {
            (1, FieldValue::Len(scope)) => {
                scope_attributes = attributes(scope, 3)?;
                name = messages(scope, 1)?
                    .last()
                    .map(|name| text(name))
                    .unwrap_or_default();
                version = messages(scope, 2)?
                    .last()
                    .map(|version| text(version))
                    .unwrap_or_default();
            }
            (2, FieldValue::Len(span)) => encoded.push(span),
            (3, FieldValue::Len(url)) => schema_url = text(url),
            _ => {}
        }
    }
    let mut scope = InstrumentationScope::builder(name).with_attributes(scope_attributes);
    if !version.is_empty() {
        scope = scope.with_version(version);
    }
    if !schema_url.is_empty() {
        scope = scope.with_schema_url(schema_url);
    }
    let scope = scope.build();
    for bytes in encoded {
        spans.push(span(bytes, scope.clone())?);
    }
    Ok(())
}

fn span(bytes: &[u8], instrumentation_scope: InstrumentationScope) -> Result<SpanData, Malformed> {
    let mut identity = Identity::default();
    let mut data = SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "".into(),
        start_time: UNIX_EPOCH,
        end_time: UNIX_EPOCH,
        attributes: attributes(bytes, 9)?,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope,
    };
    for field in fields(bytes) {
        let field = field?;
        match (field.number, field.value) {
            (1, FieldValue::Len(id)) => identity.trace_id = trace_id(id),
            (2, FieldValue::Len(id)) => identity.span_id = span_id(id),
            (3, FieldValue::Len(state)) => identity.tracestate = tracestate(state),
            (4, FieldValue::Len(id)) => data.parent_span_id = SpanId::from_bytes(span_id(id)),
            (5, FieldValue::Len(name)) => data.name = text(name).into(),
            (6, FieldValue::Varint(number)) => data.span_kind = kind(number),
            (7, FieldValue::Fixed64(nanos)) => data.start_time = time(nanos),
            (8, FieldValue::Fixed64(nanos)) => data.end_time = time(nanos),
            (10, FieldValue::Varint(count)) => data.dropped_attributes_count = count as u32,
            (11, FieldValue::Len(bytes)) => data.events.events.push(event(bytes)?),
            (12, FieldValue::Varint(count)) => data.events.dropped_count = count as u32,
            (13, FieldValue::Len(bytes)) => data.links.links.push(link(bytes)?),
            (14, FieldValue::Varint(count)) => data.links.dropped_count = count as u32,
            (15, FieldValue::Len(bytes)) => data.status = status(bytes)?,
            (16, FieldValue::Fixed32(flags)) => {
                identity.flags = flags;
                data.parent_span_is_remote = flags & IS_REMOTE != 0;
            }
            _ => {}
        }
    }
    // The flag tells where the parent is; the span itself is always here.
    data.span_context = identity.span_context(false);
    Ok(data)
}

/// The parts of a span context, as they come.
#[derive(Default)]
struct Identity {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u32,
    tracestate: TraceState,
}

impl Identity {
    fn span_context(self, remote: bool) -> SpanContext {
        SpanContext::new(
            TraceId::from_bytes(self.trace_id),
            SpanId::from_bytes(self.span_id),
            TraceFlags::new(self.flags as u8),
            remote,
            self.tracestate,
        )
    }
}

fn event(bytes: &[u8]) -> Result<Event, Malformed> {
    let mut event = Event::new("", UNIX_EPOCH, attributes(bytes, 3)?, 0);
    for field in fields(bytes) {
        let field = field?;
        match (field.number, field.value) {
            (1, FieldValue::Fixed64(nanos)) => event.timestamp = time(nanos),
            (2, FieldValue::Len(name)) => event.name = text(name).into(),
            (4, FieldValue::Varint(count)) => event.dropped_attributes_count = count as u32,
            _ => {}
        }
    }
    Ok(event)
}

fn link(bytes: &[u8]) -> Result<Link, Malformed> {
    let mut identity = Identity::default();
    let mut dropped = 0;
    for field in fields(bytes) {
        let field = field?;
        match (field.number, field.value) {
            (1, FieldValue::Len(id)) => identity.trace_id = trace_id(id),
            (2, FieldValue::Len(id)) => identity.span_id = span_id(id),
            (3, FieldValue::Len(state)) => identity.tracestate = tracestate(state),
            (5, FieldValue::Varint(count)) => dropped = count as u32,
            (6, FieldValue::Fixed32(flags)) => identity.flags = flags,
            _ => {}
        }
    }
    let remote = identity.flags & IS_REMOTE != 0;
    let to = identity.span_context(remote);
    Ok(Link::new(to, attributes(bytes, 4)?, dropped))
}

fn status(bytes: &[u8]) -> Result<Status, Malformed> {
    let (mut code, mut message) = (0, String::new());
    for field in fields(bytes) {
        let field = field?;
        match (field.number, field.value) {
            (2, FieldValue::Len(text_)) => message = text(text_),
            (3, FieldValue::Varint(number)) => code = number,
            _ => {}
        }
    }
    Ok(match code {
        1 => Status::Ok,
        2 => Status::error(message),
        _ => Status::Unset,
    })
}

fn attributes(bytes: &[u8], number: u32) -> Result<Vec<KeyValue>, Malformed> {
    let mut attributes = Vec::new();
    for attribute in messages(bytes, number)? {
        let (mut key, mut held) = (String::new(), None);
        for field in fields(attribute) {
            let field = field?;
            match (field.number, field.value) {
                (1, FieldValue::Len(name)) => key = text(name),
                (2, FieldValue::Len(any)) => held = value(any, DEEPEST)?,
                _ => {}
            }
        }
        attributes.extend(held.map(|value| KeyValue::new(key, value)));
    }
    Ok(attributes)
}

/// Reads an `AnyValue`; none if it is empty.
fn value(bytes: &[u8], depth: u32) -> Result<Option<Value>, Malformed> {
    let mut found = None;
    for field in fields(bytes) {
        let field = field?;
        found = match (field.number, field.value) {
            (1, FieldValue::Len(string)) => Some(text(string).into()),
            (2, FieldValue::Varint(number)) => Some(Value::Bool(number != 0)),
            (3, FieldValue::Varint(number)) => Some(Value::I64(number.cast_signed())),
            (4, FieldValue::Fixed64(bits)) => Some(Value::F64(f64::from_bits(bits))),
            (5, FieldValue::Len(values)) if depth > 0 => {
                let mut items = Vec::new();
                for item in messages(values, 1)? {
                    items.extend(value(item, depth - 1)?);
                }
                Some(array(items))
            }
            (6, FieldValue::Len(entries)) if depth > 0 => Some(map(entries, depth - 1)?),
            (7, FieldValue::Len(bytes)) => Some(format!("{bytes:02x?}").into()),
            _ => found,
        };
    }
    Ok(found)
}

/// An array of one type; text if there are several.
fn array(items: Vec<Value>) -> Value {
    fn all<T>(items: &[Value], take: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
        items.iter().map(take).collect()
    }
    let strings = || {
        all(&items, |item| match item {
            Value::String(string) => Some(string.clone()),
            _ => None,
        })
    };
    let bools = || {
        all(&items, |item| match item {
            Value::Bool(value) => Some(*value),
            _ => None,
        })
    };
    let integers = || {
        all(&items, |item| match item {
            Value::I64(value) => Some(*value),
            _ => None,
        })
    };
    let doubles = || {
        all(&items, |item| match item {
            Value::F64(value) => Some(*value),
            _ => None,
        })
    };
    Value::Array(if let Some(values) = strings() {
        Array::String(values)
    } else if let Some(values) = bools() {
        Array::Bool(values)
    } else if let Some(values) = integers() {
        Array::I64(values)
    } else if let Some(values) = doubles() {
        Array::F64(values)
    } else {
        let text = |item: &Value| StringValue::from(item.to_string());
        Array::String(items.iter().map(text).collect())
    })
}

fn map(entries: &[u8], depth: u32) -> Result<Value, Malformed> {
    let mut texts = Vec::new();
    for entry in messages(entries, 1)? {
        let key = messages(entry, 1)?
            .last()
            .map(|key| text(key))
            .unwrap_or_default();
        let held = match messages(entry, 2)?.last() {
            Some(any) => value(any, depth)?,
            None => None,
        };
        let held = held.map(|held| held.to_string()).unwrap_or_default();
        texts.push(format!("{key}={held}"));
    }
    Ok(format!("{{{}}}", texts.join(", ")).into())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn trace_id(bytes: &[u8]) -> [u8; 16] {
    bytes.try_into().unwrap_or_default()
}

fn span_id(bytes: &[u8]) -> [u8; 8] {
    bytes.try_into().unwrap_or_default()
}

fn tracestate(bytes: &[u8]) -> TraceState {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| TraceState::from_str(text).ok())
        .unwrap_or_default()
}

fn kind(number: u64) -> SpanKind {
    match number {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

fn time(unix_nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(unix_nanos)
}

/// `SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`: of a span, whether its parent is; of a link, whether that is.
const IS_REMOTE: u32 = 0x200;
/// How deep arrays and maps may nest; what lies deeper is left out.
const DEEPEST: u32 = 64;
