//! Short texts without allocation, and the small rules that several formats share.

use std::fmt;

use crate::id::encode_hex;

/// A text of at most `N` bytes; what does not fit is cut off.
#[derive(Clone, Copy)]
pub(super) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    pub(super) fn push(mut self, text: &str) -> Self {
        self.extend(text.as_bytes());
        self
    }

    pub(super) fn hex(mut self, bytes: &[u8]) -> Self {
        let room = &mut self.bytes[self.len..];
        encode_hex(bytes, room);
        self.len += (2 * bytes.len()).min(room.len());
        self
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let count = bytes.len().min(N - self.len);
        self.bytes[self.len..self.len + count].copy_from_slice(&bytes[..count]);
        self.len += count;
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(super) fn as_str(&self) -> &str {
        // Only ASCII is ever written, so the default is never taken.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend(text.as_bytes());
        Ok(())
    }
}

/// Takes off the optional white space of HTTP: spaces and tabs.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Splits at the first such byte.
pub(super) fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..position], &bytes[position + 1..]))
}

/// The text of bytes that are known to be ASCII.
pub(super) fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Reads one to `2 · N` hex digits of either case as a number of `N` bytes, zeros added on the left.
pub(super) fn padded_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.is_empty() || digits.len() > 2 * N {
        return None;
    }
    let mut number = 0_u128;
    for digit in digits {
        let digit = char::from(*digit).to_digit(16)?;
        number = number << 4 | u128::from(digit);
    }
    number.to_be_bytes()[16 - N..].try_into().ok()
}
