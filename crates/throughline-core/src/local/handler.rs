//! Handlers on a thread's stack: the offer of the current one, and those whose trace is not sampled.

use super::frame::next_token;
use super::usual::usual;
use super::{Entry, Local, Token, with};
use crate::callsite::Callsite;
use crate::context::Context;
use crate::handler::TakenOver;
use crate::id::seeded;
use crate::lane::find_lane;
use crate::recorder;
use crate::switch;

/// Makes the context of a handler whose trace is not sampled current.
#[inline]
pub(crate) fn attach_handler(context: &Context, is_offered: bool) -> Option<Token> {
    usual(|local| local.put_handler(context, is_offered))
        .or_else(|| attach_anyhow(context, is_offered))
}

#[cold]
#[inline(never)]
fn attach_anyhow(context: &Context, is_offered: bool) -> Option<Token> {
    let token = with(|local| {
        let token = local.push(None, Entry::Context(context.clone()));
        if let Some(frame) = local.frames.get_mut(local.depth - 1) {
            frame.is_offered = is_offered;
        }
        token
    });
    switch::entered(token)
}

/// Leaves the frame; returns whether the handler is still offered.
#[inline]
pub(crate) fn detach_handler(token: Token) -> bool {
    usual(|local| local.remove_handler(token)).unwrap_or_else(|| detach_anyhow(token))
}

#[cold]
#[inline(never)]
fn detach_anyhow(token: Token) -> bool {
    switch::exited(token);
    with(|local| {
        let used = &local.frames[..local.depth];
        let is_offered = used
            .iter()
            .any(|frame| frame.token == token && frame.is_offered);
        local.remove(token);
        is_offered
    })
    .unwrap_or_default()
}

impl Local {
    /// Takes the current frame over, if it is offered.
    #[inline]
    pub(crate) fn take_over(&mut self, callsite: Option<&'static Callsite>) -> Option<TakenOver> {
        let frame = self.frames.get_mut(self.depth.checked_sub(1)?)?;
        match (&mut frame.span, &frame.other) {
            (Some(live), _) if live.handling.is_offered => {
                live.handling.is_offered = false;
                if let (true, Some(callsite)) = (live.is_recording(), callsite) {
                    live.adopt(callsite);
                }
                Some(TakenOver::Span)
            }
            (None, Entry::Context(_)) if frame.is_offered => {
                frame.is_offered = false;
                Some(TakenOver::Unsampled)
            }
            _ => None,
        }
    }

    /// Marks the innermost handler as abandoned.
    pub(crate) fn abandon_handler(&mut self) {
        let mut used = self.frames[..self.depth].iter_mut().rev();
        let handler = used.find_map(|frame| {
            let live = frame.span.as_deref_mut()?;
            live.handling.is_handler.then_some(live)
        });
        if let Some(handler) = handler {
            handler.abandon();
        }
    }

    /// The context of a child of that span, which is not sampled, if nothing is left to decide but that the child is not
    /// sampled either: it is counted.
    #[inline]
    pub(crate) fn start_unsampled(&mut self, parent: &Context) -> Option<Context> {
        if self.suppressed > 0 || parent.extras().is_some() || !parent.span_id().is_valid() {
            return None;
        }
        let number = parent.recorder();
        let generation = throughline_ring::fork_generation();
        let lane = find_lane(&mut self.lanes, number)?;
        if lane.recorder.is_closed()
            || !lane.recorder.config.sampler.keeps_unsampled()
            || !lane.writer.try_tally(recorder::UNSAMPLED, 1)
        {
            return None;
        }
        let ids = seeded(&mut self.ids, &mut self.seeded_in, generation);
        Some(parent.with_span_id(ids.span_id()))
    }

    /// Makes the context current, in a frame that is there already; no child of it is sampled.
    #[inline(always)]
    fn put_handler(&mut self, context: &Context, is_offered: bool) -> Option<Token> {
        let frame = self.frames.get_mut(self.depth)?;
        if !frame.is_vacant() {
            return None;
        }
        let token = next_token(&mut self.last_token);
        let number = context.recorder();
        frame.token = token;
        frame.unsampled_in = number;
        frame.is_offered = is_offered;
        let other = Entry::Context(context.plain_in_recorder(number));
        // What it replaces has nothing to drop.
        std::mem::forget(std::mem::replace(&mut frame.other, other));
        self.depth += 1;
        Some(token)
    }

    /// Removes the frame if it is the last and what [`put_handler`](Self::put_handler) made.
    #[inline(always)]
    fn remove_handler(&mut self, token: Token) -> Option<bool> {
        self.remove_context(token)?;
        // It is the first of the frames that are not in use now.
        self.frames.get(self.depth).map(|frame| frame.is_offered)
    }
}
