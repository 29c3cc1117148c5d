//! OTLP over HTTP with protobuf bodies.
//!
//! Owns the requests and the reading of responses: which outcome a status, a
//! body or a broken connection means. Retrying, timeouts and counting are the
//! pipeline's.

use std::error::Error;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use throughline_wire::read::{self, FieldValue};

use crate::endpoint::Endpoint;
use crate::exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter};
use crate::headers::Headers;
use crate::retry::{is_transient_status, retry_after};
use crate::text::cause;

/// The largest response that is read, from the OTLP specification.
const MAX_RESPONSE_BYTES: usize = 4 << 20;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

const PRODUCT: HeaderValue = HeaderValue::from_static(concat!(
    "throughline/",
    env!("CARGO_PKG_VERSION"),
    " OTel-OTLP-Exporter-Rust/",
    env!("CARGO_PKG_VERSION")
));

/// Sends batches to a collector. Its connection is made with the first batch and
/// kept open.
pub(crate) struct OtlpHttpExporter {
    endpoint: Endpoint,
    headers: HeaderMap,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl OtlpHttpExporter {
    /// The endpoint must be an `http` one.
    pub(crate) fn new(endpoint: Endpoint, headers: &Headers) -> Self {
        let mut all = HeaderMap::new();
        all.insert(USER_AGENT, PRODUCT);
        all.extend(headers.as_map().clone());
        // What the body is, is not for users to say.
        all.insert(CONTENT_TYPE, PROTOBUF);

        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            // Batches are sent one after another.
            .pool_max_idle_per_host(1)
            .build(connector);
        Self {
            endpoint,
            headers: all,
            client,
        }
    }

    async fn send(&self, batch: Batch) -> Result<Receipt, ExportError> {
        let mut request = Request::new(Full::new(batch.request().clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.uri().clone();
        *request.headers_mut() = self.headers.clone();
        match self.client.request(request).await {
            Ok(response) => outcome(response).await,
            Err(error) => Err(no_response(error)),
        }
    }
}

impl SpanExporter for OtlpHttpExporter {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        Box::pin(self.send(batch))
    }

    fn destination(&self) -> String {
        self.endpoint.to_string()
    }
}

/// Reads the response, whose status alone decides between success and failure.
async fn outcome(response: Response<Incoming>) -> Result<Receipt, ExportError> {
    let (head, body) = response.into_parts();
    let body = match Limited::new(body, MAX_RESPONSE_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(ExportError::permanent(
                "response_too_large",
                format!(
                    "{}: the response exceeds {MAX_RESPONSE_BYTES} bytes",
                    head.status
                ),
            ));
        }
        // The status has come, and it stands whatever else got lost.
        Err(_) => Bytes::new(),
    };
    let protobuf = head
        .headers
        .get(CONTENT_TYPE)
        .is_none_or(|content_type| content_type.as_bytes().starts_with(PROTOBUF.as_bytes()));
    let body: &[u8] = if protobuf { &body } else { &[] };
    if head.status.is_success() {
        Ok(receipt(body))
    } else {
        Err(refusal(head.status, &head.headers, body))
    }
}

/// Reads an `ExportTraceServiceResponse`. What cannot be read says nothing.
pub(crate) fn receipt(body: &[u8]) -> Receipt {
    let Some(partial) = message_field(body, 1) else {
        return Receipt::complete();
    };
    let rejected = read::fields(partial)
        .map_while(Result::ok)
        .filter_map(|field| match (field.number, field.value) {
            (1, FieldValue::Varint(count)) => Some(count.cast_signed()),
            _ => None,
        })
        .last()
        .and_then(|count| u64::try_from(count).ok())
        .unwrap_or(0);
    Receipt::partial(rejected, text_field(partial, 2))
}

/// Makes an error of a status, with the words of the `Status` message in the body.
pub(crate) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ExportError {
    let said = text_field(body, 2);
    let message = match said.is_empty() {
        true => status.to_string(),
        false => format!("{status}: {said}"),
    };
    let error = ExportError::status(
        status.as_u16(),
        is_transient_status(status.as_u16()),
        message,
    );
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
fn no_response(error: hyper_util::client::legacy::Error) -> ExportError {
    let said = cause(&error);
    let protocol = find::<hyper::Error>(&error);
    if error.is_connect() {
        ExportError::unreachable("connect", said)
    } else if protocol.is_some_and(|error| error.is_parse() || error.is_parse_too_large()) {
        ExportError::permanent("not_http", format!("no http response: {said}"))
    } else if protocol.is_some_and(|error| error.is_incomplete_message() || error.is_canceled()) {
        ExportError::transient("closed", "the connection was closed without a response")
    } else {
        ExportError::transient("io", said)
    }
    .with_source(error)
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref())
}

fn message_field(message: &[u8], number: u32) -> Option<&[u8]> {
    read::fields(message)
        .map_while(Result::ok)
        .filter_map(|field| match field.value {
            FieldValue::Len(bytes) if field.number == number => Some(bytes),
            _ => None,
        })
        .last()
}

fn text_field(message: &[u8], number: u32) -> String {
    let bytes = message_field(message, number).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
