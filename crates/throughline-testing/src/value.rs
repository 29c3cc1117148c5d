//! One decoded attribute value, and how it is written in a picture.
//!
//! Owns the seven OTLP value types; must not know spans, trees or where a value came from.

use std::fmt;

/// The value of one attribute, as the receiver decoded it.
///
/// Compares with plain Rust values, so that an assertion stays short:
///
/// ```
/// use throughline_testing::Value;
///
/// assert_eq!(Value::String("card".to_owned()), "card");
/// assert_eq!(Value::Int(3), 3);
/// assert_ne!(Value::Int(3), "3");
/// ```
///
/// [`Display`](fmt::Display) writes it as the tree does: strings quoted and escaped, doubles always with a
/// decimal point, bytes in hexadecimal.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A value message with nothing in it.
    Empty,
    /// A UTF-8 string.
    String(String),
    /// A boolean.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// A list of values.
    Array(Vec<Self>),
    /// Keys and values, in the order they were sent.
    Map(Vec<(String, Self)>),
}

impl Value {
    /// The string, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }

    /// The integer, if it is one.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::String(value) => write!(f, "{value:?}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Array(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{value}")?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{key}={value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(*other)
    }
}

impl PartialEq<i64> for Value {
    fn eq(&self, other: &i64) -> bool {
        self.as_i64() == Some(*other)
    }
}

impl PartialEq<bool> for Value {
    fn eq(&self, other: &bool) -> bool {
        matches!(self, Self::Bool(value) if value == other)
    }
}

impl PartialEq<f64> for Value {
    fn eq(&self, other: &f64) -> bool {
        matches!(self, Self::Double(value) if value == other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_picture() {
        let value = Value::Map(vec![
            ("text".to_owned(), Value::String("a \"b\"\n".to_owned())),
            (
                "list".to_owned(),
                Value::Array(vec![
                    Value::Bool(true),
                    Value::Int(-1),
                    Value::Double(2.0),
                    Value::Bytes(vec![0, 0xff]),
                    Value::Empty,
                ]),
            ),
            ("none".to_owned(), Value::Array(Vec::new())),
        ]);
        assert_eq!(
            value.to_string(),
            r#"{text="a \"b\"\n", list=[true, -1, 2.0, 0x00ff, empty], none=[]}"#
        );
    }
}
