//! What `opentelemetry-proto` is expected to decode from a request that was written.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self as otlp, ResourceSpans, ScopeSpans, span};
use throughline_wire::Limits;

use crate::model::{Attributes, Part, Request, Span, Value};

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
