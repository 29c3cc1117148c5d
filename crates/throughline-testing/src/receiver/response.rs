//! What a receiver answers when a test scripts it.
//!
//! Owns the description of an answer; `server` carries it out.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;

use super::body::{Pace, ScriptedBody};
use super::grpc::{self, CallStatus};

/// One scripted answer, for [`OtlpReceiver::respond_with`](crate::OtlpReceiver::respond_with).
///
/// A request answered with 2xx, and gRPC status 0, counts as accepted: its spans are kept. Any other status, and
/// every answer that is none, leaves them out.
///
/// The answers fit both protocols: a call over gRPC that is answered with status 200 gets the body as its message
/// and the [gRPC status](Self::grpc) as trailers; any other HTTP status is sent as it is. A message whose
/// `content-encoding` is given says that it is compressed in the way of gRPC.
///
/// ```
/// use std::time::Duration;
/// use throughline_testing::{OtlpReceiver, Response};
///
/// let receiver = OtlpReceiver::start()?;
/// receiver.respond_with([
///     Response::new(503).header("retry-after", "1"),
///     Response::drop_connection(),
///     Response::reset(),
///     Response::garbage("SSH-2.0-OpenSSH_9.9\r\n"),
///     Response::new(503).body("busy").slow_body(Duration::from_millis(10)),
///     Response::grpc(14, "try later").retry_info(Duration::from_secs(2)),
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
    pub(super) action: Action,
    pace: Pace,
    call: CallStatus,
}

/// What is done instead of, or to give, an answer.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Answer,
    /// FIN instead of an answer.
    Close,
    /// RST instead of an answer.
    Reset,
    /// FIN, but the requests are still read.
    HalfClose,
    /// Nothing, for ever.
    Stall,
    /// These bytes and then FIN.
    Raw(Bytes),
    /// The status, and headers for ever.
    EndlessHeaders,
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
            action: Action::Answer,
            pace: Pace::Whole,
            call: CallStatus::default(),
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

    /// A gRPC status: 0 is success, and codes beyond the known ones are sent as they are. Behind a message if there is
    /// a [body](Self::body), which only a success needs. It means nothing to a request that is not gRPC.
    pub fn grpc(code: u32, message: &str) -> Self {
        Self {
            call: CallStatus {
                code,
                message: message.to_owned(),
                retry_delay: None,
            },
            ..Self::ok()
        }
    }

    /// A body of a few kilobytes that gzip inflates to this many bytes of zeros.
    pub fn gzip_bomb(status: u16, inflated_bytes: usize) -> Self {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        let zeros = vec![0; 64 << 10];
        let mut left = inflated_bytes;
        while left > 0 {
            let piece = left.min(zeros.len());
            packed
                .write_all(&zeros[..piece])
                .expect("memory takes what is written");
            left -= piece;
        }
        let packed = packed.finish().expect("memory takes what is written");
        Self::new(status)
            .header("content-encoding", "gzip")
            .body(packed)
    }

    /// No answer at all: the connection is closed once the request was read.
    pub fn drop_connection() -> Self {
        Self::acting(Action::Close)
    }

    /// No answer at all: the connection is reset once the request was read.
    pub fn reset() -> Self {
        Self::acting(Action::Reset)
    }

    /// No answer at all: the receiver says that it will send nothing more, and goes on reading.
    pub fn half_close() -> Self {
        Self::acting(Action::HalfClose)
    }

    /// No answer at all, and the connection stays open.
    pub fn stall() -> Self {
        Self::acting(Action::Stall)
    }

    /// These bytes where an answer should be; then the connection is closed.
    pub fn garbage(bytes: impl Into<Vec<u8>>) -> Self {
        Self::acting(Action::Raw(Bytes::from(bytes.into())))
    }

    /// An answer of this status whose headers never end, in the version of HTTP of the request.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new) does.
    pub fn endless_headers(status: u16) -> Self {
        Self {
            action: Action::EndlessHeaders,
            ..Self::new(status)
        }
    }

    fn acting(action: Action) -> Self {
        Self {
            action,
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

    /// Sends the body byte by byte, with this pause before each.
    pub fn slow_body(mut self, pause: Duration) -> Self {
        self.pace = Pace::Slow(pause);
        self
    }

    /// Sends the body again and again, until the other side goes away.
    pub fn endless_body(mut self) -> Self {
        self.pace = Pace::Endless;
        self
    }

    /// Announces a longer body than it sends, and closes the connection where the rest should be.
    pub fn cut_body(mut self) -> Self {
        self.pace = Pace::Cut;
        self
    }

    /// Adds a `RetryInfo` to the [gRPC status](Self::grpc).
    pub fn retry_info(mut self, delay: Duration) -> Self {
        self.call.retry_delay = Some(delay);
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
        self.status.is_success() && self.call.code == 0 && matches!(self.action, Action::Answer)
    }

    pub(super) fn into_http(mut self, is_grpc: bool) -> http::Response<ScriptedBody> {
        let is_call = is_grpc && self.status == StatusCode::OK;
        let (body, trailers, content_type) = if is_call {
            let encoding = self.headers.remove(header::CONTENT_ENCODING);
            let body = match (self.call.code, self.body.is_empty()) {
                (1.., true) => Bytes::new(),
                _ => grpc::frame(&self.body, encoding.is_some()),
            };
            if let Some(encoding) = encoding {
                let name = HeaderName::from_static("grpc-encoding");
                self.headers.insert(name, encoding);
            }
            (body, Some(self.call.trailers()), grpc::CONTENT_TYPE)
        } else {
            (self.body, None, super::server::PROTOBUF)
        };
        if body.is_empty()
            && let Some(trailers) = &trailers
        {
            // Without a message, the status comes with the headers.
            self.headers.extend(trailers.clone());
        }
        let trailers = trailers.filter(|_| !body.is_empty());
        let mut response = http::Response::new(ScriptedBody::new(body, self.pace, trailers));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
            .headers_mut()
            .entry(header::CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(content_type));
        response
    }
}
