//! Reads the body of a response up to a limit.

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
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

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(mut body: Incoming, limit: usize) -> Result<Read, ReadError> {
    // Who announces too much is not listened to, which spares the memory for it.
    if body.size_hint().lower() > limit as u64 {
        return Err(ReadError::TooLarge);
    }
    let (mut pieces, mut length) = (Vec::<Vec<u8>>::new(), 0);
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let data = match frame
            .map_err(|error| ReadError::Broken(error.into()))?
            .into_data()
        {
            Ok(data) => data,
            Err(frame) => {
                trailers = frame.into_trailers().ok();
                continue;
            }
        };
        length += data.len();
        if length > limit {
            return Err(ReadError::TooLarge);
        }
        keep(&mut pieces, &data);
    }
    let bytes = match pieces.len() {
        0 | 1 => pieces.pop().unwrap_or_default().into(),
        _ => pieces.concat().into(),
    };
    Ok(Read { bytes, trailers })
}

/// Adds a copy of a frame: the frame itself may hold a read buffer many times its size.
fn keep(pieces: &mut Vec<Vec<u8>>, data: &[u8]) {
    match pieces.last_mut() {
        Some(piece) if piece.capacity() - piece.len() >= data.len() => {
            piece.extend_from_slice(data);
        }
        _ => {
            let mut piece = Vec::with_capacity(data.len().max(PIECE_BYTES));
            piece.extend_from_slice(data);
            pieces.push(piece);
        }
    }
}

/// What a body is gathered in: most answers are smaller.
const PIECE_BYTES: usize = 4 << 10;
