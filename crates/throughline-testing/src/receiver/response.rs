//! What a receiver answers when a test scripts it.
//!
//! Owns the description of an answer; `server` carries it out.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;

/// One scripted answer, for [`OtlpReceiver::respond_with`](crate::OtlpReceiver::respond_with).
///
/// A request answered with 2xx counts as accepted: its spans are kept. Any other status, and a dropped connection,
/// leave them out.
///
/// ```
/// use std::time::Duration;
/// use throughline_testing::{OtlpReceiver, Response};
///
/// let receiver = OtlpReceiver::start()?;
/// receiver.respond_with([
///     Response::new(503).header("retry-after", "1"),
///     Response::drop_connection(),
///     Response::ok().delay(Duration::from_millis(50)),
/// ]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "an answer is given only by a receiver it is scripted for"]
pub struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) delay: Duration,
    pub(super) drop_connection: bool,
}

impl Response {
    /// An answer with this status and an empty body.
    ///
    /// # Panics
    ///
    /// If there can be no such final status: it must lie between 200 and 999.
    pub fn new(status: u16) -> Self {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| !status.is_informational())
            .expect("the status of a scripted response lies between 200 and 999");
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
            drop_connection: false,
        }
    }

    /// Full success.
    pub fn ok() -> Self {
        Self::new(200)
    }

    /// Success, but for some spans: status 200 with the partial success message of OTLP.
    ///
    /// The receiver keeps all spans nevertheless, because it cannot know which ones are meant.
    pub fn partial_success(rejected_spans: i64, message: &str) -> Self {
        let response = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans,
                error_message: message.to_owned(),
            }),
        };
        Self::ok().body(response.encode_to_vec())
    }

    /// No answer at all: the connection is closed once the request was read.
    pub fn drop_connection() -> Self {
        Self {
            drop_connection: true,
            ..Self::ok()
        }
    }

    /// Adds a header.
    ///
    /// # Panics
    ///
    /// If name or value cannot stand in an HTTP message.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name =
            HeaderName::try_from(name).expect("the header name of a scripted response is valid");
        let value =
            HeaderValue::try_from(value).expect("the header value of a scripted response is valid");
        self.headers.append(name, value);
        self
    }

    /// Sets the body. Unless a header says otherwise it is sent as protobuf.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Bytes::from(body.into());
        self
    }

    /// Waits between reading the request and answering. If the sender gives up meanwhile, the request does not count
    /// as accepted.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Whether it tells the sender that its spans were accepted.
    pub(super) fn is_accepting(&self) -> bool {
        self.status.is_success() && !self.drop_connection
    }

    pub(super) fn into_http(self) -> http::Response<http_body_util::Full<Bytes>> {
        let mut response = http::Response::new(http_body_util::Full::new(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
            .headers_mut()
            .entry(header::CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(super::server::PROTOBUF));
        response
    }
}
