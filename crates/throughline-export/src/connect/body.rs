//! Reads the body of a response up to a limit.

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};

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
    Broken(
        #[cfg_attr(not(feature = "grpc"), expect(dead_code, reason = "only gRPC asks"))]
        Box<dyn std::error::Error + Send + Sync>,
    ),
}

/// Reads a body of at most `limit` bytes. Dropping the rest of it closes what it
/// comes over.
pub(crate) async fn read(body: Incoming, limit: usize) -> Result<Read, ReadError> {
    // Who announces too much is not listened to, which spares the memory for it.
    if body.size_hint().lower() > limit as u64 {
        return Err(ReadError::TooLarge);
    }
    match Limited::new(body, limit).collect().await {
        Ok(read) => {
            let trailers = read.trailers().cloned();
            let bytes = read.to_bytes();
            Ok(Read { bytes, trailers })
        }
        Err(error) if error.is::<LengthLimitError>() => Err(ReadError::TooLarge),
        Err(error) => Err(ReadError::Broken(error)),
    }
}
