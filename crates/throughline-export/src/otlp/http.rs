//! OTLP over HTTP, with protobuf or JSON bodies.
//!
//! Owns the requests and the reading of responses: which outcome a status, a
//! body or a broken connection means.

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, PROXY_AUTHORIZATION, USER_AGENT,
};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use crate::connect::body::{Read, ReadError};
use crate::connect::client::HttpClient;
use crate::connect::failure::{no_response, refusal};
use crate::connect::proxy::ProxySettings;
use crate::connect::{Connector, Version};
use crate::endpoint::Endpoint;
use crate::error::StartError;
use crate::exporter::{ExportError, Receipt};

use super::client::{PRODUCT, check_size};
use super::compress::{Decompressed, gunzip};
use super::options::OtlpOptions;
use super::response::{
    MAX_RESPONSE_BYTES, json_receipt, json_status_message, receipt, status_message, too_large,
};
use super::{Compression, Protocol, Signal};

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Sends requests to one URL. The connection is kept open.
pub(super) struct HttpTransport {
    uri: Uri,
    headers: HeaderMap,
    /// Makes JSON of protobuf.
    translate: Option<Translate>,
    compression: Compression,
    client: HttpClient<Full<Bytes>>,
    /// The last request that failed and the body that was made of it: to send it
    /// again is to send the same bytes.
    prepared: Option<(Bytes, Bytes)>,
}

impl HttpTransport {
    pub(super) fn new(
        endpoint: &Endpoint,
        signal: Signal,
        options: &OtlpOptions,
        proxies: &ProxySettings,
    ) -> Result<Self, StartError> {
        let connector = Connector::new(endpoint, Version::Http1, &options.tls, proxies)?;
        let compression = options.compression.unwrap_or_default();
        let translate = match options.protocol {
            Some(Protocol::HttpJson) => Some(translation(signal)?),
            _ => None,
        };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, PRODUCT);
        headers.extend(options.headers.as_map().clone());
        // What the body is, is not for users to say.
        headers.insert(CONTENT_TYPE, translate.map_or(PROTOBUF, |_| JSON));
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
            translate,
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
        let response = self.client.exchange(request, MAX_RESPONSE_BYTES).await;
        let (head, body) = response.map_err(no_response)?;
        outcome(&head, body)
    }

    /// What is sent for a request.
    fn body(&mut self, request: &Bytes) -> Result<Bytes, ExportError> {
        if self.translate.is_none() && self.compression == Compression::None {
            return Ok(request.clone());
        }
        match &self.prepared {
            // The clone keeps the place from being used again.
            Some((same, body)) if same.as_ptr() == request.as_ptr() && same == request => {
                Ok(body.clone())
            }
            _ => {
                let body = match self.translate {
                    Some(translate) => translate(request)?,
                    None => request.clone(),
                };
                check_size(&body)?;
                let body = self.compression.compress(body)?;
                self.prepared = Some((request.clone(), body.clone()));
                Ok(body)
            }
        }
    }
}

type Translate = fn(&[u8]) -> Result<Bytes, ExportError>;

#[cfg(feature = "json")]
fn translation(signal: Signal) -> Result<Translate, StartError> {
    match signal {
        Signal::Traces => Ok(crate::json::trace_request),
        Signal::Metrics => Ok(crate::json::metrics_request),
        Signal::Logs => Err(StartError::unsupported(
            "protocol http/json is there for traces and metrics only",
        )),
    }
}

#[cfg(not(feature = "json"))]
fn translation(_: Signal) -> Result<Translate, StartError> {
    Err(super::client::missing("http/json", "json"))
}

/// Reads the response, whose status alone decides between success and failure.
fn outcome(head: &Parts, body: Result<Read, ReadError>) -> Result<Receipt, ExportError> {
    let from = head.status.to_string();
    let body = match body {
        Ok(body) => body.bytes,
        Err(ReadError::TooLarge) => return Err(too_large(&from)),
        // The status has come, and it stands whatever else got lost.
        Err(ReadError::Broken(_)) => Bytes::new(),
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
    let (receipt, said) = read(head.headers.get(CONTENT_TYPE), &body);
    if head.status.is_success() {
        Ok(receipt)
    } else {
        Err(refusal(head.status, &head.headers, &said))
    }
}

/// What a body says in case of success, and in case of failure.
pub(crate) fn read(content_type: Option<&HeaderValue>, body: &[u8]) -> (Receipt, String) {
    let is = |kind: &HeaderValue| {
        content_type.is_none_or(|given| given.as_bytes().starts_with(kind.as_bytes()))
    };
    if is(&PROTOBUF) {
        (receipt(body), status_message(body))
    } else if is(&JSON) {
        (json_receipt(body), json_status_message(body))
    } else {
        (Receipt::complete(), String::new())
    }
}

#[cfg(test)]
mod tests;
