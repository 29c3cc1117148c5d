//! Any request at all, for tests.

use std::fmt;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn any() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        text().prop_map(|text| Some(Any::StringValue(text))),
        proptest::bool::ANY.prop_map(|flag| Some(Any::BoolValue(flag))),
        prop_oneof![Just(0), proptest::num::i64::ANY]
            .prop_map(|number| Some(Any::IntValue(number))),
        proptest::num::f64::ANY.prop_map(|number| Some(Any::DoubleValue(number))),
        bytes(0..9).prop_map(|bytes| Some(Any::BytesValue(bytes))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(5, 30, 5, |inner| {
        let entries = vec((text(), option::of(inner.clone())), 0..5);
        prop_oneof![
            vec(inner, 0..5).prop_map(|values| Any::ArrayValue(ArrayValue { values })),
            entries.prop_map(|entries| Any::KvlistValue(KeyValueList {
                values: entries.into_iter().map(entry).collect()
            })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn entry((key, value): (String, Option<AnyValue>)) -> KeyValue {
    KeyValue {
        key,
        value,
        ..KeyValue::default()
    }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec((text(), option::of(any())).prop_map(entry), 0..4)
}

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[ -~\n\u{0}\u{1b}é\u{202e}\u{2028}💥]{0,9}").unwrap()
}

fn bytes(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(proptest::num::u8::ANY, len)
}

fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => bytes(len..len + 1), 1 => Just(Vec::new()), 1 => bytes(0..20)]
}

fn number<T: Default + fmt::Debug + Clone>(
    any: impl Strategy<Value = T>,
) -> impl Strategy<Value = T> {
    prop_oneof![1 => Just(T::default()), 3 => any]
}

fn event() -> impl Strategy<Value = Event> {
    let count = number(proptest::num::u32::ANY);
    (number(proptest::num::u64::ANY), text(), attributes(), count).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = Link> {
    let numbers = number((proptest::num::u32::ANY, proptest::num::u32::ANY));
    (id(16), id(8), text(), attributes(), numbers).prop_map(
        |(trace_id, span_id, trace_state, attributes, (dropped_attributes_count, flags))| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    )
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), id(8));
    let texts = (text(), text());
    let times = number((proptest::num::u64::ANY, proptest::num::u64::ANY));
    let counts = number((
        proptest::num::u32::ANY,
        proptest::num::u32::ANY,
        proptest::num::u32::ANY,
        proptest::num::u32::ANY,
    ));
    let lists = (attributes(), vec(event(), 0..3), vec(link(), 0..3));
    let status = option::of((number(proptest::num::i32::ANY), text()));
    let kind = number(proptest::num::i32::ANY);
    (ids, texts, times, counts, lists, status, kind).prop_map(
        |(ids, (name, trace_state), times, counts, (attributes, events, links), status, kind)| {
            Span {
                trace_id: ids.0,
                span_id: ids.1,
                parent_span_id: ids.2,
                trace_state,
                flags: counts.0,
                name,
                kind,
                start_time_unix_nano: times.0,
                end_time_unix_nano: times.1,
                attributes,
                dropped_attributes_count: counts.1,
                events,
                dropped_events_count: counts.2,
                links,
                dropped_links_count: counts.3,
                status: status.map(|(code, message)| Status { message, code }),
            }
        },
    )
}

fn resource() -> impl Strategy<Value = Resource> {
    let refs = (text(), text(), vec(text(), 0..3), vec(text(), 0..3)).prop_map(
        |(schema_url, r#type, id_keys, description_keys)| EntityRef {
            schema_url,
            r#type,
            id_keys,
            description_keys,
        },
    );
    let count = number(proptest::num::u32::ANY);
    (attributes(), count, vec(refs, 0..2)).prop_map(
        |(attributes, dropped_attributes_count, entity_refs)| Resource {
            attributes,
            dropped_attributes_count,
            entity_refs,
        },
    )
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    let count = number(proptest::num::u32::ANY);
    (text(), text(), attributes(), count).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    )
}

pub(crate) fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope_spans =
        (option::of(scope()), vec(span(), 0..3), text()).prop_map(|(scope, spans, schema_url)| {
            ScopeSpans {
                scope,
                spans,
                schema_url,
            }
        });
    let resource_spans = (option::of(resource()), vec(scope_spans, 0..3), text()).prop_map(
        |(resource, scope_spans, schema_url)| ResourceSpans {
            resource,
            scope_spans,
            schema_url,
        },
    );
    vec(resource_spans, 0..3)
        .prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}
