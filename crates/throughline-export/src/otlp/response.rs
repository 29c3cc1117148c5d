//! What responses say, whichever way they came.
//!
//! Owns the messages of a collector: partial success, `google.rpc.Status` and its
//! `RetryInfo`; and what it means to get no response at all. What cannot be read
//! says nothing.

use std::error::Error;

use throughline_wire::read::{self, FieldValue};

use crate::connect::ConnectError;
use crate::exporter::{ExportError, Receipt};
use crate::text::{cause, chain};

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

/// Makes an error of a request that got no response.
pub(super) fn no_response(error: hyper_util::client::legacy::Error) -> ExportError {
    if let Some(connect) = find::<ConnectError>(&error) {
        let error_type = connect.error_type;
        return ExportError::unreachable(error_type, cause(&error)).with_source(error);
    }
    broken_off(Box::new(error))
}

/// Makes an error of an exchange that ended before its status came.
pub(super) fn broken_off(error: Box<dyn Error + Send + Sync>) -> ExportError {
    let cause = &*error as &(dyn Error + 'static);
    let said = crate::text::cause(cause);
    let http = find::<hyper::Error>(cause);
    if is_tls(cause) {
        // The other side looks at a certificate of ours after our own handshake.
        ExportError::unreachable("tls", said)
    } else if http.is_some_and(|error| error.is_parse() || error.is_parse_too_large())
        || is_not_http2(cause)
    {
        ExportError::permanent("not_http", format!("no http response: {said}"))
    } else if http.is_some_and(|error| error.is_incomplete_message() || error.is_canceled()) {
        ExportError::transient("closed", "the connection was closed without a response")
    } else {
        ExportError::transient("io", said)
    }
    .with_source(error)
}

/// Whether what came was against the protocol.
#[cfg(feature = "grpc")]
fn is_not_http2(error: &(dyn Error + 'static)) -> bool {
    find::<h2::Error>(error).is_some_and(|error| error.is_library() && !error.is_io())
}

#[cfg(not(feature = "grpc"))]
fn is_not_http2(_: &(dyn Error + 'static)) -> bool {
    false
}

#[cfg(feature = "tls")]
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    find::<rustls::Error>(error).is_some()
}

#[cfg(not(feature = "tls"))]
fn is_tls(_: &(dyn Error + 'static)) -> bool {
    false
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref())
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
