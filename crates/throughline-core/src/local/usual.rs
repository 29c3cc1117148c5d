//! What is done at each poll: entering and leaving, attaching and detaching.
//!
//! The usual course of each stands alone, so that it saves no registers for the other.

use super::frame::next_token;
use super::{Entry, Local, Token, with};
use crate::context::Context;
use crate::live::LiveSpan;
use crate::switch;

/// Makes the span current; it stays where it is if that cannot be.
pub(crate) fn enter(live: &mut Option<Box<LiveSpan>>) -> Option<Token> {
    enter_inlined(live)
}

/// [`enter`] for a caller who is not inlined either.
#[inline(always)]
pub(crate) fn enter_inlined(live: &mut Option<Box<LiveSpan>>) -> Option<Token> {
    if !switch::is_installed()
        && let Some(Some(token)) = with(|local| local.put_span(live))
    {
        return Some(token);
    }
    enter_anyhow(live)
}

#[cold]
#[inline(never)]
fn enter_anyhow(live: &mut Option<Box<LiveSpan>>) -> Option<Token> {
    switch::entered(with(|local| local.push(live.take(), Entry::Vacant)))
}

/// Makes the context current.
pub(crate) fn attach(context: &Context) -> Option<Token> {
    if !switch::is_installed()
        && let Some(Some(token)) = with(|local| local.put_context(context))
    {
        return Some(token);
    }
    attach_anyhow(context)
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
    if switch::is_installed() || with(|local| local.remove_context(token)) != Some(true) {
        detach_anyhow(token);
    }
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
    if !switch::is_installed()
        && let Some(Some(span)) = with(|local| local.remove_span(token))
    {
        return Some(span);
    }
    leave_anyhow(token)
}

#[cold]
#[inline(never)]
fn leave_anyhow(token: Token) -> Option<Box<LiveSpan>> {
    switch::exited(token);
    with(|local| local.remove(token)).flatten()
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

    /// Removes the frame if it is the last and what [`put_context`](Self::put_context) made; says whether it did.
    #[inline(always)]
    fn remove_context(&mut self, token: Token) -> bool {
        let at = self.depth.wrapping_sub(1);
        match self.frames.get_mut(at) {
            Some(frame) if frame.token == token && frame.span.is_none() => match &frame.other {
                // It has nothing to drop, which the compiler sees here.
                Entry::Context(context) if context.extras().is_none() => {
                    frame.other = Entry::Vacant;
                    self.depth = at;
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }
}
