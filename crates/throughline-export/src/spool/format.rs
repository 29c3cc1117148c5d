//! The bytes of a segment: what a record looks like, and how to find the records of
//! a file that may hold anything.
//!
//! A segment is [`FILE_HEAD`] and then records, one behind the other. All numbers
//! are little-endian.
//!
//! | bytes | of a record |
//! |---|---|
//! | 4 | [`MAGIC`] |
//! | 4 | the mark: [`SETTLED`] once the record is done with; anything else means that it waits |
//! | 4 | length of the request |
//! | 4 | spans in the request |
//! | 4 | CRC-32 of the request |
//! | 4 | CRC-32 of the salt, the place of the record in its file, and the three numbers before |
//! | n | the request |
//!
//! The salt is a random number in the name of the file, so nobody who sends data
//! through the spool can write a request that holds what passes for a record. After
//! a damaged head the reader looks for the next head whose checksum fits, so a flip
//! of any bit costs one record, and never more. A flip in a mark costs nothing.
//!
//! Must not know files, nor what requests say.

use std::ops::Range;

/// What every segment begins with. Another version of the format has another
/// extension in its name, so a damaged head of the file is no reason to give it up.
pub(super) const FILE_HEAD: &[u8; 8] = b"TLSPOOL1";

const MAGIC: [u8; 4] = *b"\xf5TLr";

/// The mark of a record that is done with. So many bits differ from a waiting
/// record's that no single flip makes one of the other.
pub(super) const SETTLED: [u8; 4] = *b"\xd0\x9e\x5e\x77";

/// Where the mark stands in a record.
pub(super) const MARK_AT: u64 = 4;

/// Bytes of a record before its request.
pub(super) const RECORD_HEAD: usize = 24;

/// The head of a record that waits. The request has at most `u32::MAX` bytes.
pub(super) fn record_head(salt: u64, offset: u64, request: &[u8], spans: u32) -> [u8; RECORD_HEAD] {
    let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
    let mut head = [0; RECORD_HEAD];
    head[..4].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&length.to_le_bytes());
    head[12..16].copy_from_slice(&spans.to_le_bytes());
    head[16..20].copy_from_slice(&crc32fast::hash(request).to_le_bytes());
    let sum = head_sum(salt, offset, &head);
    head[20..].copy_from_slice(&sum.to_le_bytes());
    head
}

/// One stretch of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Record(Record),
    /// Neither a record nor the head of the file.
    Damaged {
        /// How many bytes cannot be used.
        bytes: usize,
        /// How many waiting spans they held, if that could still be read.
        spans: Option<u64>,
    },
}

/// A record whose checksums fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Where it begins.
    pub(super) offset: u64,
    /// Where its request lies.
    pub(super) request: Range<usize>,
    pub(super) spans: u64,
    pub(super) settled: bool,
}

/// Reads the piece of a segment that begins at `at`, and says where the next one
/// does. Starts at zero; nothing is left when `at` is the end of the file.
pub(super) fn read_piece(segment: &[u8], salt: u64, at: usize) -> Option<(Piece, usize)> {
    let mut start = at;
    if start == 0 && segment.starts_with(FILE_HEAD) {
        start = FILE_HEAD.len();
    }
    if start >= segment.len() {
        return None;
    }
    let Some(head) = Head::read(segment, salt, start) else {
        let next = (start + 1..segment.len())
            .find(|&at| Head::read(segment, salt, at).is_some())
            .unwrap_or(segment.len());
        let damaged = Piece::Damaged {
            bytes: next - start,
            spans: None,
        };
        return Some((damaged, next));
    };
    let first = start + RECORD_HEAD;
    // A length that does not fit into memory does not fit into the file either.
    let end = first.saturating_add(head.length);
    let whole = segment.get(first..end);
    let intact = whole.is_some_and(|request| crc32fast::hash(request) == head.request_sum);
    if head.settled || intact {
        let end = end.min(segment.len());
        let record = Record {
            offset: start as u64,
            request: first..end,
            spans: head.spans,
            settled: head.settled,
        };
        return Some((Piece::Record(record), end));
    }
    // The head is sound, hence its length is, unless the file ends early.
    let end = end.min(segment.len());
    let damaged = Piece::Damaged {
        bytes: end - start,
        spans: Some(head.spans),
    };
    Some((damaged, end))
}

/// All pieces of a segment.
pub(super) fn pieces(segment: &[u8], salt: u64) -> impl Iterator<Item = Piece> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (piece, next) = read_piece(segment, salt, at)?;
        at = next;
        Some(piece)
    })
}

/// The numbers of a head whose checksum fits.
struct Head {
    length: usize,
    spans: u64,
    request_sum: u32,
    settled: bool,
}

impl Head {
    fn read(segment: &[u8], salt: u64, at: usize) -> Option<Self> {
        let head: &[u8; RECORD_HEAD] = segment.get(at..)?.first_chunk()?;
        if head[..4] != MAGIC || number(head, 20) != head_sum(salt, at as u64, head) {
            return None;
        }
        Some(Self {
            length: usize::try_from(number(head, 8)).unwrap_or(usize::MAX),
            spans: number(head, 12).into(),
            request_sum: number(head, 16),
            settled: head[4..8] == SETTLED,
        })
    }
}

fn head_sum(salt: u64, offset: u64, head: &[u8; RECORD_HEAD]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&salt.to_le_bytes());
    sum.update(&offset.to_le_bytes());
    sum.update(&head[8..20]);
    sum.finalize()
}

fn number(head: &[u8; RECORD_HEAD], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&head[at..at + 4]);
    u32::from_le_bytes(bytes)
}

/// Reads any bytes as a segment and checks what must hold of every file: the pieces
/// follow each other without a gap, and reading ends. For fuzzing; it answers how
/// many records there are.
///
/// # Panics
///
/// When one of these does not hold, which is a defect.
#[doc(hidden)]
#[must_use]
pub fn check_segment(segment: &[u8], salt: u64) -> usize {
    let (mut at, mut records) = (0, 0);
    while let Some((piece, next)) = read_piece(segment, salt, at) {
        assert!(next > at && next <= segment.len(), "reading goes on");
        if let Piece::Record(record) = piece {
            assert!(
                record.request.end == next,
                "a record ends where the next begins"
            );
            assert!(
                segment.get(record.request).is_some(),
                "a request is in its file"
            );
            records += 1;
        }
        at = next;
    }
    records
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SALT: u64 = 0x1122_3344_5566_7788;

    fn segment(requests: &[Vec<u8>]) -> Vec<u8> {
        let mut segment = FILE_HEAD.to_vec();
        for request in requests {
            let head = record_head(SALT, segment.len() as u64, request, 3);
            segment.extend_from_slice(&head);
            segment.extend_from_slice(request);
        }
        segment
    }

    fn found(segment: &[u8], salt: u64) -> Vec<Vec<u8>> {
        pieces(segment, salt)
            .filter_map(|piece| match piece {
                Piece::Record(record) => Some(segment[record.request].to_vec()),
                Piece::Damaged { .. } => None,
            })
            .collect()
    }

    fn requests() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..6)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(requests in requests()) {
            prop_assert_eq!(found(&segment(&requests), SALT), requests);
        }

        #[test]
        fn a_flipped_bit_costs_at_most_the_record_it_is_in(
            requests in requests(),
            at in any::<proptest::sample::Index>(),
        ) {
            let mut segment = segment(&requests);
            let bit = at.index(segment.len() * 8);
            segment[bit / 8] ^= 1 << (bit % 8);
            let left = found(&segment, SALT);
            prop_assert!(left.len() + 1 >= requests.len());
            prop_assert!(left.iter().all(|request| requests.contains(request)));
            let _ = check_segment(&segment, SALT);
        }

        #[test]
        fn a_file_cut_anywhere_keeps_the_records_before_the_cut(
            requests in requests(),
            at in any::<proptest::sample::Index>(),
        ) {
            let whole = segment(&requests);
            let cut = &whole[..at.index(whole.len() + 1)];
            let left = found(cut, SALT);
            prop_assert_eq!(&left[..], &requests[..left.len()]);
            let _ = check_segment(cut, SALT);
        }

        #[test]
        fn any_bytes_are_read_to_their_end(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            salt in any::<u64>(),
        ) {
            prop_assert_eq!(check_segment(&bytes, salt), 0);
        }
    }

    #[test]
    fn a_request_that_holds_a_segment_is_no_segment() {
        let inner = segment(&[b"forged".to_vec()]);
        let mut outer = segment(&[inner, b"next".to_vec()]);
        // Its head is damaged, so the reader looks for the next record inside it.
        outer[FILE_HEAD.len() + 8] ^= 1;
        assert_eq!(found(&outer, SALT), [b"next".to_vec()]);
    }

    #[test]
    fn a_file_under_another_name_has_no_records() {
        assert_eq!(found(&segment(&[b"a".to_vec()]), SALT + 1), [[0; 0]; 0]);
    }

    #[test]
    fn a_damaged_request_still_says_how_many_spans_it_had() {
        let mut segment = segment(&[b"one".to_vec(), b"two".to_vec()]);
        segment[FILE_HEAD.len() + RECORD_HEAD] ^= 1;
        let damaged = Piece::Damaged {
            bytes: RECORD_HEAD + 3,
            spans: Some(3),
        };
        assert_eq!(pieces(&segment, SALT).next(), Some(damaged));
        assert_eq!(found(&segment, SALT), [b"two".to_vec()]);
    }

    #[test]
    fn huge_lengths_and_zeroes_are_damage() {
        let mut huge = FILE_HEAD.to_vec();
        let mut head = record_head(SALT, 8, b"", 1);
        head[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        let sum = head_sum(SALT, 8, &head);
        head[20..].copy_from_slice(&sum.to_le_bytes());
        huge.extend_from_slice(&head);
        assert_eq!(found(&huge, SALT), [[0; 0]; 0]);
        assert_eq!(check_segment(&huge, SALT), 0);
        assert_eq!(check_segment(&[0; 10_000], SALT), 0);
        assert_eq!(check_segment(&MAGIC.repeat(100_000), SALT), 0);
    }
}
