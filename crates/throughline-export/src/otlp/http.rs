//! OTLP over HTTP, with protobuf or JSON bodies.
//!
//! Owns the requests and the reading of responses: which outcome a status, a
//! body or a broken connection means.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, PROXY_AUTHORIZATION, RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::connect::client::HttpClient;
use crate::connect::proxy::ProxySettings;
use crate::connect::{Connector, Version};
use crate::endpoint::Endpoint;
use crate::error::StartError;
use crate::exporter::{ExportError, Receipt};
use crate::retry::{is_transient_status, retry_after};

use super::client::PRODUCT;
use super::compress::{Decompressed, gunzip};
use super::options::OtlpOptions;
use super::response::{MAX_RESPONSE_BYTES, no_response, receipt, status_message, too_large};
use super::{Compression, Protocol, Signal};

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Sends requests to one URL. The connection is kept open.
pub(super) struct HttpTransport {
    uri: Uri,
    headers: HeaderMap,
    compression: Compression,
    client: HttpClient<Full<Bytes>>,
    /// The last request that failed and the body that was made of it: to send it
    /// again is to send the same bytes.
    prepared: Option<(Bytes, Bytes)>,
}

impl HttpTransport {
    pub(super) fn new(
        endpoint: &Endpoint,
        _signal: Signal,
        options: &OtlpOptions,
        proxies: &ProxySettings,
    ) -> Result<Self, StartError> {
        let connector = Connector::new(endpoint, Version::Http1, &options.tls, proxies)?;
        let compression = options.compression.unwrap_or_default();
        if options.protocol == Some(Protocol::HttpJson) {
            return Err(super::client::missing("http/json", "json"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, PRODUCT);
        headers.extend(options.headers.as_map().clone());
        // What the body is, is not for users to say.
        headers.insert(CONTENT_TYPE, PROTOBUF);
        match compression.encoding() {
            Some(encoding) => headers.insert(CONTENT_ENCODING, encoding),
            None => headers.remove(CONTENT_ENCODING),
        };
        headers.remove(ACCEPT_ENCODING);
        if cfg!(feature = "gzip") {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(authorization) = connector.proxy_authorization() {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        Ok(Self {
            uri: endpoint.uri().clone(),
            headers,
            compression,
            client: HttpClient::new(connector),
            prepared: None,
        })
    }

    pub(super) async fn send(&mut self, request: &Bytes) -> Result<Receipt, ExportError> {
        let body = self.body(request)?;
        let result = self.exchange(body).await;
        if !result.as_ref().is_err_and(ExportError::is_transient) {
            self.prepared = None;
        }
        result
    }

    async fn exchange(&mut self, body: Bytes) -> Result<Receipt, ExportError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        self.client.exchange(request, no_response, outcome).await
    }

    /// What is sent for a request.
    fn body(&mut self, request: &Bytes) -> Result<Bytes, ExportError> {
        if self.compression == Compression::None {
            return Ok(request.clone());
        }
        match &self.prepared {
            // The clone keeps the place from being used again.
            Some((same, body)) if same.as_ptr() == request.as_ptr() && same == request => {
                Ok(body.clone())
            }
            _ => {
                let body = self.compression.compress(request.clone())?;
                self.prepared = Some((request.clone(), body.clone()));
                Ok(body)
            }
        }
    }
}

/// Reads the response, whose status alone decides between success and failure.
async fn outcome(response: Response<Incoming>) -> Result<Receipt, ExportError> {
    let (head, body) = response.into_parts();
    let from = head.status.to_string();
    let body = match Limited::new(body, MAX_RESPONSE_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large(&from)),
        // The status has come, and it stands whatever else got lost.
        Err(_) => Bytes::new(),
    };
    let body = match head.headers.get(CONTENT_ENCODING) {
        None => body,
        Some(encoding) if encoding == "identity" => body,
        Some(encoding) if encoding == "gzip" => match gunzip(&body, MAX_RESPONSE_BYTES) {
            Decompressed::Body(body) => body.into(),
            Decompressed::TooLarge => return Err(too_large(&from)),
            Decompressed::Unreadable => Bytes::new(),
        },
        // Nobody asked for it.
        Some(_) => Bytes::new(),
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

/// Makes an error of a status, with the words of the `Status` message in the body.
fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ExportError {
    let said = status_message(body);
    let message = match said.is_empty() {
        true => status.to_string(),
        false => format!("{status}: {said}"),
    };
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return ExportError::too_large("413", message);
    }
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

#[cfg(test)]
mod tests;
