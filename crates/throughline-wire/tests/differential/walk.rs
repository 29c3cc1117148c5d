//! Walks a message down to its leaves with `read` and checks what prost does not: that fields
//! lie end to end and that every length is a minimal varint.

use throughline_wire::read::{self, FieldValue};
use throughline_wire::varint_len;

/// The messages of a trace request, each named for its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Message {
    Request,
    ResourceSpans,
    Resource,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    Status,
    KeyValue,
    AnyValue,
    ArrayValue,
    KeyValueList,
}

impl Message {
    /// The message that a field holds; none for a string, bytes or an id.
    fn inside(self, number: u32) -> Option<Self> {
        match (self, number) {
            (Self::Request, 1) => Some(Self::ResourceSpans),
            (Self::ResourceSpans, 1) => Some(Self::Resource),
            (Self::ResourceSpans, 2) => Some(Self::ScopeSpans),
            (Self::ScopeSpans, 1) => Some(Self::Scope),
            (Self::ScopeSpans, 2) => Some(Self::Span),
            (Self::Span, 11) => Some(Self::Event),
            (Self::Span, 13) => Some(Self::Link),
            (Self::Span, 15) => Some(Self::Status),
            (Self::Resource, 1)
            | (Self::Span, 9)
            | (Self::Event, 3)
            | (Self::Link, 4)
            | (Self::KeyValueList, 1) => Some(Self::KeyValue),
            (Self::KeyValue, 2) | (Self::ArrayValue, 1) => Some(Self::AnyValue),
            (Self::AnyValue, 5) => Some(Self::ArrayValue),
            (Self::AnyValue, 6) => Some(Self::KeyValueList),
            _ => None,
        }
    }
}

/// Checks `bytes` as a message of the given type and answers how many fields it has in all.
#[track_caller]
pub(crate) fn walk(bytes: &[u8], message: Message) -> usize {
    let mut count = 0;
    let mut end = 0;
    for field in read::fields(bytes) {
        let field = field.unwrap_or_else(|error| panic!("{message:?}: {error}"));
        assert_eq!(field.range.start, end, "{message:?}: fields lie end to end");
        end = field.range.end;
        count += 1;
        let tag = varint_len(u64::from(field.number) << 3);
        let value = match field.value {
            FieldValue::Varint(value) => varint_len(value),
            FieldValue::Fixed64(_) => 8,
            FieldValue::Fixed32(_) => 4,
            FieldValue::Len(content) => {
                if let Some(inner) = message.inside(field.number) {
                    count += walk(content, inner);
                }
                varint_len(content.len() as u64) + content.len()
            }
        };
        assert_eq!(
            field.range.len(),
            tag + value,
            "{message:?}: field {} is minimal",
            field.number
        );
    }
    assert_eq!(end, bytes.len());
    count
}
