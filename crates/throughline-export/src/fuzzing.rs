//! Doors to what reads text and bytes of unknown origin, for the fuzz targets.
//!
//! Compiled for those (`--cfg fuzzing`) and for the tests of this crate, so that
//! nobody can come to depend on it and no change leaves a door behind.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use http::HeaderValue;

use crate::console::ConsoleExporter;
use crate::exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter};
use crate::settings::Settings;
use crate::split::Parts;
use crate::{otlp, retry};

/// Reads all variables from an environment and returns the warnings about it.
pub fn settings(lookup: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    Settings::from_env(lookup).1
}

/// What the console shows of a request.
///
/// # Errors
///
/// The request is malformed.
pub fn console(request: &[u8]) -> Result<String, ExportError> {
    let mut picture = Vec::new();
    let mut console = ConsoleExporter::new(&mut picture);
    now(console.export(Batch::new(request.to_vec().into(), 1)))?;
    now(console.flush())?;
    Ok(String::from_utf8_lossy(&picture).into_owned())
}

/// A request in JSON.
///
/// # Errors
///
/// The request is malformed.
#[cfg(feature = "json")]
pub fn json(request: &[u8]) -> Result<Vec<u8>, ExportError> {
    crate::json::trace_request(request).map(Vec::from)
}

/// The spans of a request for Zipkin.
///
/// # Errors
///
/// The request is malformed.
#[cfg(feature = "zipkin")]
pub fn zipkin(request: &[u8]) -> Result<Vec<u8>, ExportError> {
    crate::zipkin::encode::spans(request)
}

/// What a `Retry-After` header asks for.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    retry::retry_after(value, now)
}

/// Reads the body of a response over HTTP.
pub fn http_response(content_type: &'static str, body: &[u8]) -> (Receipt, String) {
    otlp::http::read(Some(&HeaderValue::from_static(content_type)), body)
}

/// Reads a response over gRPC: that of a success, and that of a refusal.
#[cfg(feature = "grpc")]
pub fn grpc_response(headers: &http::HeaderMap, body: &[u8]) -> (Receipt, ExportError) {
    use otlp::grpc::{details, message, refusal, words};
    let code = headers.get("grpc-status").map(HeaderValue::as_bytes);
    let code = tonic::Code::from_bytes(code.unwrap_or_default());
    let receipt = otlp::http::read(None, message(body)).0;
    (receipt, refusal(code, words(headers), &details(headers)))
}

/// Sends a request of so many spans in parts to somebody who takes up to so many bytes,
/// and returns the parts in the order in which nothing more was done to them: those that
/// were taken, and those that could not be made smaller.
pub fn split(request: &[u8], spans: u64, most_bytes: usize) -> Vec<Vec<u8>> {
    let mut parts = Parts::of(&Batch::new(request.to_vec().into(), spans));
    let mut done = Vec::new();
    while let Some(part) = parts.next() {
        if part.batch.request().len() <= most_bytes || !parts.halve(&part) {
            done.push(part.batch.request().to_vec());
        }
    }
    done
}

/// Why a compressed response has no body.
#[cfg(feature = "gzip")]
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// It has more bytes than the limit.
    TooLarge,
    /// It is not gzip, or is cut short.
    Unreadable,
}

/// Decompresses the body of a response.
///
/// # Errors
///
/// There is none.
#[cfg(feature = "gzip")]
pub fn gunzip(body: &[u8], limit: usize) -> Result<Vec<u8>, Unread> {
    use otlp::compress::{Decompressed, gunzip};
    match gunzip(body, limit) {
        Decompressed::Body(body) => Ok(body),
        Decompressed::TooLarge => Err(Unread::TooLarge),
        Decompressed::Unreadable => Err(Unread::Unreadable),
    }
}

/// The outcome of a future that has nothing to wait for.
fn now(mut future: ExportFuture<'_>) -> Result<Receipt, ExportError> {
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("it only writes to memory"),
    }
}
