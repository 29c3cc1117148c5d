//! Taking fields out and patching times change what they name and nothing else.

use opentelemetry_proto::tonic::trace::v1 as otlp;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use throughline_wire::{
    Buffer, Limits, patch_event_times, put_name, put_status, read, remove_attribute, remove_fields,
};

use crate::arbitrary;
use crate::expected;
use crate::model::{self, Part};
use crate::walk::{Message, walk};

fn body() -> impl Strategy<Value = Vec<Part>> {
    arbitrary::parts(proptest::option::of(arbitrary::text()))
}

fn decode(body: &[u8]) -> otlp::Span {
    walk(body, Message::Span);
    let mut span = otlp::Span::decode(body).unwrap();
    expected::comparable(&mut span);
    span
}

proptest! {
    #[test]
    fn removing_fields_leaves_the_others(parts in body(), number in 1..17_u32) {
        let mut body = model::write_body(&parts, Limits::default());
        let expected: Vec<u8> = read::fields(&body)
            .map(Result::unwrap)
            .filter(|field| field.number != number)
            .flat_map(|field| body[field.range].to_vec())
            .collect();
        let there = expected.len() != body.len();
        prop_assert_eq!(remove_fields(&mut body, number), there);
        prop_assert_eq!(&*body, &expected[..]);
        prop_assert!(!remove_fields(&mut body, number));
        prop_assert_eq!(&*body, &expected[..]);
    }

    #[test]
    fn removing_an_attribute_leaves_the_others(parts in body(), index in any::<prop::sample::Index>()) {
        let keys: Vec<&String> = parts
            .iter()
            .filter_map(|part| match part {
                Part::Attribute(key, _) => Some(key),
                _ => None,
            })
            .collect();
        prop_assume!(!keys.is_empty());
        let key = keys[index.index(keys.len())];
        let left: Vec<Part> = parts
            .iter()
            .filter(|part| !matches!(part, Part::Attribute(other, _) if other == key))
            .cloned()
            .collect();
        let mut body = model::write_body(&parts, Limits::default());
        prop_assert!(remove_attribute(&mut body, key));
        prop_assert_eq!(&body, &model::write_body(&left, Limits::default()));
        prop_assert!(!remove_attribute(&mut body, key));
    }

    #[test]
    fn removing_an_absent_attribute_changes_nothing(parts in body()) {
        let before = model::write_body(&parts, Limits::default());
        let mut body = before.clone();
        prop_assert!(!remove_attribute(&mut body, "AN ABSENT KEY"));
        prop_assert_eq!(body, before);
    }

    #[test]
    fn a_name_and_a_status_can_be_overwritten(parts in body(), name in arbitrary::text()) {
        let mut body = model::write_body(&parts, Limits::default());
        remove_fields(&mut body, 5);
        put_name(&mut body, &name);
        remove_fields(&mut body, 15);
        put_status(&mut body, 2, "failed");
        let mut expected = expected::expected_body(&parts, Limits::default());
        expected.name = name;
        expected.status = Some(otlp::Status { message: "failed".to_owned(), code: 2 });
        prop_assert_eq!(decode(&body), expected);
    }

    #[test]
    fn patching_changes_every_time_and_nothing_else(parts in body(), offset in any::<u64>()) {
        let mut body = model::write_body(&parts, Limits::default());
        let mut seen = Vec::new();
        patch_event_times(&mut body, |time| {
            seen.push(time);
            time.wrapping_add(offset)
        });
        let mut expected = expected::expected_body(&parts, Limits::default());
        let times: Vec<u64> = expected.events.iter().map(|event| event.time_unix_nano).collect();
        prop_assert_eq!(seen, times);
        for event in &mut expected.events {
            event.time_unix_nano = event.time_unix_nano.wrapping_add(offset);
        }
        prop_assert_eq!(decode(&body), expected);
    }

    /// What follows the place where the bytes stop being protobuf stays as it is.
    #[test]
    fn edits_take_any_bytes(bytes in vec(any::<u8>(), 0..200), number in 0..20_u32) {
        let mut edited = Buffer::from(bytes.clone());
        let removed = remove_fields(&mut edited, number);
        prop_assert_eq!(removed, edited.len() < bytes.len());
        let readable: usize = read::fields(&bytes).map_while(Result::ok).map(|field| field.range.len()).sum();
        prop_assert!(edited.ends_with(&bytes[readable..]));

        let mut edited = Buffer::from(bytes.clone());
        remove_attribute(&mut edited, "k");
        prop_assert!(edited.ends_with(&bytes[readable..]));

        let mut edited = bytes.clone();
        patch_event_times(&mut edited, |time| time);
        prop_assert_eq!(edited, bytes);
    }
}

/// A tab is the tag of an event's time; only in an event it means that.
#[test]
fn patching_leaves_text_that_looks_like_a_time() {
    let mut body = Buffer::new();
    put_name(&mut body, "\t12345678");
    put_status(&mut body, 0, "\t12345678");
    let before = body.clone();
    patch_event_times(&mut body, |_| 0);
    assert_eq!(body, before);
}
