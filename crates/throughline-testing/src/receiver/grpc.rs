//! The framing and the statuses of gRPC, as far as unary calls need them.
//!
//! Owns the bytes of `grpc-status-details-bin` and of one frame. It must not know what is called.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use prost::Message;

/// The path of the one call that OTLP has for traces.
pub(super) const TRACES_CALL: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(super) const CONTENT_TYPE: &str = "application/grpc";

/// The bytes before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// The status that ends a call.
#[derive(Clone, Debug, Default)]
pub(super) struct CallStatus {
    pub(super) code: u32,
    pub(super) message: String,
    pub(super) retry_delay: Option<Duration>,
}

impl CallStatus {
    /// The trailers that say it.
    pub(super) fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(self.code));
        if let Ok(message) = HeaderValue::from_str(&self.message)
            && !self.message.is_empty()
        {
            trailers.insert("grpc-message", message);
        }
        if let Some(details) = self.details()
            && let Ok(details) = HeaderValue::from_str(&STANDARD_NO_PAD.encode(details))
        {
            trailers.insert("grpc-status-details-bin", details);
        }
        trailers
    }

    fn details(&self) -> Option<Vec<u8>> {
        let delay = self.retry_delay?;
        let retry_info = RetryInfo {
            retry_delay: Some(ProtoDuration {
                seconds: delay.as_secs().try_into().unwrap_or(i64::MAX),
                nanos: delay.subsec_nanos().cast_signed(),
            }),
        };
        let status = RpcStatus {
            code: self.code.cast_signed(),
            message: self.message.clone(),
            details: vec![Any {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
                value: retry_info.encode_to_vec(),
            }],
        };
        Some(status.encode_to_vec())
    }
}

/// One message with its prefix, which says whether it is compressed.
pub(super) fn frame(message: &[u8], compressed: bool) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(u8::from(compressed));
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// The one message of a call, and whether it is compressed.
pub(super) fn unframe(body: &Bytes) -> Result<(Bytes, bool), String> {
    let prefix = body
        .first_chunk::<PREFIX_BYTES>()
        .ok_or("a gRPC message without its prefix")?;
    let [compressed, length @ ..] = *prefix;
    let message = body.slice(PREFIX_BYTES..);
    if message.len() != u32::from_be_bytes(length) as usize {
        return Err(format!(
            "a gRPC message of {} bytes that says it has {}",
            message.len(),
            u32::from_be_bytes(length)
        ));
    }
    Ok((message, compressed == 1))
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}
