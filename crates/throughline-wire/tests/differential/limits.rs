//! Strings are cut on character boundaries, nesting stops where decoders would.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use proptest::prelude::*;
use prost::Message as _;
use throughline_wire::{
    AttributeField, Buffer, Limits, SpanHead, ValueWriter, put_attribute, put_event, put_request,
    put_span,
};

use crate::arbitrary;
use crate::model;

fn chars(value_chars: u32) -> Limits {
    Limits {
        value_chars,
        ..Limits::default()
    }
}

/// The value of the only attribute that `write` writes.
fn written(limits: Limits, write: impl FnOnce(ValueWriter<'_>)) -> any_value::Value {
    let mut body = Buffer::new();
    put_attribute(&mut body, AttributeField::Span, &"k", limits, write);
    let mut span = otlp::Span::decode(body.as_slice()).unwrap();
    span.attributes.remove(0).value.unwrap().value.unwrap()
}

proptest! {
    /// Decoding proves that the text is valid UTF-8, the comparison that it is the right part.
    #[test]
    fn text_is_cut_between_characters(text in arbitrary::text(), limit in 0..420_u32) {
        let kept: String = text.chars().take(limit as usize).collect();
        let kept = any_value::Value::StringValue(kept);
        prop_assert_eq!(&written(chars(limit), |v| v.str(&text)), &kept);
        prop_assert_eq!(&written(chars(limit), |v| v.display(&text)), &kept);
        let piecewise = text.chars().map(String::from).collect::<Vec<_>>();
        let piecewise = model::Value::Displayed(piecewise);
        prop_assert_eq!(&written(chars(limit), |v| model::write_value(v, &piecewise)), &kept);
    }
}

#[test]
fn characters_of_four_bytes_are_whole_or_absent() {
    let crabs = "🦀🦀🦀🦀";
    for (limit, kept) in [(0, ""), (1, "🦀"), (3, "🦀🦀🦀"), (4, crabs), (5, crabs)] {
        let kept = any_value::Value::StringValue(kept.to_owned());
        assert_eq!(written(chars(limit), |v| v.str(crabs)), kept);
        assert_eq!(written(chars(limit), |v| v.display(&crabs)), kept);
    }
}

#[test]
fn byte_arrays_are_cut_by_bytes() {
    let bytes = [0xFF; 10];
    for (limit, kept) in [(0, 0), (9, 9), (10, 10), (11, 10), (u32::MAX, 10)] {
        let kept = any_value::Value::BytesValue(vec![0xFF; kept]);
        assert_eq!(written(chars(limit), |v| v.bytes(&bytes)), kept);
    }
}

/// A value of `left` levels, or as many as the limits let be written.
fn arrays(writer: ValueWriter<'_>, left: u32) {
    if left == 0 {
        return writer.i64(1);
    }
    writer.array(|array| array.value(|writer| arrays(writer, left - 1)));
}

fn maps(writer: ValueWriter<'_>, left: u32) {
    if left == 0 {
        return writer.i64(1);
    }
    writer.map(|map| map.entry(&"m", |writer| maps(writer, left - 1)));
}

/// How many arrays or maps with content lie inside one another.
fn levels(value: &AnyValue) -> u32 {
    match &value.value {
        Some(any_value::Value::ArrayValue(array)) => array
            .values
            .first()
            .map_or(0, |element| 1 + levels(element)),
        Some(any_value::Value::KvlistValue(map)) => map
            .values
            .first()
            .and_then(|entry| entry.value.as_ref())
            .map_or(0, |value| 1 + levels(value)),
        _ => 0,
    }
}

/// The levels that are left of `write`, after a whole request has been decoded with the limits
/// of a stock decoder. An event's attribute is the deepest place in a request.
fn levels_in_event(limits: Limits, write: impl FnOnce(ValueWriter<'_>)) -> u32 {
    let mut body = Buffer::new();
    put_event(&mut body, 1, "e", |event| {
        event.attribute(&"k", limits, write);
    });
    let mut spans = Vec::new();
    put_span(
        &mut spans,
        &SpanHead {
            body: &body,
            ..SpanHead::default()
        },
    );
    let mut request = Vec::new();
    put_request(&mut request, b"", "", [(&b""[..], &spans[..])].into_iter());
    let decoded = ExportTraceServiceRequest::decode(request.as_slice()).unwrap();
    let span = &decoded.resource_spans[0].scope_spans[0].spans[0];
    levels(span.events[0].attributes[0].value.as_ref().unwrap())
}

#[test]
fn nesting_stops_at_the_depth_limit() {
    for depth in 0..=20 {
        let limits = Limits {
            depth,
            ..Limits::default()
        };
        assert_eq!(
            levels_in_event(limits, |v| arrays(v, 10_000)),
            u32::from(depth)
        );
        assert_eq!(
            levels_in_event(limits, |v| maps(v, 10_000)),
            u32::from(depth)
        );
    }
}

/// Stock decoders refuse a request that nests deeper than 100 messages, with every span in it.
#[test]
fn no_value_makes_a_request_undecodable() {
    let unlimited = Limits {
        depth: u8::MAX,
        ..Limits::default()
    };
    for limits in [Limits::default(), unlimited] {
        assert_eq!(levels_in_event(limits, |v| arrays(v, 10_000)), 46);
        assert_eq!(levels_in_event(limits, |v| maps(v, 10_000)), 31);
        // The deepest scalar, and every mixture on the way.
        for outer in 0..50 {
            levels_in_event(limits, |v| mixed(v, outer, 100));
        }
        assert_eq!(levels_in_event(limits, |v| arrays(v, 46)), 46);
    }
}

fn mixed(writer: ValueWriter<'_>, arrays_first: u32, then_maps: u32) {
    if arrays_first == 0 {
        return maps(writer, then_maps);
    }
    writer.array(|array| array.value(|writer| mixed(writer, arrays_first - 1, then_maps)));
}
