//! Messages in JSON against what an independent reader makes of them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::arbitrary::request;
use super::*;

fn shown(request: &[u8]) -> serde_json::Value {
    serde_json::from_slice(&trace_request(request).unwrap()).unwrap()
}

fn with_value(value: Any) -> ExportTraceServiceRequest {
    with_span(Span {
        attributes: vec![KeyValue {
            key: "k".to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        }],
        ..Span::default()
    })
}

fn with_span(span: Span) -> ExportTraceServiceRequest {
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

fn shown_value(value: Any) -> String {
    let shown = shown(&with_value(value).encode_to_vec());
    shown["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"][0]["value"].to_string()
}

#[test]
fn every_type_of_value_is_written_as_the_specification_says() {
    for (value, expected) in [
        (
            Any::StringValue("a\"b\n\u{1b}é".into()),
            r#"{"stringValue":"a\"b\n\u001bé"}"#,
        ),
        (Any::StringValue(String::new()), r#"{"stringValue":""}"#),
        (Any::BoolValue(false), r#"{"boolValue":false}"#),
        (
            Any::IntValue(i64::MIN),
            r#"{"intValue":"-9223372036854775808"}"#,
        ),
        (Any::IntValue(0), r#"{"intValue":"0"}"#),
        (Any::DoubleValue(1.5), r#"{"doubleValue":1.5}"#),
        (Any::DoubleValue(-0.0), r#"{"doubleValue":-0.0}"#),
        (Any::DoubleValue(f64::NAN), r#"{"doubleValue":"NaN"}"#),
        (
            Any::DoubleValue(f64::INFINITY),
            r#"{"doubleValue":"Infinity"}"#,
        ),
        (
            Any::DoubleValue(f64::NEG_INFINITY),
            r#"{"doubleValue":"-Infinity"}"#,
        ),
        (
            Any::BytesValue(vec![0xfb, 0xff, 0x00, 0x3e]),
            r#"{"bytesValue":"+/8APg=="}"#,
        ),
        (
            Any::ArrayValue(ArrayValue::default()),
            r#"{"arrayValue":{"values":[]}}"#,
        ),
        (
            Any::ArrayValue(ArrayValue {
                values: vec![AnyValue { value: None }],
            }),
            r#"{"arrayValue":{"values":[{}]}}"#,
        ),
        (
            Any::KvlistValue(KeyValueList {
                values: vec![KeyValue::default()],
            }),
            r#"{"kvlistValue":{"values":[{"key":""}]}}"#,
        ),
    ] {
        assert_eq!(shown_value(value), expected);
    }
}

#[test]
fn a_span_is_written_as_the_specification_says() {
    let span = Span {
        trace_id: (0..16).map(|byte| byte * 17).collect(),
        span_id: vec![0, 1, 2, 3, 4, 5, 6, 0xab],
        name: "checkout".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_544_712_660_000_000_001,
        end_time_unix_nano: u64::MAX,
        flags: 0x301,
        status: Some(Status {
            code: 2,
            message: "no".to_owned(),
        }),
        ..Span::default()
    };
    let json = trace_request(&with_span(span).encode_to_vec()).unwrap();
    assert_eq!(
        std::str::from_utf8(&json).unwrap(),
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\
         \"traceId\":\"00112233445566778899aabbccddeeff\",\"spanId\":\"00010203040506ab\",\
         \"flags\":769,\"name\":\"checkout\",\"kind\":2,\
         \"startTimeUnixNano\":\"1544712660000000001\",\
         \"endTimeUnixNano\":\"18446744073709551615\",\
         \"status\":{\"message\":\"no\",\"code\":2}}]}]}]}"
    );
}

#[test]
fn what_is_no_message_is_an_error_and_what_is_unknown_is_left_out() {
    let error = trace_request(&[0x0a, 0x05, 0x00]).unwrap_err();
    assert_eq!(error.error_type(), "malformed");
    assert!(!error.is_transient());
    // Inside, too: a span with a cut field.
    let error = trace_request(&[0x0a, 0x05, 0x12, 0x03, 0x12, 0x01, 0x0a]).unwrap_err();
    assert_eq!(error.to_string(), "malformed protobuf field at byte 0");
    // Field 1000 is unknown, and field 3 of resource spans is no varint.
    let json = trace_request(&[0xc0, 0x3e, 0x01, 0x0a, 0x02, 0x18, 0x01]).unwrap();
    assert_eq!(&json[..], br#"{"resourceSpans":[{}]}"#);
    assert_eq!(&trace_request(&[]).unwrap()[..], br#"{"resourceSpans":[]}"#);
}

#[test]
fn text_that_is_not_utf_8_gets_replacement_characters() {
    let json = trace_request(&[0x0a, 0x04, 0x1a, 0x02, b'a', 0xff]).unwrap();
    let expected = "{\"resourceSpans\":[{\"schemaUrl\":\"a\u{fffd}\"}]}";
    assert_eq!(std::str::from_utf8(&json).unwrap(), expected);
}

#[test]
fn nesting_ends_where_decoders_end() {
    let nested = |levels: usize| {
        let value = AnyValue {
            value: Some(Any::BoolValue(true)),
        };
        let mut bytes = value.encode_to_vec();
        // An array of one value is a value.
        for _ in 0..levels {
            bytes = message(5, &message(1, &bytes));
        }
        // Value, attribute, span, scope spans, resource spans.
        for field in [2, 9, 2, 2, 1] {
            bytes = message(field, &bytes);
        }
        trace_request(&bytes)
    };
    // Six messages around the arrays, and two for each.
    assert!(nested(47).is_ok());
    let error = nested(48).unwrap_err();
    assert_eq!(
        error.to_string(),
        "messages lie more than 100 deep in each other"
    );
    nested(10_000).unwrap_err();
}

#[test]
fn fields_that_come_twice_are_merged() {
    let mut twice = with_span(Span {
        status: Some(Status {
            code: 2,
            message: "no".to_owned(),
        }),
        name: "first".to_owned(),
        ..Span::default()
    });
    let span = &mut twice.resource_spans[0].scope_spans[0].spans[0];
    let mut bytes = span.encode_to_vec();
    bytes.extend(
        Span {
            name: "second".to_owned(),
            status: Some(Status {
                message: "yes".to_owned(),
                code: 0,
            }),
            ..Span::default()
        }
        .encode_to_vec(),
    );
    let merged = Span::decode(&bytes[..]).unwrap();
    let request = message(1, &message(2, &message(2, &bytes)));
    assert_eq!(reread(&request), with_span(merged));
}

/// One field that holds these bytes.
fn message(field: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(
        field,
        prost::encoding::WireType::LengthDelimited,
        &mut bytes,
    );
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// What the serde types of opentelemetry-proto make of the JSON.
fn reread(request: &[u8]) -> ExportTraceServiceRequest {
    let mut json = shown(request);
    finite(&mut json);
    serde_json::from_value(json).unwrap()
}

/// Those types know no double that is not finite.
fn finite(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::Object(object) => {
            if let Some(special) = object.get("doubleValue").and_then(|value| value.as_str()) {
                let replaced = format!("double {special}");
                object.clear();
                object.insert("stringValue".to_owned(), replaced.into());
            }
            object.values_mut().for_each(finite);
        }
        serde_json::Value::Array(array) => array.iter_mut().for_each(finite),
        _ => {}
    }
}

/// Does to the doubles of a message what [`finite`] does to those of the JSON.
fn finite_values(request: &ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    fn value_in(value: &mut AnyValue) {
        match &mut value.value {
            Some(Any::DoubleValue(number)) if !number.is_finite() => {
                let name = match *number {
                    number if number.is_nan() => "NaN",
                    number if number > 0.0 => "Infinity",
                    _ => "-Infinity",
                };
                value.value = Some(Any::StringValue(format!("double {name}")));
            }
            Some(Any::ArrayValue(array)) => array.values.iter_mut().for_each(value_in),
            Some(Any::KvlistValue(list)) => all(&mut list.values),
            _ => {}
        }
    }
    fn all(attributes: &mut [KeyValue]) {
        attributes
            .iter_mut()
            .filter_map(|attribute| attribute.value.as_mut())
            .for_each(value_in);
    }
    let mut request = request.clone();
    for resource_spans in &mut request.resource_spans {
        if let Some(resource) = &mut resource_spans.resource {
            all(&mut resource.attributes);
        }
        for scope_spans in &mut resource_spans.scope_spans {
            if let Some(scope) = &mut scope_spans.scope {
                all(&mut scope.attributes);
            }
            for span in &mut scope_spans.spans {
                all(&mut span.attributes);
                span.events
                    .iter_mut()
                    .for_each(|event| all(&mut event.attributes));
                span.links
                    .iter_mut()
                    .for_each(|link| all(&mut link.attributes));
            }
        }
    }
    request
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_is_lost(request in request()) {
        let expected = finite_values(&request);
        let reread = reread(&request.encode_to_vec());
        prop_assert_eq!(reread.encode_to_vec(), expected.encode_to_vec());
    }

    #[test]
    fn no_bytes_make_it_panic(
        request in request(),
        changes in vec((proptest::num::usize::ANY, proptest::num::u8::ANY), 0..9),
    ) {
        let mut bytes = request.encode_to_vec();
        for (place, byte) in changes {
            let len = bytes.len().max(1);
            if let Some(place) = bytes.get_mut(place % len) {
                *place = byte;
            }
        }
        if let Ok(json) = trace_request(&bytes) {
            serde_json::from_slice::<serde_json::Value>(&json).unwrap();
        }
    }
}
