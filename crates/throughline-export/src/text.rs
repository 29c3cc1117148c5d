//! Makes foreign text fit to be shown on one line.
//!
//! Whatever a server or an attribute says may hold control characters that
//! forge lines or steer a terminal; nothing of it is shown unescaped.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;

/// Shows a text on one line, cut after a number of characters.
pub(crate) struct Line<'a> {
    text: &'a str,
    max_chars: usize,
}

impl<'a> Line<'a> {
    pub(crate) fn new(text: &'a str, max_chars: usize) -> Self {
        Self { text, max_chars }
    }

    /// What somebody else said, in a line of ours.
    pub(crate) fn quoted(text: &'a str) -> Self {
        Self::new(text, QUOTED_CHARS)
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, character) in self.text.chars().enumerate() {
            if count == self.max_chars {
                return f.write_char('…');
            }
            if is_hostile(character) {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// How much of the words of others a line repeats, in characters.
const QUOTED_CHARS: usize = 200;

/// Control characters, and those that change the direction of the text around them.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The innermost cause that means something to a reader, such as `connection refused`.
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
    let innermost = chain(error).last().unwrap_or(error);
    match innermost.downcast_ref::<io::Error>() {
        Some(io) if io.raw_os_error().is_some() => operating_system_error(io),
        _ => innermost.to_string(),
    }
}

/// An error and what caused it, down to what the operating system said.
pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>() {
            Some(io) if io.raw_os_error().is_some() => None,
            // The error that this one was made of is not its source.
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => error.source(),
        }
    })
}

/// The kind reads better than the whole message, which repeats the number, but
/// not every error number has a kind.
fn operating_system_error(error: &io::Error) -> String {
    let kind = error.kind().to_string();
    if kind == "uncategorized error" {
        error.to_string()
    } else {
        kind
    }
}

/// Shows a number of bytes in the largest unit that fits.
pub(crate) struct Bytes(pub(crate) usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * KIB;
        match self.0 {
            bytes if bytes < KIB => write!(f, "{bytes} B"),
            bytes if bytes < MIB => write!(f, "{} KiB", bytes / KIB),
            bytes => write!(f, "{} MiB", bytes / MIB),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_characters_are_escaped() {
        let text = "a\u{1b}[31m\nb\u{202e}c\u{0}\u{9b}é";
        assert_eq!(
            Line::new(text, 100).to_string(),
            "a\\u{1b}[31m\\nb\\u{202e}c\\u{0}\\u{9b}é"
        );
        assert_eq!(Line::new("äöü", 2).to_string(), "äö…");
        assert_eq!(Line::new("äöü", 3).to_string(), "äöü");
    }

    #[test]
    fn causes() {
        let refused = io::Error::from_raw_os_error(111);
        let outer = io::Error::other(refused);
        assert_eq!(cause(&outer), "connection refused");
        assert_eq!(cause(&io::Error::other("no such host")), "no such host");
    }

    #[test]
    fn sizes() {
        assert_eq!(Bytes(1023).to_string(), "1023 B");
        assert_eq!(Bytes(8 << 20).to_string(), "8 MiB");
        assert_eq!(Bytes(1024).to_string(), "1 KiB");
    }
}
