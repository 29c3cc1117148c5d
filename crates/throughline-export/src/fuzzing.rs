//! Doors to what reads text and bytes of unknown origin, for the fuzz targets.
//!
//! Compiled for those (`--cfg fuzzing`) and for the tests of this crate, so that
//! nobody can come to depend on it and no change leaves a door behind.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use crate::console::ConsoleExporter;
use crate::exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter};
use crate::settings::Settings;
use crate::{otlp_http, retry};

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

/// What a `Retry-After` header asks for.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    retry::retry_after(value, now)
}

/// Reads what stands in a response: that of a success, and that of a refusal.
pub fn response(status: u16, body: &[u8]) -> (Receipt, ExportError) {
    let status = http::StatusCode::from_u16(status).unwrap_or_default();
    let refusal = otlp_http::refusal(status, &http::HeaderMap::new(), body);
    (otlp_http::receipt(body), refusal)
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
