//! OTLP over gRPC.
//!
//! Owns the requests and the reading of responses: which outcome a status means. A
//! request is a message already, which only has to be [framed](frame): tonic's codec
//! would copy it, and compress it at a level that takes two to three times as long. The
//! response is read here and not by tonic's client, which reports a response that is
//! too large by codes that would have the batch sent again or split, and panics over
//! details that are not base64.

mod frame; // a message among others

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use tonic::Code;
use tonic::metadata::MetadataMap;

use crate::connect::body::{Read, ReadError};
use crate::connect::client::HttpClient;
use crate::connect::failure::{broken_off, no_response};
use crate::connect::proxy::ProxySettings;
use crate::connect::{self, Connector};
use crate::endpoint::Endpoint;
use crate::error::StartError;
use crate::exporter::{ExportError, Receipt};

use super::client::PRODUCT;
use super::options::OtlpOptions;
use super::response::{MAX_RESPONSE_BYTES, receipt, retry_info, too_large};
pub(crate) use frame::message;
use frame::{FRAME_HEADER_BYTES, Framed};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: &str = "grpc-status-details-bin";

/// Calls one method. The connection is kept open.
pub(super) struct GrpcTransport {
    uri: Uri,
    headers: HeaderMap,
    client: HttpClient<Framed>,
}

impl GrpcTransport {
    pub(super) fn new(
        endpoint: &Endpoint,
        options: &OtlpOptions,
        proxies: &ProxySettings,
    ) -> Result<Self, StartError> {
        let connector = Connector::new(endpoint, connect::Version::Http2, &options.tls, proxies)?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, PRODUCT);
        headers.extend(options.headers.as_map().clone());
        // What the protocol says, is not for users to say.
        let reserved: Vec<HeaderName> = headers
            .keys()
            .filter(|name| name.as_str().starts_with("grpc-"))
            .cloned()
            .collect();
        for name in reserved {
            headers.remove(name);
        }
        headers.insert(CONTENT_TYPE, GRPC);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if let Some(encoding) = options.compression.unwrap_or_default().encoding() {
            headers.insert(GRPC_ENCODING, encoding);
        }
        Ok(Self {
            uri: endpoint.uri().clone(),
            headers,
            client: HttpClient::new(connector),
        })
    }

    /// Sends what was prepared of a request.
    pub(super) async fn send(&mut self, body: Bytes) -> Result<Receipt, ExportError> {
        let is_compressed = self.headers.contains_key(GRPC_ENCODING);
        let mut request = Request::new(Framed::new(body, is_compressed)?);
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let limit = MAX_RESPONSE_BYTES + FRAME_HEADER_BYTES;
        let response = self.client.exchange(request, limit).await;
        let (head, body) = response.map_err(no_response)?;
        outcome(&head, body)
    }
}

/// Reads the response, whose gRPC status alone decides between success and failure.
fn outcome(head: &Parts, body: Result<Read, ReadError>) -> Result<Receipt, ExportError> {
    let (body, trailers) = match body {
        Ok(read) => (read.bytes, read.trailers),
        Err(ReadError::TooLarge) => return Err(too_large("grpc")),
        // The status comes last unless it comes at once.
        Err(ReadError::Broken(error)) if !head.headers.contains_key(GRPC_STATUS) => {
            return Err(broken_off(error));
        }
        Err(ReadError::Broken(_)) => (Bytes::new(), None),
    };
    let status = [trailers.as_ref(), Some(&head.headers)]
        .into_iter()
        .flatten()
        .find_map(|headers| Some((headers.get(GRPC_STATUS)?, headers)));
    match status {
        None => {
            let message = format!("no grpc status, but http status {}", head.status);
            Err(refusal(code_of(head.status), message, &[]))
        }
        Some((code, headers)) => match Code::from_bytes(code.as_bytes()) {
            Code::Ok => Ok(receipt(message(&body))),
            code => Err(refusal(code, words(headers), &details(headers))),
        },
    }
}

pub(crate) fn words(headers: &HeaderMap) -> String {
    let bytes = headers.get(GRPC_MESSAGE).map(HeaderValue::as_bytes);
    percent_encoding::percent_decode(bytes.unwrap_or_default())
        .decode_utf8_lossy()
        .into_owned()
}

/// The `google.rpc.Status` with what does not go into a code and a text.
pub(crate) fn details(headers: &HeaderMap) -> Bytes {
    MetadataMap::from_headers(headers.clone())
        .get_bin(GRPC_STATUS_DETAILS)
        .and_then(|value| value.to_bytes().ok())
        .unwrap_or_default()
}

/// What the OTLP specification says to do about a code.
pub(crate) fn refusal(code: Code, said: String, details: &[u8]) -> ExportError {
    let name = name(code);
    let message = match said.is_empty() {
        true => name.to_owned(),
        false => format!("{name}: {said}"),
    };
    let wait = retry_info(details);
    let error = match code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => ExportError::transient(name, message),
        Code::ResourceExhausted if wait.is_some() => ExportError::transient(name, message),
        // Without a word about later, it is the size.
        Code::ResourceExhausted => ExportError::too_large(name, message),
        _ => ExportError::permanent(name, message),
    };
    match wait {
        Some(wait) if error.is_transient() => error.with_retry_after(wait),
        _ => error,
    }
}

/// The code of a response from somebody who does not speak gRPC, such as a proxy,
/// from gRPC's mapping of HTTP statuses.
fn code_of(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests;
