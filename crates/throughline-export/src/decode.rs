//! Reads what OTLP messages have in common: nested messages and attribute values.
//!
//! Owns the reading for exporters whose format is not OTLP, which have to look into
//! the encoded batch. The bytes may be of any origin.

use std::borrow::Cow;

use throughline_wire::read::{self, FieldValue, Malformed};

/// The messages in one repeated field.
pub(crate) fn messages(
    message: &[u8],
    number: u32,
) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    read::fields(message).filter_map(move |field| match field {
        Ok(field) => match field.value {
            FieldValue::Len(bytes) if field.number == number => Some(Ok(bytes)),
            _ => None,
        },
        Err(malformed) => Some(Err(malformed)),
    })
}

/// The bytes of an id; zeros if there are more or fewer.
pub(crate) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Reads a `KeyValue`.
pub(crate) fn key_value(message: &[u8]) -> Result<(Cow<'_, str>, Any<'_>), Malformed> {
    let (mut key, mut value) = (Cow::Borrowed(""), Any::Empty);
    for field in read::fields(message) {
        let field = field?;
        match (field.number, field.value) {
            (1, FieldValue::Len(bytes)) => key = text(bytes),
            (2, FieldValue::Len(bytes)) => value = Any::read(bytes)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// The value of an attribute. What is inside arrays and maps has not been read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Any<'a> {
    Empty,
    Text(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    /// An `ArrayValue`; see [`messages`] and [`Any::read`].
    Array(&'a [u8]),
    /// A `KeyValueList`; see [`messages`] and [`key_value`].
    Map(&'a [u8]),
}

impl<'a> Any<'a> {
    /// Reads an `AnyValue`.
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        use FieldValue::{Fixed64, Len, Varint};
        let mut any = Self::Empty;
        for field in read::fields(message) {
            let field = field?;
            any = match (field.number, field.value) {
                (1, Len(bytes)) => Self::Text(text(bytes)),
                (2, Varint(flag)) => Self::Bool(flag != 0),
                (3, Varint(number)) => Self::Int(number.cast_signed()),
                (4, Fixed64(bits)) => Self::Double(f64::from_bits(bits)),
                (5, Len(array)) => Self::Array(array),
                (6, Len(map)) => Self::Map(map),
                (7, Len(bytes)) => Self::Bytes(bytes),
                _ => any,
            };
        }
        Ok(any)
    }
}
