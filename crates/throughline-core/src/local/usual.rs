//! What is done at each poll: entering and leaving, attaching and detaching.
//!
//! The usual course of each stands alone, so that it saves no registers for the other.

use super::frame::next_token;
use super::{Entry, Local, Offer, Token, with};
use crate::clock::Ticks;
use crate::context::Context;
use crate::id::SpanId;
use crate::live::LiveSpan;
use crate::shared::SharedSpan;
use crate::switch;

/// The usual course, which says `None` where it does not apply; nor does any once somebody watches the switches.
#[inline(always)]
pub(super) fn usual<R>(course: impl FnOnce(&mut Local) -> Option<R>) -> Option<R> {
    if switch::is_installed() {
        return None;
    }
    with(course).flatten()
}

/// Makes the span current; it stays where it is if that cannot be.
pub(crate) fn enter(live: &mut Option<Box<LiveSpan>>) -> Option<Token> {
    enter_inlined(live)
}

/// [`enter`] for a caller who is not inlined either.
#[inline(always)]
pub(crate) fn enter_inlined(live: &mut Option<Box<LiveSpan>>) -> Option<Token> {
    usual(|local| local.put_span(live)).or_else(|| enter_anyhow(live))
}

#[cold]
#[inline(never)]
fn enter_anyhow(live: &mut Option<Box<LiveSpan>>) -> Option<Token> {
    switch::entered(with(|local| local.push(live.take(), Entry::Vacant)))
}

/// Makes the context current.
pub(crate) fn attach(context: &Context) -> Option<Token> {
    usual(|local| local.put_context(context)).or_else(|| attach_anyhow(context))
}

#[cold]
#[inline(never)]
fn attach_anyhow(context: &Context) -> Option<Token> {
    let token = with(|local| {
        let recorder = match context.recorder() {
            // A context from elsewhere goes on in the recorder it arrives in.
            0 => local.top().map_or(0, Context::recorder),
            recorder => recorder,
        };
        local.push(None, Entry::Context(context.clone().in_recorder(recorder)))
    });
    switch::entered(token)
}

/// Leaves the frame.
pub(crate) fn detach(token: Token) {
    usual(|local| local.remove_context(token)).unwrap_or_else(|| detach_anyhow(token));
}

#[cold]
#[inline(never)]
fn detach_anyhow(token: Token) {
    switch::exited(token);
    with(|local| local.remove(token));
}

/// Leaves the frame and gives back its span. For a caller who is not inlined.
#[inline(always)]
pub(crate) fn leave_inlined(token: Token) -> Option<Box<LiveSpan>> {
    usual(|local| local.remove_span(token)).or_else(|| leave_anyhow(token))
}

#[cold]
#[inline(never)]
fn leave_anyhow(token: Token) -> Option<Box<LiveSpan>> {
    switch::exited(token);
    with(|local| local.remove(token)).flatten()
}

/// Undoes the last [`enter_shared`](super::enter_shared) of the span; returns what it was given.
pub(crate) fn exit_shared(span: SpanId) -> Option<(SharedSpan, Ticks)> {
    usual(|local| local.remove_shared(span)).or_else(|| exit_shared_anyhow(span))
}

#[cold]
#[inline(never)]
fn exit_shared_anyhow(span: SpanId) -> Option<(SharedSpan, Ticks)> {
    let removed = with(|local| {
        let removed = local.remove_where(|frame| frame.is_shared(span)).1;
        // What was removed is now the first of the frames that are not in use.
        let frame = local.frames.get(local.depth);
        (frame.map(|frame| frame.token), removed)
    });
    let (Some(token), Entry::Shared(span, entered)) = removed? else {
        return None;
    };
    switch::exited(token);
    Some((span, entered))
}

impl Local {
    /// Makes the span current in a frame that is there already; otherwise leaves it where it is.
    #[inline(always)]
    fn put_span(&mut self, span: &mut Option<Box<LiveSpan>>) -> Option<Token> {
        let frame = self.frames.get_mut(self.depth)?;
        if !frame.is_vacant() {
            return None;
        }
        let token = next_token(&mut self.last_token);
        frame.token = token;
        frame.unsampled_in = span.as_deref().map_or(0, LiveSpan::unsampled_in);
        frame.offer = Offer::NONE;
        // What it replaces has nothing to drop.
        std::mem::forget(std::mem::replace(&mut frame.span, span.take()));
        self.depth += 1;
        Some(token)
    }

    /// Makes a context that names its recorder and has no more than a span current, in a frame that is there already.
    #[inline(always)]
    fn put_context(&mut self, context: &Context) -> Option<Token> {
        let frame = self.frames.get_mut(self.depth)?;
        let recorder = context.recorder();
        if recorder == 0 || context.extras().is_some() || !frame.is_vacant() {
            return None;
        }
        let token = next_token(&mut self.last_token);
        frame.token = token;
        frame.unsampled_in = 0;
        frame.offer = Offer::NONE;
        let other = Entry::Context(context.plain_in_recorder(recorder));
        // What it replaces has nothing to drop.
        std::mem::forget(std::mem::replace(&mut frame.other, other));
        self.depth += 1;
        Some(token)
    }

    /// Removes the frame if it is the last and a span's.
    #[inline(always)]
    fn remove_span(&mut self, token: Token) -> Option<Box<LiveSpan>> {
        let at = self.depth.wrapping_sub(1);
        let frame = self.frames.get_mut(at)?;
        if frame.token != token {
            return None;
        }
        let span = frame.span.take()?;
        self.depth = at;
        Some(span)
    }

    /// Removes the frame if it is the last and that of the shared span.
    #[inline(always)]
    fn remove_shared(&mut self, span: SpanId) -> Option<(SharedSpan, Ticks)> {
        let at = self.depth.wrapping_sub(1);
        let frame = self.frames.get_mut(at)?;
        if !frame.is_shared(span) {
            return None;
        }
        let Entry::Shared(span, entered) = std::mem::take(&mut frame.other) else {
            return None;
        };
        self.depth = at;
        Some((span, entered))
    }

    /// Removes the frame if it is the last and what [`put_context`](Self::put_context) made.
    #[inline(always)]
    pub(super) fn remove_context(&mut self, token: Token) -> Option<()> {
        let at = self.depth.wrapping_sub(1);
        let frame = self.frames.get_mut(at)?;
        match &frame.other {
            // It has nothing to drop, which the compiler sees here.
            Entry::Context(context)
                if frame.token == token && frame.span.is_none() && context.extras().is_none() =>
            {
                frame.other = Entry::Vacant;
                self.depth = at;
                Some(())
            }
            _ => None,
        }
    }
}
