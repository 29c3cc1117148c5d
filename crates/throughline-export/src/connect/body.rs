//! Reads the body of a response up to a limit.
//!
//! Whoever answers may send anything, for ever. What is read is copied out of the
//! frames as they come, so that no more than the limit is held at any time.

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// What was read.
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    #[cfg_attr(
        not(feature = "grpc"),
        expect(dead_code, reason = "only gRPC has them")
    )]
    pub(crate) trailers: Option<HeaderMap>,
}

/// Why there is no body.
pub(crate) enum ReadError {
    TooLarge,
    #[cfg_attr(not(feature = "grpc"), expect(dead_code, reason = "only gRPC asks"))]
    Broken(hyper::Error),
}

/// Reads a body of at most `limit` bytes. Dropping the rest of it closes what it
/// comes over.
pub(crate) async fn read(mut body: Incoming, limit: usize) -> Result<Read, ReadError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(ReadError::TooLarge);
    }
    let mut bytes = Vec::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        match frame.map_err(ReadError::Broken)?.into_data() {
            Ok(data) if data.len() > limit - bytes.len() => return Err(ReadError::TooLarge),
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    let bytes = bytes.into();
    Ok(Read { bytes, trailers })
}
