//! Owns span attributes that are known at compile time: [`static_fields!`](crate::static_fields!)
//! and the constant functions that it expands to. Does not know which attributes those are.

use crate::key::{KEY_TAG, encoded_key_len};
use crate::value::{AttributeField, INT_TAG, STRING_TAG, VALUE_TAG};
use crate::varint::{ConstWriter, len_field_len, varint_len};

/// Encodes span attributes at compile time, ready to stand in a span, and yields
/// `&'static [u8]`.
///
/// Each entry is a key, `=`, and a constant expression in parentheses: a `&str`, or an `i64`
/// after the word `int`, or a `bool` after the word `bool`. The names that the macro needs are
/// absolute, so it can be used through a re-export of this crate.
///
/// ```
/// use throughline_wire::static_fields;
///
/// static CODE: &[u8] = static_fields![
///     "code.function.name" = (concat!(module_path!(), "::place_order")),
///     "code.line.number" = int (line!() as i64),
/// ];
/// assert_eq!(CODE[0], 0x4A, "an attribute is field 9 of a span");
/// ```
#[macro_export]
macro_rules! static_fields {
    (@value ($value:expr)) => { $crate::__macro::StaticValue::Str($value) };
    (@value int ($value:expr)) => { $crate::__macro::StaticValue::Int($value) };
    (@value bool ($value:expr)) => { $crate::__macro::StaticValue::Bool($value) };
    ($($key:tt = $($kind:ident)? ($value:expr)),* $(,)?) => {{
        const __THROUGHLINE_FIELDS: &[$crate::__macro::StaticField] = &[
            $($crate::__macro::StaticField {
                key: $key,
                value: $crate::static_fields!(@value $($kind)? ($value)),
            }),*
        ];
        const __THROUGHLINE_FIELD_BYTES: &[$crate::__macro::core::primitive::u8] =
            &$crate::__macro::encode_static_fields::<
                { $crate::__macro::static_fields_len(__THROUGHLINE_FIELDS) },
            >(__THROUGHLINE_FIELDS);
        __THROUGHLINE_FIELD_BYTES
    }};
}

/// One attribute of [`static_fields!`](crate::static_fields!).
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct StaticField {
    /// The attribute's key.
    pub key: &'static str,
    /// The attribute's value.
    pub value: StaticValue,
}

/// A value of [`static_fields!`](crate::static_fields!).
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum StaticValue {
    /// A string.
    Str(&'static str),
    /// An integer.
    Int(i64),
    /// A truth value.
    Bool(bool),
}

impl StaticValue {
    const fn len(self) -> usize {
        match self {
            Self::Str(text) => len_field_len(text.len()),
            Self::Int(number) => 1 + varint_len(number as u64),
            Self::Bool(_) => 2,
        }
    }
}

impl StaticField {
    /// The length of the `KeyValue` message.
    const fn len(self) -> usize {
        encoded_key_len(self.key) + len_field_len(self.value.len())
    }
}

/// The number of bytes that [`encode_static_fields`] makes of `fields`.
#[doc(hidden)]
#[must_use]
pub const fn static_fields_len(fields: &[StaticField]) -> usize {
    let mut len = 0;
    let mut index = 0;
    while index < fields.len() {
        len += len_field_len(fields[index].len());
        index += 1;
    }
    len
}

/// The fields as an array of [`static_fields_len`] bytes.
#[doc(hidden)]
#[must_use]
pub const fn encode_static_fields<const N: usize>(fields: &[StaticField]) -> [u8; N] {
    let mut writer = ConstWriter::new();
    let mut index = 0;
    while index < fields.len() {
        let field = fields[index];
        writer.byte(AttributeField::Span.tag());
        writer.varint(field.len() as u64);
        writer.len_field(KEY_TAG, field.key.as_bytes());
        writer.byte(VALUE_TAG);
        writer.varint(field.value.len() as u64);
        match field.value {
            StaticValue::Str(text) => writer.len_field(STRING_TAG, text.as_bytes()),
            StaticValue::Int(number) => {
                writer.byte(INT_TAG);
                writer.varint(number as u64);
            }
            StaticValue::Bool(truth) => {
                writer.byte(crate::value::BOOL_TAG);
                writer.byte(truth as u8);
            }
        }
        index += 1;
    }
    writer.finish()
}
