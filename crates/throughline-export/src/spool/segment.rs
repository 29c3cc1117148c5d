//! One file of the log: its name, and what is known of its content.

use super::format::{Piece, pieces};
use super::stats::SpoolHandle;

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) salt: u64,
    /// The size on the disk, at most.
    pub(super) bytes: u64,
    /// Where the last whole record ends.
    pub(super) readable: u64,
    /// Spans of records that wait, as far as known.
    pub(super) waiting: u64,
    /// Whether another process wrote it.
    pub(super) earlier: bool,
    /// Whether what waits in it has been counted. Always, in one of our own.
    pub(super) surveyed: bool,
    pub(super) open: bool,
    /// Whether its name is known to be on the disk.
    pub(super) listed: bool,
    pub(super) read_failures: u32,
}

/// What the names of segments end with.
const EXTENSION: &str = ".spool";

impl Segment {
    /// One that is about to be made.
    pub(super) fn new(sequence: u64, salt: u64) -> Self {
        Self {
            name: format!("{sequence:016x}-{salt:016x}{EXTENSION}"),
            salt,
            bytes: 0,
            readable: 0,
            waiting: 0,
            earlier: false,
            surveyed: true,
            open: true,
            listed: false,
            read_failures: 0,
        }
    }

    /// The segment that a file of this name is, with its number; none if the name is
    /// not ours.
    pub(super) fn left_behind(name: String, bytes: u64) -> Option<(u64, Self)> {
        let (sequence, salt) = name.strip_suffix(EXTENSION)?.split_once('-')?;
        let hexadecimal = |digits: &str| {
            let well_formed = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let number = u64::from_str_radix(digits, 16).ok();
            number.filter(|_| well_formed)
        };
        let (sequence, salt) = (hexadecimal(sequence)?, hexadecimal(salt)?);
        let segment = Self {
            name,
            salt,
            bytes,
            readable: bytes,
            waiting: 0,
            earlier: true,
            surveyed: false,
            open: false,
            listed: true,
            read_failures: 0,
        };
        Some((sequence, segment))
    }

    /// Counts what an earlier process left in this segment.
    pub(super) fn survey(&mut self, content: &[u8], counts: &SpoolHandle) {
        if self.surveyed {
            return;
        }
        self.surveyed = true;
        self.waiting = pieces(content, self.salt)
            .map(|piece| match piece {
                Piece::Record(record) if record.settled => 0,
                Piece::Record(record) => record.spans,
                Piece::Damaged { spans, .. } => spans.unwrap_or(0),
            })
            .sum();
        counts.lock().earlier.accepted += self.waiting;
    }
}
