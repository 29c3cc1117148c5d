//! What a failed exchange over HTTP means for a batch: an error status, or no response
//! at all.

use std::error::Error;
use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use hyper_util::client::legacy;

use crate::exporter::ExportError;
use crate::retry::{is_transient_status, retry_after};
use crate::text::{cause, chain};

use super::ConnectError;

/// Makes an error of a status and what the other side says about it.
pub(crate) fn refusal(status: StatusCode, headers: &HeaderMap, said: &str) -> ExportError {
    let message = match said {
        "" => status.to_string(),
        said => format!("{status}: {said}"),
    };
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return ExportError::too_large("413", message);
    }
    let status = status.as_u16();
    let error = ExportError::status(status, is_transient_status(status), message);
    match asked_wait(headers) {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

/// The longest wait that any `Retry-After` header asks for.
#[expect(
    clippy::disallowed_methods,
    reason = "an HTTP date means wall-clock time"
)]
fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all(RETRY_AFTER)
        .iter()
        .filter_map(|value| retry_after(value.to_str().ok()?, SystemTime::now()))
        .max()
}

/// Makes an error of a request that got no response.
pub(crate) fn no_response(error: legacy::Error) -> ExportError {
    if let Some(connect) = find::<ConnectError>(&error) {
        let error_type = connect.error_type;
        return ExportError::unreachable(error_type, cause(&error)).with_source(error);
    }
    broken_off(Box::new(error))
}

/// Makes an error of an exchange that ended before its status came.
pub(crate) fn broken_off(error: Box<dyn Error + Send + Sync>) -> ExportError {
    let top = &*error as &(dyn Error + 'static);
    let said = cause(top);
    let http = find::<hyper::Error>(top);
    if is_tls(top) {
        // The other side looks at a certificate of ours after our own handshake.
        ExportError::unreachable("tls", said)
    } else if http.is_some_and(|error| error.is_parse() || error.is_parse_too_large())
        || is_not_http2(top)
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
