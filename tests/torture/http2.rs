//! Frames of HTTP/2, for peers that no library would make.

const CALL: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const WINDOW_UPDATE: u8 = 0x8;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// The largest window that there is.
const MAX_WINDOW: u32 = i32::MAX.cast_unsigned();

/// A whole connection of a client: an export of nothing, whose answer may be as long as it wants.
pub(crate) fn call() -> Vec<u8> {
    let mut headers = Vec::new();
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "test"),
        (":path", CALL),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    for (name, value) in fields {
        // A field that no table is to remember: its name and its value, each behind its length.
        headers.push(0);
        for text in [name, value] {
            headers.push(u8::try_from(text.len()).expect("a length that takes one byte"));
            headers.extend_from_slice(text.as_bytes());
        }
    }
    let more = (MAX_WINDOW - 65_535).to_be_bytes();
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(SETTINGS, 0, 0, &initial_window(MAX_WINDOW)),
        frame(WINDOW_UPDATE, 0, 0, &more),
        frame(HEADERS, END_HEADERS, 1, &headers),
        // A message without content.
        frame(DATA, END_STREAM, 1, &[0; 5]),
    ]
    .concat()
}

/// How a server begins that is content with what everybody expects: 64 KiB may be sent before it asks for more.
pub(crate) fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

/// The setting that says how much may be sent on a stream before more is asked for.
fn initial_window(bytes: u32) -> Vec<u8> {
    [&[0, 4], &bytes.to_be_bytes()[..]].concat()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a short frame")
        .to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}
