//! OTLP over gRPC.
//!
//! Owns the requests and the reading of responses: which outcome a status means. A
//! request is a message already, so tonic's codec only frames it. The response is
//! read here and not by tonic's client, which reports a response that is too large
//! by codes that would have the batch sent again or split, and panics over details
//! that are not base64.

use bytes::{BufMut, Bytes};
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use tonic::codec::{CompressionEncoding, EncodeBody, EncodeBuf, Encoder};
use tonic::codegen::tokio_stream;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::connect::body::{Read, ReadError};
use crate::connect::client::HttpClient;
use crate::connect::failure::{broken_off, no_response};
use crate::connect::proxy::ProxySettings;
use crate::connect::{self, Connector};
use crate::endpoint::Endpoint;
use crate::error::StartError;
use crate::exporter::{ExportError, Receipt};

use super::Compression;
use super::client::PRODUCT;
use super::options::OtlpOptions;
use super::response::{MAX_RESPONSE_BYTES, receipt, retry_info, too_large};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: &str = "grpc-status-details-bin";

/// A flag that tells whether the message is compressed, and its length.
const FRAME_HEADER_BYTES: usize = 5;

/// Calls one method. The connection is kept open.
pub(super) struct GrpcTransport {
    uri: Uri,
    headers: HeaderMap,
    compression: Option<CompressionEncoding>,
    client: HttpClient<tonic::body::Body>,
}

impl GrpcTransport {
    pub(super) fn new(
        endpoint: &Endpoint,
        options: &OtlpOptions,
        proxies: &ProxySettings,
    ) -> Result<Self, StartError> {
        let connector = Connector::new(endpoint, connect::Version::Http2, &options.tls, proxies)?;
        let compression = options.compression.unwrap_or_default();
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
        if let Some(encoding) = compression.encoding() {
            headers.insert(GRPC_ENCODING, encoding);
        }
        Ok(Self {
            uri: endpoint.uri().clone(),
            headers,
            compression: match compression {
                Compression::None => None,
                #[cfg(feature = "gzip")]
                Compression::Gzip => Some(CompressionEncoding::Gzip),
                #[cfg(feature = "zstd")]
                Compression::Zstd => Some(CompressionEncoding::Zstd),
                #[cfg(not(all(feature = "gzip", feature = "zstd")))]
                _ => None,
            },
            client: HttpClient::new(connector),
        })
    }

    pub(super) async fn send(&mut self, request: &Bytes) -> Result<Receipt, ExportError> {
        let message = tokio_stream::once(Ok(request.clone()));
        let body = EncodeBody::new_client(Encoded, message, self.compression, None);
        let mut request = Request::new(tonic::body::Body::new(body));
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

/// Passes on a message that is encoded already.
struct Encoded;

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, frame: &mut EncodeBuf<'_>) -> Result<(), Status> {
        frame.put(message);
        Ok(())
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

/// The message in a frame that is not compressed, since nobody asked for that.
pub(crate) fn message(body: &[u8]) -> &[u8] {
    match body {
        [0, a, b, c, d, rest @ ..] => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            usize::try_from(length)
                .ok()
                .and_then(|length| rest.get(..length))
                .unwrap_or_default()
        }
        _ => &[],
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
