//! Owns fields whose length becomes known only after they are written. Knows no message.
//!
//! Each unfinished length takes one byte. When the frame is closed and every length fits its
//! byte, which is the usual case, the bytes are filled in and nothing moves; else the content is
//! moved up once by all the missing bytes together. A frame that is dropped unclosed, because a
//! closure of the caller panicked, takes back all that was written since it was opened.

use crate::buffer::Buffer;

use crate::key::KeyRef;
use crate::value::{VALUE_TAG, claim_value};
use crate::varint::{varint_len, write_varint};

/// One to three nested fields that end together: `KeyValue`, its `AnyValue`, and the string,
/// array or map in that.
pub(crate) struct Frame<'a> {
    pub(crate) buf: &'a mut Buffer,
    /// Where the outermost field's tag stands; [`CLOSED`] once there is nothing to take back.
    start: usize,
    /// Where the one-byte lengths stand, outermost first. A frame of fewer than three fields
    /// repeats one: to fill in the same byte twice is cheaper than to ask how often.
    marks: [usize; 3],
}

impl<'a> Frame<'a> {
    /// Opens one field.
    #[inline]
    pub(crate) fn open(buf: &'a mut Buffer, tag: u8) -> Self {
        let start = buf.len();
        buf.extend_from_slice(&[tag, 0]);
        Self {
            buf,
            start,
            marks: [start + 1; 3],
        }
    }

    /// Opens an `AnyValue` with field `inner` in it, as field `tag`; behind a key, as
    /// `KeyValue.value` of a `KeyValue` that is field `tag`.
    #[inline(always)]
    pub(crate) fn open_value(
        buf: &'a mut Buffer,
        mut tag: u8,
        key: Option<KeyRef<'_>>,
        inner: u8,
    ) -> Self {
        let start = buf.len();
        let slot = match key {
            Some(key) if key.encoded_len() < 0x80 => {
                let slot = claim_value(buf, tag, key, 0, 4, 4);
                tag = VALUE_TAG;
                slot
            }
            Some(key) => {
                buf.extend_from_slice(&[tag, 0]);
                key.put(buf);
                tag = VALUE_TAG;
                buf.claim(4)
            }
            None => buf.claim(4),
        };
        slot.copy_from_slice(&[tag, 0, inner, 0]);
        let value = buf.len() - 4;
        Self {
            buf,
            start,
            marks: [start + 1, value + 1, value + 3],
        }
    }

    /// Fills in the lengths.
    #[inline(always)]
    pub(crate) fn close(mut self) {
        let end = self.buf.len();
        self.start = CLOSED;
        // The outermost field is the longest.
        if end - self.marks[0] <= 0x80 {
            for mark in self.marks {
                self.buf[mark] = (end - mark - 1) as u8;
            }
        } else {
            self.close_long(end);
        }
    }

    #[inline(never)]
    fn close_long(&mut self, end: usize) {
        let mut fields = [(0, 0); 3];
        let mut count = 0;
        let mut shift = 0;
        for mark in self.marks.into_iter().rev() {
            if count > 0 && fields[count - 1].0 == mark {
                continue;
            }
            // An inner length that grows makes the outer fields longer.
            let len = end + shift - (mark + 1);
            shift += varint_len(len as u64) - 1;
            fields[count] = (mark, len);
            count += 1;
        }
        self.buf.claim(shift);
        let mut content_end = end;
        for &(mark, len) in &fields[..count] {
            let content = mark + 1;
            self.buf.copy_within(content..content_end, content + shift);
            let width = varint_len(len as u64);
            let at = content + shift - width;
            write_varint(&mut self.buf[at..at + width], len as u64);
            shift -= width - 1;
            content_end = mark;
        }
    }
}

impl Drop for Frame<'_> {
    #[inline]
    fn drop(&mut self) {
        self.buf.truncate(self.start);
    }
}

/// Longer than any buffer, so that truncating to it does nothing.
const CLOSED: usize = usize::MAX;
