//! A plain description of requests, and how this crate writes what is described.

use std::fmt;

use throughline_wire::{
    AttributeField, Buffer, Limits, Scope, SpanHead, ValueWriter, put_attribute,
    put_dropped_counts, put_event, put_link, put_name, put_request, put_resource_attribute,
    put_scope, put_span, put_status, put_tracestate,
};

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Empty,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    /// The bits, so that every NaN is itself.
    Double(u64),
    Text(String),
    /// Text that is formatted in pieces.
    Displayed(Vec<String>),
    Debugged(String),
    Bytes(Vec<u8>),
    Array(Vec<Self>),
    Map(Vec<(String, Self)>),
}

pub(crate) type Attributes = Vec<(String, Value)>;

/// One call that appends to a span's body.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Attribute(String, Value),
    Event {
        time: u64,
        name: String,
        attributes: Attributes,
        dropped: u32,
    },
    Link {
        trace_id: [u8; 16],
        span_id: [u8; 8],
        tracestate: String,
        flags: u32,
        attributes: Attributes,
        dropped: u32,
    },
    Status(u32, String),
    Name(String),
    Tracestate(String),
    Dropped(u32, u32, u32),
}

#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) parent_span_id: Option<[u8; 8]>,
    pub(crate) flags: u32,
    pub(crate) kind: u8,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) name: Option<String>,
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone, Debug)]
pub(crate) struct Scoped {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) schema_url: String,
    pub(crate) spans: Vec<Span>,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) resource: Attributes,
    pub(crate) schema_url: String,
    pub(crate) scopes: Vec<Scoped>,
}

/// Shows its pieces one after another.
struct Pieces<'a>(&'a [String]);

impl fmt::Display for Pieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| f.write_str(piece))
    }
}

pub(crate) fn write_value(writer: ValueWriter<'_>, value: &Value) {
    match value {
        Value::Empty => writer.empty(),
        Value::Bool(value) => writer.bool(*value),
        Value::Int(value) => writer.i64(*value),
        Value::Unsigned(value) => writer.u64(*value),
        Value::Double(bits) => writer.f64(f64::from_bits(*bits)),
        Value::Text(text) => writer.str(text),
        Value::Displayed(pieces) => writer.display(&Pieces(pieces)),
        Value::Debugged(text) => writer.debug(text),
        Value::Bytes(bytes) => writer.bytes(bytes),
        Value::Array(elements) => writer.array(|array| {
            for element in elements {
                array.value(|writer| write_value(writer, element));
            }
        }),
        Value::Map(entries) => writer.map(|map| {
            for (key, value) in entries {
                map.entry(key, |writer| write_value(writer, value));
            }
        }),
    }
}

pub(crate) fn write_part(body: &mut Buffer, part: &Part, limits: Limits) {
    match part {
        Part::Attribute(key, value) => {
            put_attribute(body, AttributeField::Span, key, limits, |writer| {
                write_value(writer, value);
            });
        }
        Part::Event {
            time,
            name,
            attributes,
            dropped,
        } => put_event(body, *time, name, |event| {
            for (key, value) in attributes {
                event.attribute(key, limits, |writer| write_value(writer, value));
            }
            event.dropped_attributes(*dropped);
        }),
        Part::Link {
            trace_id,
            span_id,
            tracestate,
            flags,
            attributes,
            dropped,
        } => put_link(body, *trace_id, *span_id, tracestate, *flags, |link| {
            link.dropped_attributes(*dropped);
            for (key, value) in attributes {
                link.attribute(key, limits, |writer| write_value(writer, value));
            }
        }),
        Part::Status(code, message) => put_status(body, *code, message),
        Part::Name(name) => put_name(body, name),
        Part::Tracestate(tracestate) => put_tracestate(body, tracestate),
        Part::Dropped(attributes, events, links) => {
            put_dropped_counts(body, *attributes, *events, *links);
        }
    }
}

pub(crate) fn write_body(parts: &[Part], limits: Limits) -> Buffer {
    let mut body = Buffer::new();
    for part in parts {
        write_part(&mut body, part, limits);
    }
    body
}

impl Request {
    pub(crate) fn write(&self, limits: Limits) -> Vec<u8> {
        let mut resource = Buffer::new();
        for (key, value) in &self.resource {
            put_resource_attribute(&mut resource, key, limits, |writer| {
                write_value(writer, value);
            });
        }
        let scopes: Vec<(Vec<u8>, Vec<u8>)> = self
            .scopes
            .iter()
            .map(|scoped| {
                let mut scope = Vec::new();
                put_scope(
                    &mut scope,
                    &Scope {
                        name: &scoped.name,
                        version: &scoped.version,
                        schema_url: &scoped.schema_url,
                    },
                );
                let mut spans = Vec::new();
                for span in &scoped.spans {
                    write_span(&mut spans, span, limits);
                }
                (scope, spans)
            })
            .collect();
        let mut request = Vec::new();
        put_request(
            &mut request,
            &resource,
            &self.schema_url,
            scopes
                .iter()
                .map(|(scope, spans)| (scope.as_slice(), spans.as_slice())),
        );
        request
    }
}

fn write_span(spans: &mut Vec<u8>, span: &Span, limits: Limits) {
    // The first part stands for what is encoded at compile time.
    let (constant, recorded) = span.parts.split_at(span.parts.len().min(1));
    put_span(
        spans,
        &SpanHead {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_span_id: span.parent_span_id.unwrap_or_default(),
            flags: span.flags,
            kind: span.kind,
            start_unix_nano: span.start,
            end_unix_nano: span.end,
            name: span.name.as_deref(),
            static_fields: &write_body(constant, limits),
            body: &write_body(recorded, limits),
        },
    );
}
