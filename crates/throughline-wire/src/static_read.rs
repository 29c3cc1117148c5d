//! Owns reading what [`static_fields!`](crate::static_fields!) and [`put_attribute`](crate::put_attribute) wrote, also at
//! compile time. Knows top-level attributes and strings, nothing else.

use crate::key::KEY_TAG;
use crate::value::{AttributeField, STRING_TAG, VALUE_TAG};

/// Where one encoded span attribute stands in a run of them, as [`attribute_at`] finds it: offsets into the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodedAttribute {
    /// Where the key's text begins and ends.
    pub key: (usize, usize),
    /// Where the text of a value that is a string begins and ends.
    pub text: Option<(usize, usize)>,
    /// Where the attribute ends, and the next one begins.
    pub end: usize,
}

/// The span attribute that begins at `at`; none at the end of the run, or where something else stands.
///
/// ```
/// use throughline_wire::{attribute_at, static_fields};
///
/// const FIELDS: &[u8] = static_fields!["method" = ("GET"), "line" = int (7)];
/// const FIRST: usize = attribute_at(FIELDS, 0).unwrap().end;
/// let second = attribute_at(FIELDS, FIRST).unwrap();
/// assert_eq!(&FIELDS[second.key.0..second.key.1], b"line");
/// assert_eq!((second.text, second.end), (None, FIELDS.len()));
/// assert!(attribute_at(FIELDS, FIELDS.len()).is_none());
/// ```
#[must_use]
pub const fn attribute_at(fields: &[u8], at: usize) -> Option<EncodedAttribute> {
    let Some((start, end)) = len_field(fields, at, AttributeField::Span.tag()) else {
        return None;
    };
    let Some(key) = len_field(fields, start, KEY_TAG) else {
        return None;
    };
    let Some((value, value_end)) = len_field(fields, key.1, VALUE_TAG) else {
        return None;
    };
    if value_end != end {
        return None;
    }
    Some(EncodedAttribute {
        key,
        text: len_field(fields, value, STRING_TAG),
        end,
    })
}

/// Where the content of the length-delimited field with that tag begins and ends.
const fn len_field(bytes: &[u8], at: usize, tag: u8) -> Option<(usize, usize)> {
    if at >= bytes.len() || bytes[at] != tag {
        return None;
    }
    let (mut at, mut len, mut shift) = (at + 1, 0, 0);
    while at < bytes.len() && shift < 32 {
        let byte = bytes[at];
        at += 1;
        len |= ((byte & 0x7F) as usize) << shift;
        if byte < 0x80 {
            return if len <= bytes.len() - at {
                Some((at, at + len))
            } else {
                None
            };
        }
        shift += 7;
    }
    None
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;
    use crate::{Buffer, Limits, put_attribute, static_fields};

    #[test]
    fn what_was_written_is_found() {
        let long = "x".repeat(300);
        let mut run = Buffer::new();
        put_attribute(
            &mut run,
            AttributeField::Span,
            &"long",
            Limits::default(),
            |value| value.str(&long),
        );
        run.extend_from_slice(static_fields!["empty" = (""), "yes" = bool(true)]);
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(attribute) = attribute_at(&run, at) {
            let text = |(start, end): (usize, usize)| {
                String::from_utf8(run[start..end].to_vec()).expect("it is text")
            };
            found.push((text(attribute.key), attribute.text.map(text)));
            at = attribute.end;
        }
        assert_eq!(at, run.len());
        let expected = [("long", Some(&*long)), ("empty", Some("")), ("yes", None)];
        let expected = expected.map(|(key, text)| (key.to_owned(), text.map(str::to_owned)));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_cut_short_is_none() {
        const FIELDS: &[u8] = static_fields!["key" = ("value")];
        for end in 0..FIELDS.len() {
            assert_eq!(attribute_at(&FIELDS[..end], 0), None, "{end}");
        }
    }
}
