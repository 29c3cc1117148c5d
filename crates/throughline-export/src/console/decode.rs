//! Reads the spans of an encoded request, as far as a picture needs them.

use std::fmt::Write as _;

use throughline_wire::read::{self, FieldValue, Malformed};

use crate::decode::{self, Any, array, messages};

/// `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK` of OTLP: the parent is another process's.
const PARENT_IS_REMOTE: u32 = 0x200;

/// How deep values are shown.
const MAX_DEPTH: u32 = 8;

#[derive(Debug, Default)]
pub(crate) struct ConsoleSpan {
    pub(crate) trace_id: [u8; 16],
    pub(crate) id: [u8; 8],
    /// Zero for none.
    pub(crate) parent: [u8; 8],
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) start_nanos: u64,
    pub(crate) end_nanos: u64,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) events: Vec<ConsoleEvent>,
    pub(crate) links: u32,
    pub(crate) is_error: bool,
    pub(crate) message: String,
    flags: u32,
}

#[derive(Debug, Default)]
pub(crate) struct ConsoleEvent {
    pub(crate) nanos: u64,
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
}

impl ConsoleSpan {
    /// Whether the trace begins here, as far as this process is concerned.
    pub(crate) fn begins_trace(&self) -> bool {
        self.parent == [0; 8] || self.flags & PARENT_IS_REMOTE != 0
    }

    pub(crate) fn has_remote_parent(&self) -> bool {
        self.parent != [0; 8] && self.flags & PARENT_IS_REMOTE != 0
    }
}

/// The spans of an `ExportTraceServiceRequest`.
pub(crate) fn spans(request: &[u8]) -> Result<Vec<ConsoleSpan>, Malformed> {
    let mut spans = Vec::new();
    for resource_spans in messages(request, 1) {
        for scope_spans in messages(resource_spans?, 2) {
            for message in messages(scope_spans?, 2) {
                spans.push(span(message?)?);
            }
        }
    }
    Ok(spans)
}

fn span(message: &[u8]) -> Result<ConsoleSpan, Malformed> {
    use FieldValue::{Fixed32, Fixed64, Len, Varint};
    let mut span = ConsoleSpan::default();
    for field in read::fields(message) {
        let field = field?;
        match (field.number, field.value) {
            (1, Len(bytes)) => span.trace_id = array(bytes),
            (2, Len(bytes)) => span.id = array(bytes),
            (4, Len(bytes)) => span.parent = array(bytes),
            (5, Len(bytes)) => span.name = text(bytes),
            (6, Varint(kind)) => span.kind = kind,
            (7, Fixed64(nanos)) => span.start_nanos = nanos,
            (8, Fixed64(nanos)) => span.end_nanos = nanos,
            (9, Len(bytes)) => span.attributes.push(key_value(bytes, 0)?),
            (11, Len(bytes)) => span.events.push(event(bytes)?),
            (13, Len(_)) => span.links += 1,
            (15, Len(bytes)) => status(bytes, &mut span)?,
            (16, Fixed32(flags)) => span.flags = flags,
            _ => {}
        }
    }
    Ok(span)
}

fn event(message: &[u8]) -> Result<ConsoleEvent, Malformed> {
    let mut event = ConsoleEvent::default();
    for field in read::fields(message) {
        let field = field?;
        match (field.number, field.value) {
            (1, FieldValue::Fixed64(nanos)) => event.nanos = nanos,
            (2, FieldValue::Len(bytes)) => event.name = text(bytes),
            (3, FieldValue::Len(bytes)) => event.attributes.push(key_value(bytes, 0)?),
            _ => {}
        }
    }
    Ok(event)
}

fn status(message: &[u8], span: &mut ConsoleSpan) -> Result<(), Malformed> {
    for field in read::fields(message) {
        let field = field?;
        match (field.number, field.value) {
            (2, FieldValue::Len(bytes)) => span.message = text(bytes),
            (3, FieldValue::Varint(code)) => span.is_error = code == 2,
            _ => {}
        }
    }
    Ok(())
}

fn key_value(message: &[u8], depth: u32) -> Result<(String, String), Malformed> {
    let (key, any) = decode::key_value(message)?;
    Ok((key.into_owned(), shown(&any, depth)?))
}

/// Shows a value.
fn shown(any: &Any<'_>, depth: u32) -> Result<String, Malformed> {
    if depth > MAX_DEPTH {
        return Ok("…".to_owned());
    }
    Ok(match any {
        Any::Empty => String::new(),
        Any::Text(text) => text.clone().into_owned(),
        Any::Bool(flag) => flag.to_string(),
        Any::Int(number) => number.to_string(),
        Any::Double(number) => number.to_string(),
        Any::Array(array) => {
            let values: Result<Vec<_>, _> = messages(array, 1)
                .map(|element| shown(&Any::read(element?)?, depth + 1))
                .collect();
            format!("[{}]", values?.join(", "))
        }
        Any::Map(map) => {
            let entries: Result<Vec<_>, _> = messages(map, 1)
                .map(|entry| key_value(entry?, depth + 1).map(|(k, v)| format!("{k}={v}")))
                .collect();
            format!("{{{}}}", entries?.join(", "))
        }
        Any::Bytes(bytes) => bytes.iter().fold(String::from("0x"), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    })
}

fn text(bytes: &[u8]) -> String {
    decode::text(bytes).into_owned()
}
