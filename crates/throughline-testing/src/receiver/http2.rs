//! Frames of HTTP/2 that no library would send.
//!
//! Owns their bytes. It must not know what they are good for.

use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;

const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;

/// The beginning of an answer's headers, of which more are to come.
pub(super) fn first_headers(stream: u32, status: StatusCode) -> Bytes {
    // A field that no table is to remember: the number of its name, and its value behind its length.
    let field = [b"\x08\x03", status.as_str().as_bytes()].concat();
    frame(HEADERS, stream, &field)
}

/// So many more headers that are not the last ones either.
pub(super) fn more_headers(stream: u32, count: usize) -> Bytes {
    let fields = b"\x00\x06x-more\x08and more".repeat(count);
    frame(CONTINUATION, stream, &fields)
}

/// A frame without flags: neither the headers nor the stream end with it.
fn frame(kind: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_uint(payload.len() as u64, 3);
    frame.put_u8(kind);
    frame.put_u8(0);
    frame.put_u32(stream);
    frame.put_slice(payload);
    frame.freeze()
}
