//! Arbitrary requests: a plain description, how this crate writes it, and what
//! `opentelemetry-proto` is expected to decode from that.

use std::fmt;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self as otlp, ResourceSpans, ScopeSpans, span};
use proptest::collection::vec;
use proptest::prelude::*;
use throughline_wire::{
    AttributeField, Limits, Scope, SpanHead, ValueWriter, put_attribute, put_dropped_counts,
    put_event, put_link, put_name, put_request, put_resource_attribute, put_scope, put_span,
    put_status, put_tracestate,
};

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Empty,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    /// The bits, so that every NaN is itself.
    Double(u64),
    Text(String),
    /// Text that is formatted in pieces.
    Displayed(Vec<String>),
    Debugged(String),
    Bytes(Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(String, Value)>),
}

pub(crate) type Attributes = Vec<(String, Value)>;

/// One call that appends to a span's body.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Attribute(String, Value),
    Event {
        time: u64,
        name: String,
        attributes: Attributes,
        dropped: u32,
    },
    Link {
        trace_id: [u8; 16],
        span_id: [u8; 8],
        tracestate: String,
        flags: u32,
        attributes: Attributes,
        dropped: u32,
    },
    Status(u32, String),
    Name(String),
    Tracestate(String),
    Dropped(u32, u32, u32),
}

#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) parent_span_id: Option<[u8; 8]>,
    pub(crate) flags: u32,
    pub(crate) kind: u8,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) name: Option<String>,
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone, Debug)]
pub(crate) struct Scoped {
    name: String,
    version: String,
    schema_url: String,
    spans: Vec<Span>,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    resource: Attributes,
    schema_url: String,
    scopes: Vec<Scoped>,
}

/// Shows its pieces one after another.
struct Pieces<'a>(&'a [String]);

impl fmt::Display for Pieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| f.write_str(piece))
    }
}

// How this crate writes it.

pub(crate) fn write_value(writer: ValueWriter<'_>, value: &Value) {
    match value {
        Value::Empty => writer.empty(),
        Value::Bool(value) => writer.bool(*value),
        Value::Int(value) => writer.i64(*value),
        Value::Unsigned(value) => writer.u64(*value),
        Value::Double(bits) => writer.f64(f64::from_bits(*bits)),
        Value::Text(text) => writer.str(text),
        Value::Displayed(pieces) => writer.display(&Pieces(pieces)),
        Value::Debugged(text) => writer.debug(text),
        Value::Bytes(bytes) => writer.bytes(bytes),
        Value::Array(elements) => writer.array(|array| {
            for element in elements {
                array.value(|writer| write_value(writer, element));
            }
        }),
        Value::Map(entries) => writer.map(|map| {
            for (key, value) in entries {
                map.entry(key, |writer| write_value(writer, value));
            }
        }),
    }
}

pub(crate) fn write_part(body: &mut Vec<u8>, part: &Part, limits: Limits) {
    match part {
        Part::Attribute(key, value) => {
            put_attribute(body, AttributeField::Span, key, limits, |writer| {
                write_value(writer, value);
            });
        }
        Part::Event {
            time,
            name,
            attributes,
            dropped,
        } => put_event(body, *time, name, |event| {
            for (key, value) in attributes {
                event.attribute(key, limits, |writer| write_value(writer, value));
            }
            event.dropped_attributes(*dropped);
        }),
        Part::Link {
            trace_id,
            span_id,
            tracestate,
            flags,
            attributes,
            dropped,
        } => put_link(body, *trace_id, *span_id, tracestate, *flags, |link| {
            link.dropped_attributes(*dropped);
            for (key, value) in attributes {
                link.attribute(key, limits, |writer| write_value(writer, value));
            }
        }),
        Part::Status(code, message) => put_status(body, *code, message),
        Part::Name(name) => put_name(body, name),
        Part::Tracestate(tracestate) => put_tracestate(body, tracestate),
        Part::Dropped(attributes, events, links) => {
            put_dropped_counts(body, *attributes, *events, *links);
        }
    }
}

pub(crate) fn write_body(parts: &[Part], limits: Limits) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        write_part(&mut body, part, limits);
    }
    body
}

impl Request {
    pub(crate) fn write(&self, limits: Limits) -> Vec<u8> {
        let mut resource = Vec::new();
        for (key, value) in &self.resource {
            put_resource_attribute(&mut resource, key, limits, |writer| {
                write_value(writer, value);
            });
        }
        let scopes: Vec<(Vec<u8>, Vec<u8>)> = self
            .scopes
            .iter()
            .map(|scoped| {
                let mut scope = Vec::new();
                put_scope(
                    &mut scope,
                    &Scope {
                        name: &scoped.name,
                        version: &scoped.version,
                        schema_url: &scoped.schema_url,
                    },
                );
                let mut spans = Vec::new();
                for span in &scoped.spans {
                    write_span(&mut spans, span, limits);
                }
                (scope, spans)
            })
            .collect();
        let mut request = Vec::new();
        put_request(
            &mut request,
            &resource,
            &self.schema_url,
            scopes
                .iter()
                .map(|(scope, spans)| (scope.as_slice(), spans.as_slice())),
        );
        request
    }
}

fn write_span(spans: &mut Vec<u8>, span: &Span, limits: Limits) {
    // The first part stands for what is encoded at compile time.
    let (constant, recorded) = span.parts.split_at(span.parts.len().min(1));
    put_span(
        spans,
        &SpanHead {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_span_id: span.parent_span_id.unwrap_or_default(),
            flags: span.flags,
            kind: span.kind,
            start_unix_nano: span.start,
            end_unix_nano: span.end,
            name: span.name.as_deref(),
            static_fields: &write_body(constant, limits),
            body: &write_body(recorded, limits),
        },
    );
}

// What is expected to be decoded.

fn cut(text: &str, limits: Limits) -> String {
    text.chars().take(limits.value_chars as usize).collect()
}

fn expected_value(value: &Value, limits: Limits, level: u8) -> AnyValue {
    let within = level <= limits.depth;
    let value = match value {
        Value::Empty => None,
        Value::Bool(value) => Some(any_value::Value::BoolValue(*value)),
        Value::Int(value) => Some(any_value::Value::IntValue(*value)),
        Value::Unsigned(value) => Some(match i64::try_from(*value) {
            Ok(value) => any_value::Value::IntValue(value),
            Err(_) => any_value::Value::StringValue(cut(&value.to_string(), limits)),
        }),
        // `comparable` does the same with what was decoded.
        Value::Double(bits) => Some(any_value::Value::StringValue(double_bits(*bits))),
        Value::Text(text) => Some(any_value::Value::StringValue(cut(text, limits))),
        Value::Displayed(pieces) => {
            Some(any_value::Value::StringValue(cut(&pieces.concat(), limits)))
        }
        Value::Debugged(text) => Some(any_value::Value::StringValue(cut(
            &format!("{text:?}"),
            limits,
        ))),
        Value::Bytes(bytes) => Some(any_value::Value::BytesValue(
            bytes
                .iter()
                .copied()
                .take(limits.value_chars as usize)
                .collect(),
        )),
        Value::Array(elements) => Some(any_value::Value::ArrayValue(ArrayValue {
            values: elements
                .iter()
                .filter(|_| within)
                .map(|element| expected_value(element, limits, level + 1))
                .collect(),
        })),
        Value::Map(entries) => Some(any_value::Value::KvlistValue(KeyValueList {
            values: entries
                .iter()
                .filter(|_| within)
                .map(|(key, value)| expected_key_value(key, value, limits, level + 1))
                .collect(),
        })),
    };
    AnyValue { value }
}

fn expected_key_value(key: &str, value: &Value, limits: Limits, level: u8) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(expected_value(value, limits, level)),
        ..KeyValue::default()
    }
}

fn expected_attributes(attributes: &Attributes, limits: Limits) -> Vec<KeyValue> {
    attributes
        .iter()
        .map(|(key, value)| expected_key_value(key, value, limits, 1))
        .collect()
}

pub(crate) fn expected_body(parts: &[Part], limits: Limits) -> otlp::Span {
    let mut span = otlp::Span::default();
    for part in parts {
        match part {
            Part::Attribute(key, value) => {
                span.attributes
                    .push(expected_key_value(key, value, limits, 1));
            }
            Part::Event {
                time,
                name,
                attributes,
                dropped,
            } => span.events.push(span::Event {
                time_unix_nano: *time,
                name: name.clone(),
                attributes: expected_attributes(attributes, limits),
                dropped_attributes_count: *dropped,
            }),
            Part::Link {
                trace_id,
                span_id,
                tracestate,
                flags,
                attributes,
                dropped,
            } => span.links.push(span::Link {
                trace_id: trace_id.to_vec(),
                span_id: span_id.to_vec(),
                trace_state: tracestate.clone(),
                attributes: expected_attributes(attributes, limits),
                dropped_attributes_count: *dropped,
                flags: *flags,
            }),
            Part::Status(code, message) => {
                span.status = (*code != 0 || !message.is_empty()).then(|| otlp::Status {
                    message: message.clone(),
                    code: i32::try_from(*code).unwrap(),
                });
            }
            Part::Name(name) => span.name.clone_from(name),
            Part::Tracestate(tracestate) => span.trace_state.clone_from(tracestate),
            Part::Dropped(attributes, events, links) => {
                span.dropped_attributes_count = *attributes;
                span.dropped_events_count = *events;
                span.dropped_links_count = *links;
            }
        }
    }
    span
}

fn expected_span(span: &Span, limits: Limits) -> otlp::Span {
    let mut expected = expected_body(&span.parts, limits);
    expected.trace_id = span.trace_id.to_vec();
    expected.span_id = span.span_id.to_vec();
    expected.parent_span_id = span.parent_span_id.map(Vec::from).unwrap_or_default();
    expected.flags = span.flags;
    expected.kind = i32::from(span.kind);
    expected.start_time_unix_nano = span.start;
    expected.end_time_unix_nano = span.end;
    if let Some(name) = &span.name {
        expected.name.clone_from(name);
    }
    expected
}

impl Request {
    pub(crate) fn expected(&self, limits: Limits) -> ExportTraceServiceRequest {
        let scope_spans: Vec<ScopeSpans> = self
            .scopes
            .iter()
            .filter(|scoped| !scoped.spans.is_empty())
            .map(|scoped| ScopeSpans {
                scope: (!scoped.name.is_empty() || !scoped.version.is_empty()).then(|| {
                    InstrumentationScope {
                        name: scoped.name.clone(),
                        version: scoped.version.clone(),
                        ..InstrumentationScope::default()
                    }
                }),
                spans: scoped
                    .spans
                    .iter()
                    .map(|span| expected_span(span, limits))
                    .collect(),
                schema_url: scoped.schema_url.clone(),
            })
            .collect();
        if scope_spans.is_empty() {
            return ExportTraceServiceRequest::default();
        }
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: (!self.resource.is_empty()).then(|| Resource {
                    attributes: expected_attributes(&self.resource, limits),
                    ..Resource::default()
                }),
                scope_spans,
                schema_url: self.schema_url.clone(),
            }],
        }
    }
}

/// Replaces each double by its bits, so that `==` compares every NaN as what it is.
pub(crate) fn comparable(span: &mut otlp::Span) {
    span.attributes.iter_mut().for_each(comparable_attribute);
    let events = span.events.iter_mut().map(|event| &mut event.attributes);
    let links = span.links.iter_mut().map(|link| &mut link.attributes);
    for attributes in events.chain(links) {
        attributes.iter_mut().for_each(comparable_attribute);
    }
}

pub(crate) fn comparable_request(request: &mut ExportTraceServiceRequest) {
    for resource_spans in &mut request.resource_spans {
        if let Some(resource) = &mut resource_spans.resource {
            resource
                .attributes
                .iter_mut()
                .for_each(comparable_attribute);
        }
        for scope_spans in &mut resource_spans.scope_spans {
            scope_spans.spans.iter_mut().for_each(comparable);
        }
    }
}

fn comparable_attribute(attribute: &mut KeyValue) {
    attribute.value.iter_mut().for_each(comparable_value);
}

fn comparable_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(any_value::Value::DoubleValue(double)) => {
            let bits = double_bits(double.to_bits());
            value.value = Some(any_value::Value::StringValue(bits));
        }
        Some(any_value::Value::ArrayValue(array)) => {
            array.values.iter_mut().for_each(comparable_value);
        }
        Some(any_value::Value::KvlistValue(map)) => {
            map.values.iter_mut().for_each(comparable_attribute);
        }
        _ => {}
    }
}

fn double_bits(bits: u64) -> String {
    format!("double {bits:#018x}")
}

// What is arbitrary.

/// Text of characters with one to four bytes, mostly short, now and then around and beyond the
/// 128 bytes where a length takes a second byte.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => proptest::char::range(' ', '~'),
        1 => Just('\0'),
        1 => Just('\u{1b}'),
        1 => Just('\u{202e}'),
        2 => proptest::char::range('\u{80}', '\u{7ff}'),
        2 => proptest::char::range('\u{800}', '\u{d7ff}'),
        2 => proptest::char::range('\u{10000}', '\u{10ffff}'),
    ];
    let times = prop_oneof![8 => Just(1), 2 => 2..20_usize, 1 => 20..60_usize];
    (vec(character, 0..12), times)
        .prop_map(|(characters, times)| String::from_iter(characters).repeat(times))
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-z]{1,8}(\\.[a-z]{1,8}){0,3}".boxed(),
        1 => text().prop_map(|text| format!("k{text}")).boxed(),
    ]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    let bytes = prop_oneof![
        4 => vec(any::<u8>(), 0..40),
        1 => vec(any::<u8>(), 100..300),
    ];
    let leaf = prop_oneof![
        Just(Value::Empty),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-300..300_i64).prop_map(Value::Int),
        any::<u64>().prop_map(Value::Unsigned),
        any::<u64>().prop_map(Value::Double),
        // Signalling and quiet NaNs of both signs, infinities, zeros.
        prop_oneof![
            Just(0x7ff0_0000_0000_0001),
            Just(0xfff8_dead_beef_0001),
            Just(0x7ff0_0000_0000_0000),
            Just(0x8000_0000_0000_0000),
            Just(0),
        ]
        .prop_map(Value::Double),
        text().prop_map(Value::Text),
        vec(text(), 0..4).prop_map(Value::Displayed),
        text().prop_map(Value::Debugged),
        bytes.prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec((key(), inner), 0..6).prop_map(Value::Map),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    vec((key(), value()), 0..4)
}

/// The calls for one body, in any order; what must not repeat is there at most once.
pub(crate) fn parts(
    name: impl Strategy<Value = Option<String>>,
) -> impl Strategy<Value = Vec<Part>> {
    let attribute = (key(), value()).prop_map(|(key, value)| Part::Attribute(key, value));
    // A zero would be absent in prost's encoding; this crate always keeps the time's place.
    let event = (1..u64::MAX, text(), attributes(), any::<u32>()).prop_map(
        |(time, name, attributes, dropped)| Part::Event {
            time,
            name,
            attributes,
            dropped,
        },
    );
    let link = (
        any::<[u8; 16]>(),
        any::<[u8; 8]>(),
        "([a-z]=[a-z0-9]{0,9})?",
        any::<u32>(),
        attributes(),
        0..3_u32,
    )
        .prop_map(
            |(trace_id, span_id, tracestate, flags, attributes, dropped)| Part::Link {
                trace_id,
                span_id,
                tracestate,
                flags,
                attributes,
                dropped,
            },
        );
    let repeated = vec(prop_oneof![4 => attribute, 1 => event, 1 => link], 0..8);
    let status = proptest::option::of((0..3_u32, text()));
    let tracestate = proptest::option::of("[a-z]=[a-z0-9]{0,9}");
    let dropped = proptest::option::of(any::<(u32, u32, u32)>());
    (repeated, status, tracestate, dropped, name)
        .prop_map(|(mut parts, status, tracestate, dropped, name)| {
            parts.extend(status.map(|(code, message)| Part::Status(code, message)));
            parts.extend(tracestate.map(Part::Tracestate));
            parts.extend(dropped.map(|(a, e, l)| Part::Dropped(a, e, l)));
            parts.extend(name.map(Part::Name));
            parts
        })
        .prop_shuffle()
}

fn span() -> impl Strategy<Value = Span> {
    let head = (
        any::<[u8; 16]>(),
        any::<[u8; 8]>(),
        proptest::option::of(any::<u64>().prop_filter_map("zero is no parent", |id| {
            (id != 0).then(|| id.to_be_bytes())
        })),
        prop_oneof![Just(0), any::<u32>()],
        0..=5_u8,
        any::<u64>(),
        any::<u64>(),
    );
    let named = prop_oneof![
        (text().prop_map(Some), parts(Just(None))),
        (Just(None), parts(proptest::option::of(text()))),
    ];
    (head, named).prop_map(
        |((trace_id, span_id, parent_span_id, flags, kind, start, end), (name, parts))| Span {
            trace_id,
            span_id,
            parent_span_id,
            flags,
            kind,
            start,
            end,
            name,
            parts,
        },
    )
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let scoped = (
        text(),
        "([0-9]\\.[0-9])?",
        "(https://[a-z]{1,9})?",
        vec(span(), 0..3),
    )
        .prop_map(|(name, version, schema_url, spans)| Scoped {
            name,
            version,
            schema_url,
            spans,
        });
    (attributes(), "(https://[a-z]{1,9})?", vec(scoped, 0..3)).prop_map(
        |(resource, schema_url, scopes)| Request {
            resource,
            schema_url,
            scopes,
        },
    )
}

pub(crate) fn limits() -> impl Strategy<Value = Limits> {
    let value_chars = prop_oneof![Just(u32::MAX), 0..8_u32, 0..200_u32];
    let depth = prop_oneof![Just(64), 0..4_u8];
    (value_chars, depth).prop_map(|(value_chars, depth)| Limits { value_chars, depth })
}
