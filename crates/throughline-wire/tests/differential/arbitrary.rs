//! Arbitrary requests, bodies, texts and limits.

use proptest::collection::vec;
use proptest::prelude::*;
use throughline_wire::Limits;

use crate::model::{Attributes, Part, Request, Scoped, Span, Value};

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
