//! Lines of JSON: the identifiers as top-level members.
//!
//! Owns the little that has to be known of an object's text to add members to it. What comes in as valid JSON goes out
//! as valid JSON, without a name twice.

use std::fmt::{self, Write};

use throughline_core::SpanContext;

use super::ids::LogIds;

/// Writes an event that was formatted, with the identifiers of its span. Text that is no object is left alone.
pub(super) fn write(
    out: &mut dyn Write,
    event: &str,
    ids: Option<(&LogIds, SpanContext)>,
) -> fmt::Result {
    let body = event.trim_end();
    let object = body
        .strip_prefix('{')
        .and_then(|body| body.strip_suffix('}'));
    let (Some(members), Some((ids, span))) = (object, ids) else {
        return write_visible(out, event);
    };
    out.write_char('{')?;
    let mut has_members = false;
    if ids.names().any(|name| members.contains(name)) {
        // The event has a field of that name, or says so. The span knows better.
        let others =
            Members(members).filter(|member| !ids.names().any(|name| is_named(member, name)));
        for member in others {
            out.write_str(if has_members { "," } else { "" })?;
            write_visible(out, member)?;
            has_members = true;
        }
    } else {
        write_visible(out, members)?;
        has_members = !members.trim_ascii().is_empty();
    }
    if has_members && ids.names().next().is_some() {
        out.write_char(',')?;
    }
    ids.write_json(out, span)?;
    out.write_char('}')?;
    out.write_str(&event[body.len()..])
}

/// Writes JSON with the control characters escaped that JSON allows and some terminals obey. They occur in strings
/// only.
fn write_visible(out: &mut dyn Write, json: &str) -> fmt::Result {
    let obeyed = |character: char| character.is_control() && character >= '\u{7f}';
    let mut written = 0;
    for (at, character) in json
        .char_indices()
        .filter(|(_, character)| obeyed(*character))
    {
        out.write_str(&json[written..at])?;
        write!(out, "\\u{:04x}", u32::from(character))?;
        written = at + character.len_utf8();
    }
    out.write_str(&json[written..])
}

/// Whether the text of a member begins with this name, which needs no escapes.
fn is_named(member: &str, name: &str) -> bool {
    let quoted = member.trim_ascii_start().strip_prefix('"');
    quoted
        .and_then(|quoted| quoted.strip_prefix(name))
        .is_some_and(|rest| rest.starts_with('"'))
}

/// The texts of the members of an object, given what stands between its braces.
struct Members<'a>(&'a str);

impl<'a> Iterator for Members<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.0.trim_ascii().is_empty() {
            return None;
        }
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        for (at, byte) in self.0.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' if depth == 0 => {
                    let member = &self.0[..at];
                    self.0 = &self.0[at + 1..];
                    return Some(member);
                }
                _ => {}
            }
        }
        Some(std::mem::take(&mut self.0))
    }
}
