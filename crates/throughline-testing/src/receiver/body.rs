//! The body of an answer: whole, slow, endless or cut short, with the trailers of gRPC.
//!
//! Owns the frames of a body. It must not know why a script wants it so.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// How the bytes of a body go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Whole,
    /// Byte by byte.
    Slow(Duration),
    /// Over and over.
    Endless,
    /// Without its last byte, although the length says otherwise.
    Cut,
}

pub(super) struct ScriptedBody {
    bytes: Bytes,
    /// What the length header says, which a cut body does not keep.
    length: Option<u64>,
    pace: Pace,
    pause: Option<Pin<Box<Sleep>>>,
    trailers: Option<HeaderMap>,
}

impl ScriptedBody {
    pub(super) fn new(bytes: Bytes, pace: Pace, trailers: Option<HeaderMap>) -> Self {
        let length = match pace {
            Pace::Endless => None,
            // A length would end an HTTP/2 stream before its trailers.
            _ if trailers.is_some() => None,
            Pace::Cut => Some(bytes.len() as u64 + 1),
            Pace::Whole | Pace::Slow(_) => Some(bytes.len() as u64),
        };
        Self {
            bytes,
            length,
            pace,
            pause: None,
            trailers,
        }
    }

    fn next_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.bytes.is_empty() {
            return match self.pace {
                // HTTP ends the connection itself when a body is shorter than promised.
                Pace::Whole | Pace::Slow(_) | Pace::Cut => Poll::Ready(None),
                Pace::Endless => Poll::Pending,
            };
        }
        match self.pace {
            Pace::Whole | Pace::Cut => Poll::Ready(Some(std::mem::take(&mut self.bytes))),
            Pace::Endless => Poll::Ready(Some(self.bytes.clone())),
            Pace::Slow(pause) => {
                let sleep = self.pause.get_or_insert_with(|| Box::pin(sleep(pause)));
                ready!(sleep.as_mut().poll(cx));
                self.pause = None;
                Poll::Ready(Some(self.bytes.split_to(1)))
            }
        }
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match ready!(self.next_bytes(cx)) {
            Some(bytes) => Some(Frame::data(bytes)),
            None => self.trailers.take().map(Frame::trailers),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.trailers.is_none() && self.pace != Pace::Cut
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(length) => SizeHint::with_exact(length),
            None => SizeHint::default(),
        }
    }
}
