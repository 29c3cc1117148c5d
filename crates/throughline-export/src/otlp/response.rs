//! What responses say, whichever way they came.
//!
//! Owns the messages of a collector: partial success, `google.rpc.Status` and its
//! `RetryInfo`. What cannot be read says nothing.

use throughline_wire::read::{self, FieldValue};

use crate::exporter::{ExportError, Receipt};

/// The largest response that is read, from the OTLP specification.
pub(super) const MAX_RESPONSE_BYTES: usize = 4 << 20;

pub(super) fn too_large(from: &str) -> ExportError {
    let message = format!("{from}: the response exceeds {MAX_RESPONSE_BYTES} bytes");
    ExportError::permanent("response_too_large", message)
}

/// Reads an `ExportTraceServiceResponse`, or that of another signal: they are alike.
pub(super) fn receipt(body: &[u8]) -> Receipt {
    let Some(partial) = message_field(body, 1) else {
        return Receipt::complete();
    };
    let rejected = u64::try_from(number_field(partial, 1)).unwrap_or(0);
    Receipt::partial(rejected, text_field(partial, 2))
}

/// The words of a `google.rpc.Status`.
pub(super) fn status_message(status: &[u8]) -> String {
    text_field(status, 2)
}

/// The wait that the `RetryInfo` of a `google.rpc.Status` asks for: none when there
/// is no such detail, zero when it names no wait.
#[cfg(feature = "grpc")]
pub(super) fn retry_info(status: &[u8]) -> Option<std::time::Duration> {
    use std::time::Duration;
    messages(status, 3)
        .filter(|detail| text_field(detail, 1).ends_with("/google.rpc.RetryInfo"))
        .map(|detail| {
            let info = message_field(detail, 2).unwrap_or_default();
            let delay = message_field(info, 1).unwrap_or_default();
            let seconds = u64::try_from(number_field(delay, 1)).unwrap_or(0);
            let nanos = u32::try_from(number_field(delay, 2)).unwrap_or(0);
            Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()))
        })
        .max()
}

/// The same as [`receipt`], in JSON.
#[cfg(feature = "json")]
pub(super) fn json_receipt(body: &[u8]) -> Receipt {
    use serde_json::Value;
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let partial = &body["partialSuccess"];
    let rejected = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"]
        .iter()
        .find_map(|name| match &partial[name] {
            // 64-bit integers are strings, but not everybody knows.
            Value::String(count) => count.parse().ok(),
            count => count.as_u64(),
        });
    let message = partial["errorMessage"].as_str().unwrap_or_default();
    Receipt::partial(rejected.unwrap_or(0), message)
}

/// The same as [`status_message`], in JSON.
#[cfg(feature = "json")]
pub(super) fn json_status_message(status: &[u8]) -> String {
    let status: serde_json::Value = serde_json::from_slice(status).unwrap_or_default();
    status["message"].as_str().unwrap_or_default().to_owned()
}

/// Nobody answers in JSON who was not asked in it.
#[cfg(not(feature = "json"))]
pub(super) fn json_receipt(_: &[u8]) -> Receipt {
    Receipt::complete()
}

#[cfg(not(feature = "json"))]
pub(super) fn json_status_message(_: &[u8]) -> String {
    String::new()
}

fn messages(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    read::fields(message)
        .map_while(Result::ok)
        .filter_map(move |field| match field.value {
            FieldValue::Len(bytes) if field.number == number => Some(bytes),
            _ => None,
        })
}

fn message_field(message: &[u8], number: u32) -> Option<&[u8]> {
    messages(message, number).last()
}

fn text_field(message: &[u8], number: u32) -> String {
    let bytes = message_field(message, number).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

fn number_field(message: &[u8], number: u32) -> i64 {
    read::fields(message)
        .map_while(Result::ok)
        .filter_map(|field| match field.value {
            FieldValue::Varint(value) if field.number == number => Some(value.cast_signed()),
            _ => None,
        })
        .last()
        .unwrap_or(0)
}
