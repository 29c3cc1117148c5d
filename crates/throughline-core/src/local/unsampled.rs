//! Spans that are not sampled: what a program that samples makes most of the time.
//!
//! A child of a span that is not sampled is not sampled either, under most samplers. Then there is nothing to decide and
//! nothing to keep: the child is counted, its frame stays without a name, and it gets its identifier when somebody asks
//! for the current context, which most such spans never see.

use super::frame::next_token;
use super::{Entry, Frame, Lane, Local, Offer, Token};
use crate::context::Context;
use crate::id::seeded;
use crate::recorder;

impl Local {
    /// Enters a child of a span that is not sampled, where that settles what becomes of the child: it is counted, and
    /// named when somebody asks. This is what a program that samples does most of the time.
    #[inline(always)]
    pub(super) fn enter_unsampled(&mut self) -> Option<Token> {
        let (used, vacant) = self.frames.split_at_mut_checked(self.depth)?;
        let (parent, frame) = (used.last()?, vacant.first_mut()?);
        if parent.unsampled_in == 0
            || !frame.is_vacant()
            || !counts_unsampled(parent, &self.lanes, self.suppressed)
        {
            return None;
        }
        let token = next_token(&mut self.last_token);
        frame.token = token;
        frame.unsampled_in = parent.unsampled_in;
        frame.offer = Offer::NONE;
        std::mem::forget(std::mem::replace(&mut frame.other, Entry::Unnamed));
        self.depth += 1;
        Some(token)
    }

    /// The current context, which is a plain one as a rule.
    #[inline(always)]
    pub(crate) fn here(&mut self) -> Context {
        let top = self.frames.get(self.depth.wrapping_sub(1));
        match top.and_then(Frame::context).and_then(Context::plain) {
            Some(plain) => plain.context(),
            None => self.current(),
        }
    }

    /// Removes the frame if it is the innermost and was never named: then there is nothing to end and nothing to drop.
    #[inline(always)]
    pub(super) fn leave_unnamed(&mut self, token: Token) -> bool {
        let at = self.depth.wrapping_sub(1);
        match self.frames.get_mut(at) {
            Some(frame) if frame.token == token && frame.is_unnamed() => {
                std::mem::forget(std::mem::take(&mut frame.other));
                self.depth = at;
                true
            }
            _ => false,
        }
    }

    /// Gives the span of the frame its identifier.
    #[cold]
    #[inline(never)]
    pub(super) fn name(&mut self, at: usize) {
        let generation = throughline_ring::fork_generation();
        let span_id = seeded(&mut self.ids, &mut self.seeded_in, generation).span_id();
        // Its parent is right below, with a name or without.
        let above = self.frames[..at].iter().rev().find_map(Frame::context);
        let context = above.map(|parent| parent.with_span_id(span_id));
        self.frames[at].other = Entry::Context(context.unwrap_or_default());
    }
}

/// Counts a child of that parent, if nothing is left to decide but that it is not sampled.
#[inline(always)]
fn counts_unsampled(parent: &Frame, lanes: &[Lane], suppressed: u32) -> bool {
    let Some(lane) = lanes.first() else {
        return false;
    };
    // No recorder has the number zero.
    lane.recorder.number == parent.unsampled_in
        && !lane.recorder.is_closed()
        && suppressed == 0
        && lane.writer.try_tally(recorder::UNSAMPLED, 1)
}
