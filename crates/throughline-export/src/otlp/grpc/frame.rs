//! The frames of gRPC's messages: "Length-Prefixed-Message" of the protocol.
//!
//! A call has one message each way. It goes into its frame as it is, without a copy.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, buf};
use hyper::body::{Body, Frame};

use crate::exporter::ExportError;

/// A flag that tells whether the message is compressed, and its length.
pub(super) const FRAME_HEADER_BYTES: usize = 5;

/// The body of a request: one message in its frame.
pub(super) struct Framed(Option<buf::Chain<Bytes, Bytes>>);

impl Framed {
    /// # Errors
    ///
    /// The message is longer than a frame can say.
    pub(super) fn new(message: Bytes, is_compressed: bool) -> Result<Self, ExportError> {
        let Ok(length) = u32::try_from(message.len()) else {
            let said = format!("a message of {} bytes fits no frame", message.len());
            return Err(ExportError::too_large("request_too_large", said));
        };
        let mut header = [u8::from(is_compressed); FRAME_HEADER_BYTES];
        header[1..].copy_from_slice(&length.to_be_bytes());
        Ok(Self(Some(Bytes::copy_from_slice(&header).chain(message))))
    }
}

impl Body for Framed {
    type Data = buf::Chain<Bytes, Bytes>;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        Poll::Ready(self.0.take().map(|message| Ok(Frame::data(message))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
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
