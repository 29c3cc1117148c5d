//! Spans as Zipkin takes them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyOf;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{self as otlp, ResourceSpans, ScopeSpans, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value, json};

use super::*;
use crate::json::arbitrary;

fn attribute(key: &str, value: AnyOf) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn label(key: &str, value: &str) -> KeyValue {
    attribute(key, AnyOf::StringValue(value.to_owned()))
}

fn span() -> otlp::Span {
    otlp::Span {
        trace_id: (0..16).collect(),
        span_id: vec![0, 0, 0, 0, 0, 0, 0, 1],
        ..otlp::Span::default()
    }
}

fn request(span: otlp::Span) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn encoded(request: &ExportTraceServiceRequest) -> Value {
    serde_json::from_slice(&spans(&request.encode_to_vec()).unwrap()).unwrap()
}

fn one(span: otlp::Span) -> Value {
    encoded(&request(span))[0].clone()
}

#[test]
fn everything_that_a_span_has_goes_somewhere() {
    let mut request = request(otlp::Span {
        trace_state: "a=b".to_owned(),
        parent_span_id: vec![0xab; 8],
        name: "GET /cart".to_owned(),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: 1_700_000_000_123_456_789,
        end_time_unix_nano: 1_700_000_000_125_000_000,
        attributes: vec![
            label("peer.service", "cart"),
            label("http.request.method", "GET"),
            label("deployment.environment.name", "of the span"),
        ],
        dropped_attributes_count: 1,
        events: vec![
            Event {
                time_unix_nano: 1_700_000_000_124_000_999,
                name: "retry \"1\"".to_owned(),
                attributes: vec![
                    label("key1", "value1"),
                    attribute("key2", AnyOf::IntValue(2)),
                ],
                dropped_attributes_count: 3,
            },
            Event {
                time_unix_nano: 1_700_000_000_124_500_000,
                name: "plain".to_owned(),
                ..Event::default()
            },
        ],
        dropped_events_count: 2,
        links: vec![Link {
            trace_id: vec![0xcd; 16],
            span_id: vec![0xef; 8],
            trace_state: "c=d".to_owned(),
            attributes: vec![attribute("n", AnyOf::BoolValue(true))],
            dropped_attributes_count: 4,
            flags: 1,
        }],
        dropped_links_count: 5,
        status: Some(Status {
            code: 2,
            message: "timed out".to_owned(),
        }),
        ..span()
    });
    request.resource_spans[0].resource = Some(Resource {
        attributes: vec![
            label("service.name", "shop"),
            label("service.namespace", "sale"),
            label("deployment.environment.name", "of the resource"),
        ],
        ..Resource::default()
    });
    request.resource_spans[0].scope_spans[0].scope = Some(InstrumentationScope {
        name: "client".to_owned(),
        version: "1.2".to_owned(),
        attributes: vec![label("scoped", "yes")],
        ..InstrumentationScope::default()
    });
    assert_eq!(
        encoded(&request),
        json!([{
            "traceId": "000102030405060708090a0b0c0d0e0f",
            "id": "0000000000000001",
            "parentId": "abababababababab",
            "name": "GET /cart",
            "kind": "CLIENT",
            "timestamp": 1_700_000_000_123_456_u64,
            "duration": 1543,
            "localEndpoint": { "serviceName": "shop" },
            "remoteEndpoint": { "serviceName": "cart" },
            "annotations": [
                {
                    "timestamp": 1_700_000_000_124_000_u64,
                    "value": "\"retry \\\"1\\\"\": {\"key1\":\"value1\",\"key2\":2,\
                              \"otel.dropped_attributes_count\":3}",
                },
                { "timestamp": 1_700_000_000_124_500_u64, "value": "plain" },
            ],
            "tags": {
                "deployment.environment.name": "of the span",
                "error": "timed out",
                "http.request.method": "GET",
                "otel.dropped_attributes_count": "1",
                "otel.dropped_events_count": "2",
                "otel.dropped_links_count": "5",
                "otel.library.name": "client",
                "otel.library.version": "1.2",
                "otel.scope.name": "client",
                "otel.scope.version": "1.2",
                "otel.status_code": "ERROR",
                "otlp.link.0": format!(
                    "{}|{}|c=d|{{\"n\":true}}|4",
                    "cd".repeat(16),
                    "ef".repeat(8)
                ),
                "peer.service": "cart",
                "scoped": "yes",
                "service.namespace": "sale",
                "w3c.tracestate": "a=b",
            },
        }])
    );
}

#[test]
fn what_a_span_does_not_have_is_left_out() {
    assert_eq!(
        one(span()),
        json!({
            "traceId": "000102030405060708090a0b0c0d0e0f",
            "id": "0000000000000001",
            "duration": 1,
            "localEndpoint": { "serviceName": "unknown_service" },
        })
    );
}

#[test]
fn values_become_text() {
    let nested = AnyOf::ArrayValue(ArrayValue {
        values: [
            Some(AnyOf::StringValue("a\"b".into())),
            Some(AnyOf::IntValue(-1)),
            Some(AnyOf::DoubleValue(f64::NEG_INFINITY)),
            Some(AnyOf::DoubleValue(0.5)),
            Some(AnyOf::BytesValue(b"hello world".to_vec())),
            None,
            Some(AnyOf::KvlistValue(KeyValueList {
                values: vec![attribute("k", AnyOf::BoolValue(false))],
            })),
        ]
        .map(|value| AnyValue { value })
        .to_vec(),
    });
    for (value, expected) in [
        (AnyOf::StringValue("a\"b".into()), "a\"b"),
        (AnyOf::BoolValue(true), "true"),
        (AnyOf::IntValue(i64::MIN), "-9223372036854775808"),
        (AnyOf::DoubleValue(1.5), "1.5"),
        (AnyOf::DoubleValue(f64::NAN), "NaN"),
        (AnyOf::DoubleValue(f64::INFINITY), "Infinity"),
        (
            AnyOf::BytesValue(b"hello world".to_vec()),
            "aGVsbG8gd29ybGQ=",
        ),
        (
            nested,
            "[\"a\\\"b\",-1,\"-Infinity\",0.5,\"aGVsbG8gd29ybGQ=\",null,{\"k\":false}]",
        ),
        (AnyOf::KvlistValue(KeyValueList::default()), "{}"),
    ] {
        let span = otlp::Span {
            attributes: vec![attribute("key", value)],
            ..span()
        };
        assert_eq!(one(span)["tags"], json!({ "key": expected }));
    }
    let empty = KeyValue {
        key: "key".to_owned(),
        ..KeyValue::default()
    };
    let span = otlp::Span {
        attributes: vec![empty],
        ..span()
    };
    assert_eq!(one(span)["tags"], json!({ "key": "" }));
}

#[test]
fn durations_are_whole_microseconds_and_at_least_one() {
    for (start, end, expected) in [
        (5_000, 5_000, 1),
        (5_000, 5_999, 1),
        (5_000, 6_234, 1),
        (5_000, 6_999, 1),
        (5_000, 7_000, 2),
        // A clock that went back.
        (5_000, 4_000, 1),
        (0, u64::MAX, 18_446_744_073_709_551_u64),
    ] {
        let span = one(otlp::Span {
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            ..span()
        });
        assert_eq!(span["duration"], expected, "{start} {end}");
        assert_eq!(span.get("timestamp").is_none(), start == 0);
    }
}

#[test]
fn kinds_have_names() {
    for (kind, expected) in [
        (SpanKind::Unspecified, Value::Null),
        (SpanKind::Internal, Value::Null),
        (SpanKind::Server, "SERVER".into()),
        (SpanKind::Client, "CLIENT".into()),
        (SpanKind::Producer, "PRODUCER".into()),
        (SpanKind::Consumer, "CONSUMER".into()),
    ] {
        let span = otlp::Span {
            kind: kind.into(),
            ..span()
        };
        assert_eq!(one(span)["kind"], expected);
    }
}

#[test]
fn the_best_name_of_the_other_side_is_taken() {
    let by_rank = [
        (label("peer.service", "p"), json!({ "serviceName": "p" })),
        (label("server.address", "s"), json!({ "serviceName": "s" })),
        (label("net.peer.name", "n"), json!({ "serviceName": "n" })),
        (
            label("network.peer.address", "10.1.2.3"),
            json!({ "ipv4": "10.1.2.3", "port": 80 }),
        ),
        (
            label("server.socket.domain", "d"),
            json!({ "serviceName": "d" }),
        ),
        (
            label("server.socket.address", "::ffff:10.1.2.4"),
            json!({ "ipv4": "10.1.2.4" }),
        ),
        (
            label("net.sock.peer.name", "sn"),
            json!({ "serviceName": "sn" }),
        ),
        (
            label("net.sock.peer.addr", "2001:db8::c001"),
            json!({ "ipv6": "2001:db8::c001", "port": 443 }),
        ),
        (label("peer.hostname", "h"), json!({ "serviceName": "h" })),
        (label("peer.address", "a"), json!({ "serviceName": "a" })),
        (label("db.name", "db"), json!({ "serviceName": "db" })),
    ];
    let ports = [
        attribute("network.peer.port", AnyOf::IntValue(80)),
        attribute("net.sock.peer.port", AnyOf::IntValue(443)),
        // Out of range, so not a port.
        attribute("server.socket.port", AnyOf::IntValue(70_000)),
    ];
    for rank in 0..by_rank.len() {
        let names = by_rank[rank..].iter().map(|(name, _)| name.clone());
        let attributes: Vec<_> = ports.iter().cloned().chain(names).collect();
        for (kind, has_remote) in [
            (SpanKind::Client, true),
            (SpanKind::Producer, true),
            (SpanKind::Server, false),
            (SpanKind::Consumer, false),
            (SpanKind::Internal, false),
        ] {
            let span = one(otlp::Span {
                kind: kind.into(),
                attributes: attributes.clone(),
                ..span()
            });
            let expected = if has_remote {
                &by_rank[rank].1
            } else {
                &Value::Null
            };
            assert_eq!(&span["remoteEndpoint"], expected, "{kind:?} {rank}");
        }
    }
    let span = one(otlp::Span {
        kind: SpanKind::Client.into(),
        attributes: vec![label("network.peer.address", "/run/db.sock")],
        ..span()
    });
    assert_eq!(
        span["remoteEndpoint"],
        json!({ "serviceName": "/run/db.sock" })
    );
}

#[test]
fn the_status_decides_about_the_error() {
    let status = |code: i32, message: &str| Status {
        code,
        message: message.to_owned(),
    };
    let is_false = label("error", "false");
    let is_no = attribute("error", AnyOf::BoolValue(false));
    for (status, attribute, expected) in [
        (status(0, "ignored"), None, Value::Null),
        (
            status(1, "ignored"),
            None,
            json!({ "otel.status_code": "OK" }),
        ),
        (
            status(2, ""),
            None,
            json!({ "otel.status_code": "ERROR", "error": "" }),
        ),
        (
            status(2, "no"),
            Some(is_false.clone()),
            json!({ "otel.status_code": "ERROR", "error": "no" }),
        ),
        (status(0, ""), Some(is_false), Value::Null),
        (status(0, ""), Some(is_no), Value::Null),
    ] {
        let span = one(otlp::Span {
            status: Some(status),
            attributes: attribute.into_iter().collect(),
            ..span()
        });
        assert_eq!(span["tags"], expected);
    }
}

#[test]
fn what_zipkin_would_refuse_is_an_error() {
    for span in [
        otlp::Span {
            trace_id: vec![0; 16],
            ..span()
        },
        otlp::Span {
            span_id: vec![1; 7],
            ..span()
        },
    ] {
        let error = spans(&request(span).encode_to_vec()).unwrap_err();
        assert_eq!(error.error_type(), "malformed");
        assert_eq!(error.to_string(), "a span has no valid id");
    }
    assert_eq!(spans(&[]).unwrap(), b"[]");
    assert_eq!(spans(&[0x0a, 9]).unwrap_err().error_type(), "malformed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_span_is_there(mut request in arbitrary::request()) {
        let spans: Vec<_> = request
            .resource_spans
            .iter_mut()
            .flat_map(|resource_spans| &mut resource_spans.scope_spans)
            .flat_map(|scope_spans| &mut scope_spans.spans)
            .collect();
        let mut expected = Vec::new();
        for (span, number) in spans.into_iter().zip(1_u64..) {
            span.trace_id = vec![7; 16];
            span.span_id = number.to_be_bytes().to_vec();
            expected.push((format!("{number:016x}"), span.events.len(), span.links.len()));
        }
        let encoded = encoded(&request);
        let shown: Vec<_> = encoded
            .as_array()
            .unwrap()
            .iter()
            .map(|span| {
                let id = span["id"].as_str().unwrap().to_owned();
                let tags = span["tags"].as_object();
                let is_link = |key: &&String| key.starts_with("otlp.link.");
                let links = tags.map_or(0, |tags| tags.keys().filter(is_link).count());
                (id, span["annotations"].as_array().map_or(0, Vec::len), links)
            })
            .collect();
        prop_assert_eq!(shown, expected);
    }

    #[test]
    fn no_bytes_make_it_panic(
        request in arbitrary::request(),
        changes in vec((proptest::num::usize::ANY, proptest::num::u8::ANY), 0..9),
    ) {
        let mut bytes = request.encode_to_vec();
        for (place, byte) in changes {
            let len = bytes.len().max(1);
            if let Some(place) = bytes.get_mut(place % len) {
                *place = byte;
            }
        }
        if let Ok(json) = spans(&bytes) {
            serde_json::from_slice::<Value>(&json).unwrap();
        }
    }
}
