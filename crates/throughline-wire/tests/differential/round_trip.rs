//! What is written is what prost decodes, and no byte longer than prost would write it.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1 as otlp;
use proptest::prelude::*;
use prost::Message as _;
use throughline_wire::{
    AttributeField, Buffer, Limits, SpanHead, ValueWriter, put_attribute, put_request, put_span,
};

use crate::arbitrary;
use crate::expected;
use crate::model::{self, Value};
use crate::walk::{Message, walk};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn requests_decode_to_what_was_written(
        request in arbitrary::request(),
        limits in arbitrary::limits(),
    ) {
        let bytes = request.write(limits);
        let mut decoded = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(decoded.encoded_len(), bytes.len());
        walk(&bytes, Message::Request);
        expected::comparable_request(&mut decoded);
        prop_assert_eq!(decoded, request.expected(limits));
    }

    #[test]
    fn bodies_decode_to_what_was_written(
        parts in arbitrary::parts(proptest::option::of(arbitrary::text())),
        limits in arbitrary::limits(),
    ) {
        let bytes = model::write_body(&parts, limits);
        let mut decoded = otlp::Span::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(decoded.encoded_len(), bytes.len());
        walk(&bytes, Message::Span);
        expected::comparable(&mut decoded);
        prop_assert_eq!(decoded, expected::expected_body(&parts, limits));
    }
}

/// Every content length around the places where one of the nested lengths takes another byte,
/// for the two ways in which strings are written.
#[test]
fn lengths_grow_exactly_at_their_boundaries() {
    let around = |len: usize| len - 40..len + 10;
    for len in (0..300).chain(around(1 << 14)).chain(around(1 << 21)) {
        for key in ["k", "a.rather.long.key"] {
            let text = "x".repeat(len);
            let mut exact = Buffer::new();
            let mut formatted = Buffer::new();
            let span = AttributeField::Span;
            put_attribute(&mut exact, span, &key, Limits::default(), |v| v.str(&text));
            put_attribute(&mut formatted, span, &key, Limits::default(), |v| {
                v.display(&text);
            });
            assert_eq!(exact, formatted, "{len}");
            let decoded = otlp::Span::decode(exact.as_slice()).unwrap();
            assert_eq!(decoded.encode_to_vec(), exact.as_slice(), "{len}");
        }
    }
}

/// Nested frames that all outgrow their one-byte lengths, each at another moment.
#[test]
fn nested_lengths_grow_together() {
    for len in 0..200 {
        let text = Value::Displayed(vec!["é".repeat(len / 2), "x".repeat(len % 2)]);
        let nested = Value::Array(vec![
            Value::Map(vec![
                ("inner".to_owned(), text.clone()),
                ("n".to_owned(), Value::Int(1)),
            ]),
            text,
        ]);
        let mut bytes = Buffer::new();
        put_attribute(
            &mut bytes,
            AttributeField::Span,
            &"outer",
            Limits::default(),
            |v| model::write_value(v, &nested),
        );
        walk(&bytes, Message::Span);
        let decoded = otlp::Span::decode(bytes.as_slice()).unwrap();
        assert_eq!(decoded.encode_to_vec(), bytes.as_slice(), "{len}");
    }
}

/// Values that prost would leave out of a message are written where OTLP gives them a meaning.
#[test]
fn zero_false_and_empty_are_values() {
    let mut bytes = Buffer::new();
    for value in [
        Value::Bool(false),
        Value::Int(0),
        Value::Double(0),
        Value::Text(String::new()),
        Value::Bytes(Vec::new()),
        Value::Array(Vec::new()),
        Value::Map(Vec::new()),
        Value::Empty,
    ] {
        put_attribute(
            &mut bytes,
            AttributeField::Span,
            &"k",
            Limits::default(),
            |v| model::write_value(v, &value),
        );
    }
    let decoded = otlp::Span::decode(bytes.as_slice()).unwrap();
    let present: Vec<bool> = decoded
        .attributes
        .iter()
        .map(|attribute| attribute.value.as_ref().unwrap().value.is_some())
        .collect();
    assert_eq!(present, [true, true, true, true, true, true, true, false]);
    assert_eq!(decoded.encode_to_vec(), bytes.as_slice());
}

/// Makes no use of its writer.
fn nothing(_: ValueWriter<'_>) {}

#[test]
fn nothing_is_written_for_a_value_that_is_not() {
    let mut bytes = Buffer::new();
    put_attribute(
        &mut bytes,
        AttributeField::Span,
        &"k",
        Limits::default(),
        nothing,
    );
    assert!(bytes.is_empty());
    put_attribute(
        &mut bytes,
        AttributeField::Span,
        &"k",
        Limits::default(),
        |v| {
            v.array(|array| {
                array.value(nothing);
                array.value(|v| v.map(|map| map.entry(&"absent", nothing)));
            });
        },
    );
    assert_eq!(
        *bytes,
        *b"\x4A\x0B\x0A\x01k\x12\x06\x2A\x04\x0A\x02\x32\x00"
    );
}

#[test]
fn scopes_without_spans_make_no_request() {
    let mut request = Vec::new();
    put_request(
        &mut request,
        b"\x0A\x00",
        "https://schema",
        [(&b"\x0A\x00"[..], &b""[..])].into_iter(),
    );
    assert!(request.is_empty());
}

/// The bytes of a whole span, told apart by hand once.
#[test]
fn a_span_byte_by_byte() {
    let mut out = Vec::new();
    put_span(
        &mut out,
        &SpanHead {
            trace_id: [0xAA; 16],
            span_id: [0xBB; 8],
            parent_span_id: [0xCC; 8],
            flags: 0x101,
            kind: 2,
            start_unix_nano: 1,
            end_unix_nano: 2,
            name: Some("get"),
            static_fields: b"\x4A\x00",
            body: b"\x50\x01",
        },
    );
    let expected: [&[u8]; 12] = [
        b"\x12\x49",                                 // ScopeSpans.spans, 73 bytes
        b"\x0A\x10\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA", // trace_id
        b"\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA",         // and its second half
        b"\x12\x08\xBB\xBB\xBB\xBB\xBB\xBB\xBB\xBB", // span_id
        b"\x22\x08\xCC\xCC\xCC\xCC\xCC\xCC\xCC\xCC", // parent_span_id
        b"\x30\x02",                                 // kind: server
        b"\x39\x01\x00\x00\x00\x00\x00\x00\x00",     // start
        b"\x41\x02\x00\x00\x00\x00\x00\x00\x00",     // end
        b"\x85\x01\x01\x01\x00\x00",                 // flags
        b"\x2A\x03get",                              // name
        b"\x4A\x00",                                 // static fields
        b"\x50\x01",                                 // body
    ];
    assert_eq!(out, expected.concat());
}
