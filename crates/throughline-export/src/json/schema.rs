//! The fields of the messages of OTLP.
//!
//! Taken from the `.proto` files of opentelemetry-proto 1.9. Fields that only the
//! signal of profiles uses are not here.

use throughline_wire::read::FieldValue;

/// The fields of one message.
pub(super) struct Message {
    pub(super) fields: &'static [Field],
}

pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
    /// Written also when it is empty: receivers exist that do not do without.
    pub(super) required: bool,
    /// One of several fields of which a message has one at most.
    pub(super) choice: bool,
}

/// What a field is, as far as JSON makes a difference.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// The id of a trace or a span.
    Id,
    Base64,
    Bool,
    /// `uint32` or `fixed32`.
    U32,
    /// `int32` or an enumeration.
    I32,
    /// `uint64` or `fixed64`.
    U64,
    /// `int64` or `sfixed64`.
    I64,
    Double,
    Message(&'static Message),
}

impl Field {
    /// Whether the field can be encoded so.
    pub(super) fn takes(&self, value: FieldValue<'_>) -> bool {
        use Kind::{Base64, Bool, Double, I32, I64, Id, Message, Text, U32, U64};
        match value {
            FieldValue::Len(_) => match self.kind {
                Text | Id | Base64 | Message(_) => true,
                U64 | I64 | Double => self.repeated,
                Bool | U32 | I32 => false,
            },
            FieldValue::Varint(_) => matches!(self.kind, Bool | U32 | I32 | U64 | I64),
            FieldValue::Fixed64(_) => matches!(self.kind, U64 | I64 | Double),
            FieldValue::Fixed32(_) => matches!(self.kind, U32),
        }
    }
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        repeated: false,
        required: false,
        choice: false,
    }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field {
        repeated: true,
        ..one(number, name, kind)
    }
}

const fn required(field: Field) -> Field {
    Field {
        required: true,
        ..field
    }
}

const fn choice(number: u32, name: &'static str, kind: Kind) -> Field {
    Field {
        choice: true,
        ..one(number, name, kind)
    }
}

use Kind::{Base64, Bool, Double, I32, I64, Id, Message as Inner, Text, U32, U64};

pub(super) static TRACES: Message = Message {
    fields: &[required(many(1, "resourceSpans", Inner(&RESOURCE_SPANS)))],
};

static RESOURCE_SPANS: Message = Message {
    fields: &[
        one(1, "resource", Inner(&RESOURCE)),
        many(2, "scopeSpans", Inner(&SCOPE_SPANS)),
        one(3, "schemaUrl", Text),
    ],
};

static SCOPE_SPANS: Message = Message {
    fields: &[
        one(1, "scope", Inner(&SCOPE)),
        many(2, "spans", Inner(&SPAN)),
        one(3, "schemaUrl", Text),
    ],
};

static SPAN: Message = Message {
    fields: &[
        one(1, "traceId", Id),
        one(2, "spanId", Id),
        one(3, "traceState", Text),
        one(4, "parentSpanId", Id),
        one(16, "flags", U32),
        one(5, "name", Text),
        one(6, "kind", I32),
        one(7, "startTimeUnixNano", U64),
        one(8, "endTimeUnixNano", U64),
        many(9, "attributes", Inner(&KEY_VALUE)),
        one(10, "droppedAttributesCount", U32),
        many(11, "events", Inner(&EVENT)),
        one(12, "droppedEventsCount", U32),
        many(13, "links", Inner(&LINK)),
        one(14, "droppedLinksCount", U32),
        one(15, "status", Inner(&STATUS)),
    ],
};

static EVENT: Message = Message {
    fields: &[
        one(1, "timeUnixNano", U64),
        one(2, "name", Text),
        many(3, "attributes", Inner(&KEY_VALUE)),
        one(4, "droppedAttributesCount", U32),
    ],
};

static LINK: Message = Message {
    fields: &[
        one(1, "traceId", Id),
        one(2, "spanId", Id),
        one(3, "traceState", Text),
        many(4, "attributes", Inner(&KEY_VALUE)),
        one(5, "droppedAttributesCount", U32),
        one(6, "flags", U32),
    ],
};

static STATUS: Message = Message {
    fields: &[one(2, "message", Text), one(3, "code", I32)],
};

static RESOURCE: Message = Message {
    fields: &[
        many(1, "attributes", Inner(&KEY_VALUE)),
        one(2, "droppedAttributesCount", U32),
        many(3, "entityRefs", Inner(&ENTITY_REF)),
    ],
};

static ENTITY_REF: Message = Message {
    fields: &[
        required(one(1, "schemaUrl", Text)),
        required(one(2, "type", Text)),
        required(many(3, "idKeys", Text)),
        required(many(4, "descriptionKeys", Text)),
    ],
};

static SCOPE: Message = Message {
    fields: &[
        one(1, "name", Text),
        one(2, "version", Text),
        many(3, "attributes", Inner(&KEY_VALUE)),
        one(4, "droppedAttributesCount", U32),
    ],
};

static KEY_VALUE: Message = Message {
    fields: &[
        required(one(1, "key", Text)),
        one(2, "value", Inner(&ANY_VALUE)),
    ],
};

static ANY_VALUE: Message = Message {
    fields: &[
        choice(1, "stringValue", Text),
        choice(2, "boolValue", Bool),
        choice(3, "intValue", I64),
        choice(4, "doubleValue", Double),
        choice(5, "arrayValue", Inner(&ARRAY)),
        choice(6, "kvlistValue", Inner(&KEY_VALUES)),
        choice(7, "bytesValue", Base64),
    ],
};

static ARRAY: Message = Message {
    fields: &[required(many(1, "values", Inner(&ANY_VALUE)))],
};

static KEY_VALUES: Message = Message {
    fields: &[required(many(1, "values", Inner(&KEY_VALUE)))],
};
