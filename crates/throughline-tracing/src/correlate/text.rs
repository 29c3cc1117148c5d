//! Lines of text: where the identifiers stand, and what must not reach a terminal.
//!
//! Owns escaping. What a message or a field holds is somebody else's: it must not move the cursor, set a title, hide
//! text, or pretend to be a line of its own
//! ([CVE-2025-58160](https://nvd.nist.gov/vuln/detail/CVE-2025-58160) is what happens otherwise).

use std::fmt::{self, Write};

use throughline_core::SpanContext;

use super::ids::LogIds;
use super::shape::Shape;

/// Which control characters mean something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meant {
    /// Newlines.
    pub(super) newlines: bool,
    /// Sequences that choose how text looks.
    pub(super) colours: bool,
}

/// Writes an event that was formatted, with the identifiers of its span.
pub(super) fn write(
    out: &mut dyn Write,
    event: &str,
    shape: Shape,
    meant: Meant,
    ids: Option<(&LogIds, SpanContext)>,
) -> fmt::Result {
    let body = event.trim_end_matches('\n');
    let end = &event[body.len()..];
    write_escaped(out, body, meant)?;
    if let Some((ids, span)) = ids {
        match shape {
            Shape::Block => out.write_str("\n    ")?,
            _ if !body.is_empty() => out.write_char(' ')?,
            _ => {}
        }
        ids.write_text(out, span)?;
    }
    out.write_str(end)
}

/// Writes text with every control character made visible, in the notation of Rust, but for tabs and what is meant.
pub(super) fn write_escaped(out: &mut dyn Write, text: &str, meant: Meant) -> fmt::Result {
    let mut written = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find(char::is_control) {
        at += found;
        let rest = &text[at..];
        let skipped = match rest.as_bytes()[0] {
            b'\t' => 1,
            b'\n' if meant.newlines => 1,
            ESCAPE if meant.colours => colour_len(rest.as_bytes()),
            _ => 0,
        };
        if skipped > 0 {
            at += skipped;
            continue;
        }
        out.write_str(&text[written..at])?;
        let mut characters = rest.chars();
        if let Some(character) = characters.next() {
            write!(out, "{}", character.escape_default())?;
        }
        at = text.len() - characters.as_str().len();
        written = at;
    }
    out.write_str(&text[written..])
}

/// Writes on, escaped: for values on their way into a format.
pub(super) struct Escaping<'a, W: ?Sized> {
    pub(super) out: &'a mut W,
    pub(super) meant: Meant,
}

impl<W: Write> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_escaped(self.out, text, self.meant)
    }
}

/// The length of the sequence at the start of `text` if it is one that chooses colours and weights, else zero.
///
/// Concealed text (8) is none of them: a reader of logs has to see what is there.
fn colour_len(text: &[u8]) -> usize {
    let Some(parameters) = text.strip_prefix(b"\x1b[") else {
        return 0;
    };
    let is_parameter = |byte: &u8| byte.is_ascii_digit() || *byte == b';';
    let len = parameters
        .iter()
        .take_while(|byte| is_parameter(byte))
        .count();
    let conceals = parameters[..len]
        .split(|byte| *byte == b';')
        .any(|parameter| parameter == b"8");
    match parameters.get(len) {
        Some(b'm') if !conceals && len <= MOST_PARAMETER_BYTES => len + 3,
        _ => 0,
    }
}

const ESCAPE: u8 = 0x1b;
/// Enough for a foreground, a background and every weight.
const MOST_PARAMETER_BYTES: usize = 48;
