//! Taking a span out of its frame to edit it, and giving it back.

use super::{Entry, Frame, Local, Token};
use crate::context::Context;
use crate::id::SpanId;
use crate::live::LiveSpan;
use crate::shared::SharedSpan;

/// The current span, as far as it can be edited from here.
pub(crate) enum Editable {
    Span(Box<LiveSpan>),
    Shared(SharedSpan),
}

impl Local {
    /// Takes what can be edited of the current span, leaving its context. A frame of a bare context leads to the
    /// frame of its span, if that is entered further down on the same thread.
    pub(crate) fn take_current(&mut self) -> Option<(Token, Editable)> {
        if self.frames[..self.depth].last()?.is_unnamed() {
            return None;
        }
        let current = self.top()?.span_context().span_id();
        self.take(current)
    }

    /// Whether what [`take_current`](Self::take_current) would take is recording.
    pub(crate) fn is_current_recording(&mut self) -> bool {
        let used = &self.frames[..self.depth];
        if used.last().is_none_or(Frame::is_unnamed) {
            return false;
        }
        let Some(current) = self.top().map(Context::span_id) else {
            return false;
        };
        let mut used = self.frames[..self.depth].iter().rev();
        let recording = used.find_map(|frame| {
            if frame.context()?.span_id() != current {
                return None;
            }
            match &frame.other {
                Entry::Shared(span, _) => Some(span.is_recording()),
                _ => frame.span.as_deref().map(LiveSpan::is_recording),
            }
        });
        recording.unwrap_or(false)
    }

    /// As [`take_current`](Self::take_current), for the innermost frame of that span.
    pub(crate) fn take(&mut self, span: SpanId) -> Option<(Token, Editable)> {
        let mut used = self.frames[..self.depth].iter_mut().rev();
        used.find_map(|frame| {
            if frame.context()?.span_context().span_id() != span {
                return None;
            }
            if let Entry::Shared(span, _) = &frame.other {
                return Some((frame.token, Editable::Shared(span.clone())));
            }
            let live = frame.span.take()?;
            frame.other = Entry::Context(live.context().clone());
            Some((frame.token, Editable::Span(live)))
        })
    }

    /// Gives back what [`take_current`](Self::take_current) took; returns it if the frame is gone by now.
    pub(crate) fn give_back(&mut self, token: Token, live: Box<LiveSpan>) -> Option<Box<LiveSpan>> {
        match self.frames[..self.depth]
            .iter_mut()
            .rev()
            .find(|frame| frame.token == token)
        {
            Some(frame) => {
                frame.other = Entry::Vacant;
                frame.span = Some(live);
                None
            }
            None => Some(live),
        }
    }
}
