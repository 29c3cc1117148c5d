//! Attribute values for formats that have only text and JSON, by the rules of the
//! OpenTelemetry specification ("AnyValue representation for non-OTLP protocols").

use std::borrow::Cow;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde_core::ser::{Error as _, Serialize, SerializeMap, Serializer};
use throughline_wire::read::Malformed;

use crate::decode::{Any, key_value, messages};

/// How deep arrays and maps may lie in each other.
const MAX_DEPTH: u32 = 100;

/// A value as text: strings as they are, arrays and maps as JSON.
pub(super) fn text(value: Any<'_>) -> Result<Cow<'_, str>, serde_json::Error> {
    Ok(match value {
        Any::Empty => Cow::Borrowed(""),
        Any::Text(text) => text,
        Any::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Any::Double(number) if !number.is_finite() => not_finite(number).into(),
        other => serde_json::to_string(&Json::new(&other))?.into(),
    })
}

/// What is written for a double that JSON has no number for.
fn not_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// A value in JSON.
pub(super) struct Json<'a> {
    value: &'a Any<'a>,
    depth: u32,
}

impl<'a> Json<'a> {
    pub(super) fn new(value: &'a Any<'a>) -> Self {
        Self { value, depth: 1 }
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self.value {
            Any::Empty => serializer.serialize_unit(),
            Any::Text(ref text) => serializer.serialize_str(text),
            Any::Bool(flag) => serializer.serialize_bool(flag),
            Any::Int(number) => serializer.serialize_i64(number),
            Any::Double(number) if number.is_finite() => serializer.serialize_f64(number),
            Any::Double(number) => serializer.serialize_str(not_finite(number)),
            Any::Bytes(bytes) => serializer.collect_str(&Base64Display::new(bytes, &STANDARD)),
            Any::Array(_) | Any::Map(_) if self.depth > MAX_DEPTH => Err(S::Error::custom(
                format_args!("values lie more than {MAX_DEPTH} deep in each other"),
            )),
            Any::Array(array) => {
                serializer.collect_seq(messages(array, 1).map(|element| Element {
                    message: element,
                    depth: self.depth + 1,
                }))
            }
            Any::Map(map) => entries(serializer, map, self.depth + 1)?.end(),
        }
    }
}

/// An `AnyValue` that has not been read.
struct Element<'a> {
    message: Result<&'a [u8], Malformed>,
    depth: u32,
}

impl Serialize for Element<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.message.and_then(Any::read).map_err(S::Error::custom)?;
        let depth = self.depth;
        let value = &value;
        Json { value, depth }.serialize(serializer)
    }
}

/// Begins an object with the attributes of a `KeyValueList`.
fn entries<S: Serializer>(
    serializer: S,
    map: &[u8],
    depth: u32,
) -> Result<S::SerializeMap, S::Error> {
    let mut object = serializer.serialize_map(None)?;
    for entry in messages(map, 1) {
        let (key, value) = entry.and_then(key_value).map_err(S::Error::custom)?;
        let value = &value;
        object.serialize_entry(&key, &Json { value, depth })?;
    }
    Ok(object)
}
