//! OTLP in JSON, made of its encoded form.
//!
//! Owns the rules of the OTLP/JSON encoding: lowerCamelCase names, ids in
//! hexadecimal, 64-bit integers as strings, enumerations as integers, other bytes
//! in base64, and doubles that are no numbers by their proto3 names. Which fields
//! a message has stands in [`schema`]; fields that do not stand there are left out.
//!
//! The bytes may be of any origin: what is no such message is an error, text that
//! is not UTF-8 gets replacement characters, and nothing panics.

#[cfg(test)]
pub(crate) mod arbitrary;
mod schema;

use std::borrow::Cow;
use std::fmt;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_core::ser::{Error as _, Serialize, SerializeMap, Serializer};
use throughline_wire::read::{self, FieldValue};

use self::schema::{Field, Kind, Message};
use crate::exporter::ExportError;

/// How deep messages may lie in each other, the root being the first: what
/// protobuf decoders accept by default.
const MAX_DEPTH: u32 = 100;

/// An `ExportTraceServiceRequest`, which is also a `TracesData`.
///
/// # Errors
///
/// The bytes are no such message; sending them again would not help.
pub(crate) fn trace_request(request: &[u8]) -> Result<Bytes, ExportError> {
    json(request, &schema::TRACES)
}

fn json(bytes: &[u8], message: &'static Message) -> Result<Bytes, ExportError> {
    // Field names and decimal times make up most of the text.
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(3));
    let root = Object {
        bytes: Cow::Borrowed(bytes),
        message,
        depth: 1,
    };
    match serde_json::to_writer(&mut out, &root) {
        Ok(()) => Ok(Bytes::from(out)),
        Err(error) => Err(ExportError::permanent("malformed", error.to_string())),
    }
}

/// An encoded message and what it is.
struct Object<'a> {
    bytes: Cow<'a, [u8]>,
    message: &'static Message,
    depth: u32,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.depth > MAX_DEPTH {
            return Err(S::Error::custom(format_args!(
                "messages lie more than {MAX_DEPTH} deep in each other"
            )));
        }
        let chosen = self.chosen().map_err(S::Error::custom)?;
        let mut object = serializer.serialize_map(None)?;
        for field in self.message.fields {
            if field.choice && chosen != Some(field.number) {
                continue;
            }
            if field.repeated {
                let array = Array { of: self, field };
                if field.required || array.values().next().is_some() {
                    object.serialize_entry(field.name, &array)?;
                }
            } else if let Some(value) = self.value(field) {
                object.serialize_entry(field.name, &value)?;
            } else if field.required {
                object.serialize_entry(field.name, "")?;
            }
        }
        object.end()
    }
}

impl Object<'_> {
    /// Reads all fields once, for errors, and finds the alternative that holds: the
    /// last one.
    fn chosen(&self) -> Result<Option<u32>, read::Malformed> {
        let mut chosen = None;
        for field in read::fields(&self.bytes) {
            let read = field?;
            let known = |field: &&Field| field.choice && field.number == read.number;
            if let Some(field) = self.message.fields.iter().find(known)
                && field.takes(read.value)
            {
                chosen = Some(field.number);
            }
        }
        Ok(chosen)
    }

    /// What stands in the message under the number of a field, and is of its type.
    fn occurrences<'s>(
        &'s self,
        field: &'static Field,
    ) -> impl Iterator<Item = FieldValue<'s>> + Clone {
        read::fields(&self.bytes)
            .map_while(Result::ok)
            .filter(|read| read.number == field.number)
            .map(|read| read.value)
            .filter(|&value| field.takes(value))
    }

    /// The value of a field that stands once. Of several the last one holds, except
    /// that messages are merged, which is what their bytes one after another mean.
    fn value(&self, field: &'static Field) -> Option<Value<'_>> {
        let mut all = self.occurrences(field);
        let first = all.next()?;
        let Some(second) = all.next() else {
            return Some(self.of_kind(field, first));
        };
        if let Kind::Message(message) = field.kind {
            let parts = self.occurrences(field).filter_map(|value| match value {
                FieldValue::Len(bytes) => Some(bytes),
                _ => None,
            });
            return Some(Value::Object(Object {
                bytes: Cow::Owned(parts.collect::<Vec<_>>().concat()),
                message,
                depth: self.depth + 1,
            }));
        }
        Some(self.of_kind(field, all.last().unwrap_or(second)))
    }

    fn of_kind<'s>(&self, field: &'static Field, value: FieldValue<'s>) -> Value<'s> {
        match (field.kind, value) {
            (Kind::Message(message), FieldValue::Len(bytes)) => Value::Object(Object {
                bytes: Cow::Borrowed(bytes),
                message,
                depth: self.depth + 1,
            }),
            (kind, value) => Value::Scalar(kind, value),
        }
    }
}

struct Array<'a> {
    of: &'a Object<'a>,
    field: &'static Field,
}

impl<'a> Array<'a> {
    fn values(&self) -> impl Iterator<Item = Value<'a>> {
        let Self { of, field } = *self;
        of.occurrences(field)
            .flat_map(move |value| match (field.kind, value) {
                // Numbers lie side by side, without a tag each.
                (Kind::U64 | Kind::I64 | Kind::Double, FieldValue::Len(packed)) => {
                    Values::Packed(packed.as_chunks().0.iter())
                }
                _ => Values::One(Some(value)),
            })
            .map(move |value| of.of_kind(field, value))
    }
}

impl Serialize for Array<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.values())
    }
}

enum Values<'a> {
    One(Option<FieldValue<'a>>),
    Packed(std::slice::Iter<'a, [u8; 8]>),
}

impl<'a> Iterator for Values<'a> {
    type Item = FieldValue<'a>;

    fn next(&mut self) -> Option<FieldValue<'a>> {
        match self {
            Self::One(value) => value.take(),
            Self::Packed(values) => values
                .next()
                .map(|value| FieldValue::Fixed64(u64::from_le_bytes(*value))),
        }
    }
}

enum Value<'a> {
    Object(Object<'a>),
    /// Of a kind that takes it.
    Scalar(Kind, FieldValue<'a>),
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, value) = match self {
            Self::Object(object) => return object.serialize(serializer),
            Self::Scalar(kind, value) => (*kind, *value),
        };
        match value {
            FieldValue::Len(bytes) => match kind {
                Kind::Id => serializer.collect_str(&Hex(bytes)),
                Kind::Base64 => serializer.collect_str(&Base64Display::new(bytes, &STANDARD)),
                _ => serializer.serialize_str(&String::from_utf8_lossy(bytes)),
            },
            FieldValue::Fixed32(number) => serializer.serialize_u32(number),
            FieldValue::Varint(number) | FieldValue::Fixed64(number) => match kind {
                Kind::Bool => serializer.serialize_bool(number != 0),
                Kind::U32 => serializer.serialize_u32(truncated(number)),
                Kind::I32 => serializer.serialize_i32(truncated(number).cast_signed()),
                Kind::I64 => serializer.collect_str(&number.cast_signed()),
                Kind::Double => double(f64::from_bits(number), serializer),
                _ => serializer.collect_str(&number),
            },
        }
    }
}

/// A 32-bit field is what the lower half of its varint says.
#[expect(clippy::cast_possible_truncation, reason = "protobuf says so")]
fn truncated(varint: u64) -> u32 {
    varint as u32
}

fn double<S: Serializer>(number: f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.is_finite() {
        serializer.serialize_f64(number)
    } else if number.is_nan() {
        serializer.serialize_str("NaN")
    } else if number > 0.0 {
        serializer.serialize_str("Infinity")
    } else {
        serializer.serialize_str("-Infinity")
    }
}

/// Shows bytes in lower-case hexadecimal.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_array() {
            Some(id) => write!(f, "{:032x}", u128::from_be_bytes(*id)),
            None => self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests;
