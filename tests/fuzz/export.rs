//! Feeds bytes to one of the readers of the export side, which the variable `THROUGHLINE_FORMAT` names, and checks
//! that nothing panics and that what comes out of it is well-formed. How to run it is said in `run.sh`.

#![no_main]

mod split;

use std::io::{Read, Write};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::bufread::GzEncoder;
use flate2::write::GzDecoder;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use throughline_export::fuzzing;
use throughline_wire::read::{self, FieldValue};

static READER: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("THROUGHLINE_FORMAT").unwrap_or_default();
    let reader = READERS.iter().find(|(known, _)| *known == name);
    reader.expect("THROUGHLINE_FORMAT names a reader").1
});

const READERS: &[(&str, fn(&[u8]))] = &[
    ("wire", |input| walk(input, 0)),
    ("console", console),
    ("json", json),
    ("zipkin", zipkin),
    ("http_response", http_response),
    ("grpc_response", grpc_response),
    ("retry_after", retry_after),
    ("settings", settings),
    ("spool", spool),
    ("split", split::split),
    ("gunzip", gunzip),
];

fuzz_target!(|input: &[u8]| READER(input));

/// Every field stands right behind the one before it, and its value within it.
fn walk(message: &[u8], depth: u32) {
    let mut end = 0;
    for field in read::fields(message) {
        let Ok(field) = field.map_err(|malformed| assert_eq!(malformed.offset(), end)) else {
            return;
        };
        assert!(field.number > 0 && field.range.start == end && field.range.end > end);
        end = field.range.end;
        if let FieldValue::Len(bytes) = field.value {
            assert!(message[field.range].ends_with(bytes));
            if depth < 10 {
                walk(bytes, depth + 1);
            }
        }
    }
    assert_eq!(end, message.len());
}

/// Whatever a file holds is read to its end.
fn spool(input: &[u8]) {
    let _ = throughline_export::check_segment(input, 0);
}

/// Nothing that somebody recorded can take hold of a terminal.
fn console(input: &[u8]) {
    if let Ok(picture) = fuzzing::console(input) {
        assert!(picture.lines().all(|line| !line.contains(char::is_control)));
    }
}

fn json(input: &[u8]) {
    if let Ok(text) = fuzzing::json(input) {
        serde_json::from_slice::<serde_json::Value>(&text).expect("it is JSON");
    }
}

fn zipkin(input: &[u8]) {
    if let Ok(text) = fuzzing::zipkin(input) {
        serde_json::from_slice::<serde_json::Value>(&text).expect("it is JSON");
    }
}

fn http_response(input: &[u8]) {
    for content_type in ["application/x-protobuf", "application/json", "text/html"] {
        let _ = fuzzing::http_response(content_type, input);
    }
}

/// Lines are headers, and behind an empty one comes the body.
fn grpc_response(input: &[u8]) {
    const NAMES: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];
    let (mut headers, mut rest) = (HeaderMap::new(), input);
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        let Some((pick, value)) = line.split_first() else {
            break;
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(NAMES[usize::from(*pick) % NAMES.len()], value);
        }
    }
    let (receipt, refusal) = fuzzing::grpc_response(&headers, rest);
    let _ = (format!("{receipt:?}"), format!("{refusal:?} {refusal}"));
}

/// A limit, then something that is said to be gzip, or that is packed first, in one piece or in several.
fn gunzip(input: &[u8]) {
    let Some((&[limit, pieces], rest)) = input.split_first_chunk() else {
        return;
    };
    let limit = usize::from(limit) * 8;
    if pieces == 0 {
        // Another way to read it, which stops at the end of the first piece.
        let mut first = GzDecoder::new(Vec::new());
        let is_readable = first.write_all(rest).is_ok();
        if let Ok(body) = fuzzing::gunzip(rest, limit) {
            assert!(body.len() <= limit);
            let first = first.finish().unwrap_or_default();
            assert!(is_readable && body.starts_with(&first));
        }
        return;
    }
    let mut packed = Vec::new();
    for piece in rest.chunks(rest.len().div_ceil(usize::from(pieces)).max(1)) {
        let mut encoder = GzEncoder::new(piece, Compression::fast());
        encoder.read_to_end(&mut packed).expect("memory");
    }
    let expected = match rest.len() {
        0 => Err(fuzzing::Unread::Unreadable),
        length if length > limit => Err(fuzzing::Unread::TooLarge),
        _ => Ok(rest.to_vec()),
    };
    assert_eq!(fuzzing::gunzip(&packed, limit), expected);
}

/// No answer can keep the exporter waiting for more than a header can say.
fn retry_after(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        for day in [0, 1, 20_000] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400);
            let _ = fuzzing::retry_after(text, now);
        }
    }
}

/// Each line is the value of a variable, which its first byte picks. Whatever it is, a warning is one line of text.
fn settings(input: &[u8]) {
    let mut values = vec![None; VARIABLES.len()];
    for line in input.split(|byte| *byte == b'\n') {
        if let Some((pick, value)) = line.split_first() {
            let text = String::from_utf8_lossy(value).into_owned();
            values[usize::from(*pick) % VARIABLES.len()] = Some(text);
        }
    }
    let lookup = |name: &str| {
        let index = VARIABLES.iter().position(|known| *known == name)?;
        values[index].clone()
    };
    for warning in fuzzing::settings(&lookup) {
        assert!(!warning.contains(char::is_control), "{warning:?}");
    }
}

const VARIABLES: &[&str] = &[
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_EXPORTER",
    "OTEL_PROPAGATORS",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
    "OTEL_EXPORTER_ZIPKIN_TIMEOUT",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
];
