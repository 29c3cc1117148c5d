//! What is encoded at compile time equals what is encoded at run time, and the macros work
//! wherever an expansion may stand.

use std::borrow::Cow;

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use proptest::prelude::*;
use prost::Message as _;
use throughline_wire::{
    AsKey, AttributeField, Buffer, Key, Limits, key, put_attribute, static_fields, varint_len,
};

const ORDER_ID: Key = key!("order.id");
static STATIC_KEY: Key = key!(concat!("order", ".", "id"));
const EMPTY: Key = key!("");
const LONG_NAME: &str = include_str!("main.rs");
const LONG: Key = key!(LONG_NAME);
const NO_FIELDS: &[u8] = static_fields![];
const LINE: i64 = 77;

static FIELDS: &[u8] = static_fields![
    "code.function.name" = (concat!(module_path!(), "::place_order")),
    "code.file.path" = (LONG_NAME),
    "code.line.number" = int(LINE),
    "negative" = int(-1),
    "most" = int(i64::MAX),
    "truth" = bool(true),
    "nothing" = (""),
];

fn encoded(key: &impl AsKey) -> Vec<u8> {
    let mut buf = Buffer::new();
    key.put_key(&mut buf);
    assert_eq!(buf.len(), key.encoded_len());
    buf.into_vec()
}

#[test]
fn a_key_is_the_same_in_every_form() {
    let name = String::from("order.id");
    let expected = b"\x0A\x08order.id";
    assert_eq!(encoded(&ORDER_ID), expected);
    assert_eq!(encoded(&&ORDER_ID), expected);
    assert_eq!(encoded(&STATIC_KEY), expected);
    assert_eq!(encoded(&"order.id"), expected);
    assert_eq!(encoded(&name), expected);
    assert_eq!(encoded(&&name), expected);
    assert_eq!(encoded(&Cow::Borrowed("order.id")), expected);
    assert_eq!(ORDER_ID, STATIC_KEY);
    assert_eq!(ORDER_ID.encoded(), expected);
    assert_eq!(
        (ORDER_ID.name(), AsKey::name(&name)),
        ("order.id", "order.id")
    );
    assert_eq!(format!("{ORDER_ID:?}"), r#"Key("order.id")"#);
}

#[test]
fn short_and_long_keys_decode() {
    for key in [EMPTY, LONG] {
        let decoded = KeyValue::decode(key.encoded()).unwrap();
        assert_eq!(decoded.key, key.name());
        assert_eq!(encoded(&key.name()), key.encoded());
        let (mut by_key, mut by_name) = (Buffer::new(), Buffer::new());
        let span = AttributeField::Span;
        put_attribute(&mut by_key, span, &key, Limits::default(), |v| v.f64(0.5));
        put_attribute(&mut by_name, span, &key.name(), Limits::default(), |v| {
            v.f64(0.5);
        });
        assert_eq!(by_key, by_name);
        let span = otlp::Span::decode(by_key.as_slice()).unwrap();
        assert_eq!(span.attributes[0].key, key.name());
    }
}

#[test]
fn static_fields_are_span_attributes() {
    let span = otlp::Span::decode(FIELDS).unwrap();
    assert_eq!(span.encode_to_vec(), FIELDS);
    let attributes: Vec<_> = span
        .attributes
        .into_iter()
        .map(|attribute| (attribute.key, attribute.value.unwrap().value.unwrap()))
        .collect();
    let text = |text: &str| any_value::Value::StringValue(text.to_owned());
    let int = any_value::Value::IntValue;
    let expected = [
        (
            "code.function.name",
            text("differential::constants::place_order"),
        ),
        ("code.file.path", text(LONG_NAME)),
        ("code.line.number", int(77)),
        ("negative", int(-1)),
        ("most", int(i64::MAX)),
        ("truth", any_value::Value::BoolValue(true)),
        ("nothing", text("")),
    ]
    .map(|(key, value)| (key.to_owned(), value));
    assert_eq!(attributes, expected);
    assert!(NO_FIELDS.is_empty());
}

#[test]
fn static_fields_equal_recorded_ones() {
    let mut recorded = Buffer::new();
    let span = AttributeField::Span;
    put_attribute(&mut recorded, span, &"a", Limits::default(), |v| v.str("x"));
    put_attribute(&mut recorded, span, &"b", Limits::default(), |v| v.i64(300));
    put_attribute(&mut recorded, span, &"c", Limits::default(), |v| {
        v.bool(false);
    });
    let constant = static_fields!["a" = ("x"), "b" = int(300), "c" = bool(false)];
    assert_eq!(constant, recorded.as_slice());
}

/// Two expansions in one scope, nested in expressions, and in a function that is constant.
const fn keys() -> [Key; 2] {
    [key!("first"), key!("second")]
}

#[test]
fn expansions_do_not_meet() {
    const KEYS: [Key; 2] = keys();
    let [first, second] = KEYS;
    assert_eq!((first.name(), second.name()), ("first", "second"));
    // In a function's body the result is constant all the same.
    let key: &'static Key = const { &key!("third") };
    assert_eq!(key.name(), "third");
}

/// What the expansions of other crates' macros see: a re-export, no prelude, and items of the
/// user's that have the names of those in the standard library.
#[no_implicit_prelude]
mod in_a_foreign_crate {
    pub(super) mod private {
        pub(crate) use ::throughline_wire as wire;
    }

    mod shadows {
        pub(super) mod core {}
        pub(super) mod std {}
        pub(super) mod throughline_wire {}
    }
    #[expect(unused_imports, reason = "these only have to be in the way")]
    use shadows::{core, std, throughline_wire};
    #[expect(
        dead_code,
        non_camel_case_types,
        reason = "these only have to be in the way"
    )]
    mod types {
        pub(super) struct str;
        pub(super) struct u8;
        pub(super) struct usize;
        pub(super) struct Key;
    }
    #[expect(unused_imports, reason = "these only have to be in the way")]
    use types::{Key, str, u8, usize};

    pub(super) const KEY: private::wire::Key = private::wire::key!("hygienic");
    pub(super) static FIELDS: &[::core::primitive::u8] =
        private::wire::static_fields!["hygienic" = ("yes"), "line" = int(3)];
}

#[test]
fn macros_are_hygienic() {
    assert_eq!(in_a_foreign_crate::KEY, key!("hygienic"));
    let expected = static_fields!["hygienic" = ("yes"), "line" = int(3)];
    assert_eq!(in_a_foreign_crate::FIELDS, expected);
}

proptest! {
    #[test]
    fn varint_lengths_are_those_of_prost(value in any::<u64>(), shift in 0..64) {
        let value = value >> shift;
        prop_assert_eq!(varint_len(value), prost::encoding::encoded_len_varint(value));
    }
}
