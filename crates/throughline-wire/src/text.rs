//! Owns cutting text at a number of characters and formatting into a buffer. Knows no field.

use crate::buffer::Buffer;
use core::fmt;

/// The longest prefix of `text` that has at most `chars` characters (Unicode scalar values).
///
/// Costs a comparison when `text` has at most `chars` bytes, else one pass over the prefix.
#[inline]
pub(crate) fn cut(text: &str, chars: u32) -> &str {
    if chars == u32::MAX || text.len() <= chars as usize {
        text
    } else {
        cut_long(text, chars as usize)
    }
}

fn cut_long(text: &str, chars: usize) -> &str {
    match text.char_indices().nth(chars) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

/// Appends what is formatted, up to a number of characters. At the limit it answers with an
/// error, which makes well-behaved implementations of `Display` stop; what others still write is
/// ignored.
pub(crate) struct BoundedText<'a> {
    buf: &'a mut Buffer,
    /// How many characters may follow; `u32::MAX` for any number.
    left: u32,
}

impl<'a> BoundedText<'a> {
    pub(crate) fn new(buf: &'a mut Buffer, chars: u32) -> Self {
        Self { buf, left: chars }
    }

    #[cold]
    fn write_bounded(&mut self, text: &str) -> fmt::Result {
        let kept = cut(text, self.left);
        self.buf.extend_from_slice(kept.as_bytes());
        if kept.len() < text.len() {
            self.left = 0;
            return Err(fmt::Error);
        }
        // `kept` has at most `left` characters, so the conversion cannot fail.
        let chars = u32::try_from(kept.chars().count()).unwrap_or(self.left);
        self.left = self.left.saturating_sub(chars);
        Ok(())
    }
}

impl fmt::Write for BoundedText<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.left == u32::MAX {
            self.buf.extend_from_slice(text.as_bytes());
            Ok(())
        } else {
            self.write_bounded(text)
        }
    }
}
