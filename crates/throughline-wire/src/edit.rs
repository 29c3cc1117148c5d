//! Owns changes to a finished span body: taking fields out, patching times. Does not know how
//! the fields were written.
//!
//! Each function walks the top-level fields once. Where the body stops being protobuf, which no
//! function of this crate causes, the walk stops and the rest stays as it is.

use crate::buffer::Buffer;

use crate::key::KEY_TAG;
use crate::read::{self, FieldValue};
use crate::span::EVENT_TIME_TAG;

/// Takes out every top-level field with this number and says whether there was one.
///
/// ```
/// use throughline_wire::{Buffer, put_name, remove_fields};
///
/// let mut body = Buffer::new();
/// put_name(&mut body, "draft");
/// assert!(remove_fields(&mut body, 5));
/// assert!(body.is_empty());
/// ```
pub fn remove_fields(buf: &mut Buffer, number: u32) -> bool {
    remove_where(buf, |field, _| field == number)
}

/// Takes out every top-level span attribute (field 9) with this key and says whether there was
/// one.
///
/// ```
/// use throughline_wire::{AttributeField, Buffer, Limits, put_attribute, remove_attribute};
///
/// let mut body = Buffer::new();
/// put_attribute(&mut body, AttributeField::Span, &"retry", Limits::default(), |v| v.i64(1));
/// assert!(!remove_attribute(&mut body, "other"));
/// assert!(remove_attribute(&mut body, "retry"));
/// ```
pub fn remove_attribute(buf: &mut Buffer, key: &str) -> bool {
    remove_where(buf, |field, value| {
        field == SPAN_ATTRIBUTES
            && matches!(value, FieldValue::Len(message) if has_key(message, key))
    })
}

/// Replaces the time of each event (field 11) by what `f` makes of it, in place.
///
/// Only a time that is the event's first field is found; [`put_event`](crate::put_event) writes
/// it there.
pub fn patch_event_times(body: &mut [u8], mut f: impl FnMut(u64) -> u64) {
    let mut at = 0;
    while let Ok(Some(field)) = read::scan(body, at) {
        at = field.end;
        if field.number != SPAN_EVENTS {
            continue;
        }
        let Some([EVENT_TIME_TAG, time @ ..]) = body.get_mut(field.content..field.end) else {
            continue;
        };
        if let Some(time) = time.first_chunk_mut::<8>() {
            *time = f(u64::from_le_bytes(*time)).to_le_bytes();
        }
    }
}

#[inline]
fn has_key(key_value: &[u8], key: &str) -> bool {
    match key_value {
        // As this crate writes it: the key first, and its length in one byte.
        [KEY_TAG, len @ ..0x80, rest @ ..] if rest.len() >= usize::from(*len) => {
            key.len() == usize::from(*len) && rest.starts_with(key.as_bytes())
        }
        _ => read::fields(key_value).any(|field| {
            field.is_ok_and(|field| {
                field.number == 1 && field.value == FieldValue::Len(key.as_bytes())
            })
        }),
    }
}

fn remove_where(buf: &mut Buffer, mut unwanted: impl FnMut(u32, FieldValue<'_>) -> bool) -> bool {
    let mut at = 0;
    let mut kept = 0;
    while let Ok(Some(field)) = read::scan(buf, at) {
        if !unwanted(field.number, field.value(buf)) {
            if kept != at {
                buf.copy_within(at..field.end, kept);
            }
            kept += field.end - at;
        }
        at = field.end;
    }
    if kept == at {
        return false;
    }
    buf.copy_within(at.., kept);
    buf.truncate(buf.len() - (at - kept));
    true
}

/// The number of `Span.attributes`.
const SPAN_ATTRIBUTES: u32 = 9;
/// The number of `Span.events`.
const SPAN_EVENTS: u32 = 11;
