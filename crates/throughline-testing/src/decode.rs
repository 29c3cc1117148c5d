//! From the bytes of an `ExportTraceServiceRequest` to [`ReceivedSpan`]s.
//!
//! Decoding is done by `opentelemetry-proto` and `prost`, never by code of this project, so that a mistake in the
//! encoder cannot hide behind the same mistake in a decoder. It is strict where a collector would lose or misplace
//! the span: ids of the wrong length, ids of zeros, unknown kinds and status codes are errors.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value as ProtoValue,
};
use opentelemetry_proto::tonic::trace::v1::{Span, span};
use prost::Message;
use throughline_core::{SpanId, SpanKind, Status, TraceId};

use crate::span::{ReceivedEvent, ReceivedLink, ReceivedScope, ReceivedSpan};
use crate::value::Value;

/// Why a request cannot be accepted.
#[derive(Clone, Debug)]
pub(crate) struct DecodeError(String);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

/// What a receiver needs of a request.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// The ids of the spans, in the order of the request.
    pub(crate) ids: Vec<u64>,
    /// The spans, unless only their ids are wanted.
    pub(crate) spans: Vec<ReceivedSpan>,
}

/// Decodes one request, with its spans or with their ids only.
pub(crate) fn content(body: Bytes, with_spans: bool) -> Result<Content, DecodeError> {
    if with_spans {
        let spans = request(&body)?;
        let id = |span: &ReceivedSpan| u64::from_be_bytes(span.span_id.to_bytes());
        return Ok(Content {
            ids: spans.iter().map(id).collect(),
            spans,
        });
    }
    let request = IdsOfRequest::decode(body)
        .map_err(|error| DecodeError(format!("not an ExportTraceServiceRequest: {error}")))?;
    let scopes = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans);
    let ids = scopes.flat_map(|scope| &scope.spans).map(|span| {
        <[u8; 8]>::try_from(&span.span_id[..])
            .map(u64::from_be_bytes)
            .map_err(|_| DecodeError(format!("a span id of {} bytes", span.span_id.len())))
    });
    Ok(Content {
        ids: ids.collect::<Result<_, _>>()?,
        spans: Vec::new(),
    })
}

/// The part of `ExportTraceServiceRequest` that leads to the ids; the rest is skipped unread.
#[derive(Clone, PartialEq, Message)]
struct IdsOfRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<IdsOfResource>,
}

#[derive(Clone, PartialEq, Message)]
struct IdsOfResource {
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<IdsOfScope>,
}

#[derive(Clone, PartialEq, Message)]
struct IdsOfScope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<IdOfSpan>,
}

#[derive(Clone, PartialEq, Message)]
struct IdOfSpan {
    #[prost(bytes = "bytes", tag = "2")]
    span_id: Bytes,
}

/// Decodes one request; all spans or none.
pub(crate) fn request(body: &[u8]) -> Result<Vec<ReceivedSpan>, DecodeError> {
    let request = ExportTraceServiceRequest::decode(body)
        .map_err(|error| DecodeError(format!("not an ExportTraceServiceRequest: {error}")))?;
    let mut spans = Vec::new();
    for resource_spans in request.resource_spans {
        let resource = Arc::new(attributes(
            resource_spans.resource.unwrap_or_default().attributes,
        ));
        for scope_spans in resource_spans.scope_spans {
            let scope = Arc::new(scope(
                scope_spans.scope.unwrap_or_default(),
                scope_spans.schema_url,
            ));
            for span in scope_spans.spans {
                spans.push(self::span(span, &scope, &resource)?);
            }
        }
    }
    Ok(spans)
}

fn scope(scope: InstrumentationScope, schema_url: String) -> ReceivedScope {
    ReceivedScope {
        name: scope.name,
        version: scope.version,
        schema_url,
        attributes: attributes(scope.attributes),
    }
}

fn span(
    span: Span,
    scope: &Arc<ReceivedScope>,
    resource: &Arc<Vec<(String, Value)>>,
) -> Result<ReceivedSpan, DecodeError> {
    let within = |error: DecodeError| DecodeError(format!("span {:?}: {error}", span.name));
    let status = span.status.unwrap_or_default();
    Ok(ReceivedSpan {
        trace_id: trace_id(&span.trace_id).map_err(within)?,
        span_id: span_id("span_id", &span.span_id).map_err(within)?,
        parent: match span.parent_span_id.as_slice() {
            [] => None,
            id => Some(span_id("parent_span_id", id).map_err(within)?),
        },
        tracestate: span.trace_state,
        flags: span.flags,
        kind: kind(span.kind).map_err(within)?,
        start_unix_nano: span.start_time_unix_nano,
        end_unix_nano: span.end_time_unix_nano,
        attributes: attributes(span.attributes),
        dropped_attributes: span.dropped_attributes_count,
        events: span.events.into_iter().map(event).collect(),
        dropped_events: span.dropped_events_count,
        links: span
            .links
            .into_iter()
            .map(link)
            .collect::<Result<_, _>>()
            .map_err(within)?,
        dropped_links: span.dropped_links_count,
        status: self::status(status.code).map_err(within)?,
        status_message: status.message,
        scope: Arc::clone(scope),
        resource: Arc::clone(resource),
        name: span.name,
    })
}

fn event(event: span::Event) -> ReceivedEvent {
    ReceivedEvent {
        name: event.name,
        time_unix_nano: event.time_unix_nano,
        attributes: attributes(event.attributes),
        dropped_attributes: event.dropped_attributes_count,
    }
}

fn link(link: span::Link) -> Result<ReceivedLink, DecodeError> {
    Ok(ReceivedLink {
        trace_id: trace_id(&link.trace_id)?,
        span_id: span_id("the span_id of a link", &link.span_id)?,
        tracestate: link.trace_state,
        flags: link.flags,
        attributes: attributes(link.attributes),
        dropped_attributes: link.dropped_attributes_count,
    })
}

fn attributes(attributes: Vec<KeyValue>) -> Vec<(String, Value)> {
    attributes
        .into_iter()
        .map(|attribute| (attribute.key, value(attribute.value.unwrap_or_default())))
        .collect()
}

fn value(value: AnyValue) -> Value {
    match value.value {
        None => Value::Empty,
        Some(ProtoValue::StringValue(value)) => Value::String(value),
        Some(ProtoValue::BoolValue(value)) => Value::Bool(value),
        Some(ProtoValue::IntValue(value)) => Value::Int(value),
        Some(ProtoValue::DoubleValue(value)) => Value::Double(value),
        Some(ProtoValue::BytesValue(value)) => Value::Bytes(value),
        Some(ProtoValue::ArrayValue(array)) => {
            Value::Array(array.values.into_iter().map(self::value).collect())
        }
        Some(ProtoValue::KvlistValue(map)) => Value::Map(attributes(map.values)),
        // An index into a string table, which only the profiles signal has.
        Some(ProtoValue::StringValueStrindex(_)) => Value::Empty,
    }
}

fn trace_id(bytes: &[u8]) -> Result<TraceId, DecodeError> {
    let id = <[u8; 16]>::try_from(bytes)
        .map_err(|_| DecodeError(format!("trace_id has {} bytes, not 16", bytes.len())))?;
    Some(TraceId::from_bytes(id))
        .filter(|id| *id != TraceId::INVALID)
        .ok_or_else(|| DecodeError("trace_id is all zeros".to_owned()))
}

fn span_id(field: &str, bytes: &[u8]) -> Result<SpanId, DecodeError> {
    let id = <[u8; 8]>::try_from(bytes)
        .map_err(|_| DecodeError(format!("{field} has {} bytes, not 8", bytes.len())))?;
    Some(SpanId::from_bytes(id))
        .filter(|id| *id != SpanId::INVALID)
        .ok_or_else(|| DecodeError(format!("{field} is all zeros")))
}

fn kind(number: i32) -> Result<SpanKind, DecodeError> {
    match number {
        0 | 1 => Ok(SpanKind::Internal),
        2 => Ok(SpanKind::Server),
        3 => Ok(SpanKind::Client),
        4 => Ok(SpanKind::Producer),
        5 => Ok(SpanKind::Consumer),
        _ => Err(DecodeError(format!("kind {number} does not exist"))),
    }
}

fn status(code: i32) -> Result<Status, DecodeError> {
    match code {
        0 => Ok(Status::Unset),
        1 => Ok(Status::Ok),
        2 => Ok(Status::Error),
        _ => Err(DecodeError(format!("status code {code} does not exist"))),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Status as ProtoStatus};

    use super::*;

    #[test]
    fn every_field_arrives() {
        let link = span::Link {
            trace_id: vec![7; 16],
            span_id: vec![8; 8],
            trace_state: "a=b".to_owned(),
            attributes: vec![pair("why", ProtoValue::StringValue("retry".to_owned()))],
            dropped_attributes_count: 1,
            flags: 0x301,
        };
        let event = span::Event {
            time_unix_nano: 15,
            name: "charged".to_owned(),
            attributes: vec![pair("amount", ProtoValue::IntValue(3))],
            dropped_attributes_count: 2,
        };
        let sent = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            trace_state: "vendor=x".to_owned(),
            parent_span_id: vec![3; 8],
            flags: 0x101,
            name: "place_order".to_owned(),
            kind: 5,
            start_time_unix_nano: 10,
            end_time_unix_nano: 30,
            attributes: values(),
            dropped_attributes_count: 4,
            events: vec![event],
            dropped_events_count: 5,
            links: vec![link],
            dropped_links_count: 6,
            status: Some(ProtoStatus {
                message: "out of stock".to_owned(),
                code: 2,
            }),
        };
        let spans = request(&envelope(vec![sent]).encode_to_vec()).expect("a valid request");
        let text = |key: &str, value: &str| (key.to_owned(), Value::String(value.to_owned()));
        let expected = ReceivedSpan {
            trace_id: TraceId::from_bytes([1; 16]),
            span_id: SpanId::from_bytes([2; 8]),
            parent: Some(SpanId::from_bytes([3; 8])),
            tracestate: "vendor=x".to_owned(),
            flags: 0x101,
            name: "place_order".to_owned(),
            kind: SpanKind::Consumer,
            start_unix_nano: 10,
            end_unix_nano: 30,
            attributes: vec![
                text("text", "a"),
                ("flag".to_owned(), Value::Bool(true)),
                ("count".to_owned(), Value::Int(-1)),
                ("ratio".to_owned(), Value::Double(0.5)),
                ("raw".to_owned(), Value::Bytes(vec![1, 255])),
                (
                    "list".to_owned(),
                    Value::Array(vec![Value::Int(1), Value::Empty]),
                ),
                (
                    "map".to_owned(),
                    Value::Map(vec![("inner".to_owned(), Value::Bool(false))]),
                ),
                text("text", "again"),
            ],
            dropped_attributes: 4,
            events: vec![ReceivedEvent {
                name: "charged".to_owned(),
                time_unix_nano: 15,
                attributes: vec![("amount".to_owned(), Value::Int(3))],
                dropped_attributes: 2,
            }],
            dropped_events: 5,
            links: vec![ReceivedLink {
                trace_id: TraceId::from_bytes([7; 16]),
                span_id: SpanId::from_bytes([8; 8]),
                tracestate: "a=b".to_owned(),
                flags: 0x301,
                attributes: vec![text("why", "retry")],
                dropped_attributes: 1,
            }],
            dropped_links: 6,
            status: Status::Error,
            status_message: "out of stock".to_owned(),
            scope: Arc::new(ReceivedScope {
                name: "shop".to_owned(),
                version: "1.2.3".to_owned(),
                schema_url: "https://opentelemetry.io/schemas/1.37.0".to_owned(),
                attributes: Vec::new(),
            }),
            resource: Arc::new(vec![text("service.name", "shop")]),
        };
        assert_eq!(spans, [expected]);
    }

    #[test]
    fn a_span_a_collector_would_misplace_is_refused() {
        let refused = |change: fn(&mut Span)| {
            let mut span = Span {
                trace_id: vec![1; 16],
                span_id: vec![2; 8],
                name: "work".to_owned(),
                ..Span::default()
            };
            change(&mut span);
            request(&envelope(vec![span]).encode_to_vec())
                .expect_err("an invalid span")
                .to_string()
        };
        let messages = [
            refused(|span| span.trace_id = vec![1; 15]),
            refused(|span| span.trace_id = vec![0; 16]),
            refused(|span| span.span_id.clear()),
            refused(|span| span.parent_span_id = vec![0; 8]),
            refused(|span| span.kind = 6),
            refused(|span| span.links = vec![span::Link::default()]),
            refused(|span| {
                span.status = Some(ProtoStatus {
                    code: 3,
                    ..ProtoStatus::default()
                });
            }),
        ];
        insta::assert_snapshot!(messages.join("\n"), @r#"
        span "work": trace_id has 15 bytes, not 16
        span "work": trace_id is all zeros
        span "work": span_id has 0 bytes, not 8
        span "work": parent_span_id is all zeros
        span "work": kind 6 does not exist
        span "work": trace_id has 0 bytes, not 16
        span "work": status code 3 does not exist
        "#);
    }

    #[test]
    fn bytes_that_are_no_protobuf_are_refused() {
        let error = request(b"{\"resourceSpans\":[]}").expect_err("JSON");
        assert!(
            error
                .to_string()
                .starts_with("not an ExportTraceServiceRequest: "),
            "{error}"
        );
    }

    fn values() -> Vec<KeyValue> {
        vec![
            pair("text", ProtoValue::StringValue("a".to_owned())),
            pair("flag", ProtoValue::BoolValue(true)),
            pair("count", ProtoValue::IntValue(-1)),
            pair("ratio", ProtoValue::DoubleValue(0.5)),
            pair("raw", ProtoValue::BytesValue(vec![1, 255])),
            pair(
                "list",
                ProtoValue::ArrayValue(ArrayValue {
                    values: vec![any(ProtoValue::IntValue(1)), AnyValue { value: None }],
                }),
            ),
            pair(
                "map",
                ProtoValue::KvlistValue(KeyValueList {
                    values: vec![pair("inner", ProtoValue::BoolValue(false))],
                }),
            ),
            pair("text", ProtoValue::StringValue("again".to_owned())),
        ]
    }

    fn envelope(spans: Vec<Span>) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: vec![pair(
                        "service.name",
                        ProtoValue::StringValue("shop".to_owned()),
                    )],
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: "shop".to_owned(),
                        version: "1.2.3".to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    spans,
                    schema_url: "https://opentelemetry.io/schemas/1.37.0".to_owned(),
                }],
                schema_url: String::new(),
            }],
        }
    }

    fn pair(key: &str, value: ProtoValue) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(any(value)),
            ..KeyValue::default()
        }
    }

    fn any(value: ProtoValue) -> AnyValue {
        AnyValue { value: Some(value) }
    }
}
