//! Handlers on a thread's stack: the offer of the current one, and those whose trace is not sampled.

use super::frame::next_token;
use super::usual::usual;
use super::{Entry, Local, Offer, POOLED_SPANS, Token, outside, with};
use crate::callsite::Callsite;
use crate::clock;
use crate::context::Plain;
use crate::handler::{Measured, TakenOver};
use crate::id::{SpanId, seeded};
use crate::kind::{Outcome, SpanKind, Status};
use crate::lane::find_lane;
use crate::live::LiveSpan;
use crate::measure::Tail;
use crate::origin::Origin;
use crate::record::{Facts, Header, Marks};
use crate::recorder;
use crate::switch;

/// Makes the context of a handler whose trace is not sampled current.
#[inline]
pub(crate) fn attach_handler(context: Plain, offer: Offer) -> Option<Token> {
    usual(|local| local.put_handler(context, offer)).or_else(|| attach_anyhow(context, offer))
}

#[cold]
#[inline(never)]
fn attach_anyhow(context: Plain, offer: Offer) -> Option<Token> {
    let token = with(|local| {
        let token = local.push(None, Entry::Context(context.context()));
        if let Some(frame) = local.frames.get_mut(local.depth - 1) {
            frame.offer = offer;
        }
        token
    });
    switch::entered(token)
}

/// Leaves the frame; returns what became of the offer.
#[inline]
pub(crate) fn detach_handler(token: Token) -> Offer {
    usual(|local| local.remove_handler(token)).unwrap_or_else(|| detach_anyhow(token))
}

#[cold]
#[inline(never)]
fn detach_anyhow(token: Token) -> Offer {
    switch::exited(token);
    with(|local| {
        let used = &local.frames[..local.depth];
        let frame = used.iter().find(|frame| frame.token == token);
        let offer = frame.map_or(Offer::NONE, |frame| frame.offer);
        local.remove(token);
        offer
    })
    .unwrap_or(Offer::NONE)
}

/// Counts a child of a span in that recorder, which is not sampled and has nothing else to inherit: its identifier, or an
/// invalid one where more has to be decided.
pub(crate) fn start_unsampled(recorder: u32, origin: Option<Origin>) -> SpanId {
    let child = with(|local| local.start_unsampled(recorder, origin)).flatten();
    child.unwrap_or_default()
}

/// Whether somebody measures what that recorder's handlers do.
pub(crate) fn is_measuring(number: u32) -> bool {
    with(|local| local.is_measuring(number))
        .unwrap_or_else(|| outside(|local| local.is_measuring(number)))
}

/// A box for what is known of a handler in that recorder, if somebody measures it.
pub(crate) fn take_measured(number: u32) -> Option<Box<Measured>> {
    let take = |local: &mut Local| local.take_measured(number);
    with(take).unwrap_or_else(|| outside(take))
}

/// Measures a handler whose trace is not sampled, and keeps the box for the next one.
pub(crate) fn measure_unsampled(context: Plain, measured: Box<Measured>, outcome: Outcome) {
    let context = context.context();
    let told = measured.told;
    let (status, outcome, error_type) = ending(outcome, told.error_type);
    let header = Header {
        trace_id: context.trace_id(),
        span_id: context.span_id(),
        parent: SpanId::from_number(told.wait),
        start: measured.start,
        end: clock::now(),
        callsite: measured.callsite,
        facts: Facts {
            kind: SpanKind::default(),
            status,
            outcome,
            marks: Marks::of(context.span_context().trace_flags(), false),
        },
    };
    let number = context.recorder();
    let tail = Tail::new(told, context.span_context().trace_flags());
    let measure = |local: &mut Local| local.measure(number, &header, tail, error_type);
    with(|local| {
        measure(local);
        local.keep_measured(measured);
    })
    .unwrap_or_else(|| outside(measure));
}

/// Takes the current span over, if it is offered. Apart, so that a handler without a span saves no registers for it.
#[inline(never)]
fn take_over_span(live: &mut LiveSpan, callsite: Option<&'static Callsite>) -> Option<TakenOver> {
    if !live.handling().is_offered {
        return None;
    }
    live.handling_mut().is_offered = false;
    if let Some(callsite) = callsite {
        if live.is_recording() {
            live.adopt(callsite);
        } else {
            live.measure_as(callsite);
        }
    }
    Some(TakenOver::Span)
}

/// What the span of a handler would say of its end.
pub(crate) fn ending(
    outcome: Outcome,
    failed: Option<&'static str>,
) -> (Status, Outcome, &'static str) {
    match (outcome, failed) {
        (Outcome::Completed, None) => (Status::Unset, Outcome::Completed, ""),
        (Outcome::Completed | Outcome::Error, failed) => {
            (Status::Error, Outcome::Error, failed.unwrap_or_default())
        }
        (Outcome::Cancelled, failed) => (Status::Error, outcome, failed.unwrap_or("cancelled")),
        (Outcome::Panicked, failed) => (Status::Error, outcome, failed.unwrap_or("panic")),
    }
}

impl Local {
    /// Takes the current frame over, if it is offered.
    #[inline]
    pub(crate) fn take_over(&mut self, callsite: Option<&'static Callsite>) -> Option<TakenOver> {
        let frame = self.frames.get_mut(self.depth.checked_sub(1)?)?;
        match (&mut frame.span, &frame.other) {
            (Some(live), _) => take_over_span(live, callsite),
            (None, Entry::Context(_)) if frame.offer.is_made() => {
                frame.offer = frame.offer.taken(callsite);
                Some(TakenOver::Unsampled)
            }
            _ => None,
        }
    }

    /// Keeps what the innermost handler failed with, if its trace is not sampled.
    #[cold]
    pub(crate) fn note_failure(&mut self, error_type: &'static str) {
        for frame in self.frames[..self.depth].iter_mut().rev() {
            if let Some(live) = frame.span.as_deref_mut() {
                if live.handling().is_handler {
                    return live.note_failure(error_type);
                }
            } else if frame.offer != Offer::NONE {
                let token = frame.token;
                if !frame.offer.is_measured() {
                    return;
                }
                self.failures.retain(|(other, _)| *other != token);
                return self.failures.push((token, error_type));
            }
        }
    }

    /// Keeps what the operation failed with whose span is current, if its trace is not sampled.
    #[cold]
    pub(crate) fn note_operation_failure(&mut self, error_type: &'static str) {
        let current = self.frames[..self.depth].last_mut();
        if let Some(live) = current.and_then(|frame| frame.span.as_deref_mut())
            && live.handling().is_operation
        {
            live.note_failure(error_type);
        }
    }

    /// Takes what was kept of the handler in that frame.
    pub(crate) fn take_failure(&mut self, token: Token) -> Option<&'static str> {
        let at = self.failures.iter().position(|(of, _)| *of == token)?;
        Some(self.failures.swap_remove(at).1)
    }

    fn take_measured(&mut self, number: u32) -> Option<Box<Measured>> {
        let is_measuring = self.is_measuring(number);
        is_measuring.then(|| self.measured.pop().unwrap_or_default())
    }

    fn keep_measured(&mut self, measured: Box<Measured>) {
        if self.measured.len() < POOLED_SPANS {
            self.measured.push(measured);
        }
    }

    fn is_measuring(&mut self, number: u32) -> bool {
        let number = match number {
            0 => recorder::global_number(),
            number => number,
        };
        find_lane(&mut self.lanes, number).is_some_and(|lane| lane.recorder.is_measuring())
    }

    /// Hands a measurement to whoever drains them.
    pub(super) fn measure(&mut self, number: u32, header: &Header, tail: Tail, error_type: &str) {
        if let Some(lane) = find_lane(&mut self.lanes, number)
            && lane.recorder.is_measuring()
        {
            lane.measure(header, tail, error_type);
        }
    }

    /// Marks the innermost handler as abandoned.
    pub(crate) fn abandon_handler(&mut self) {
        let mut used = self.frames[..self.depth].iter_mut().rev();
        let handler = used.find_map(|frame| {
            let live = frame.span.as_deref_mut()?;
            live.handling().is_handler.then_some(live)
        });
        if let Some(handler) = handler {
            handler.abandon();
        }
    }

    /// The identifier of a child of a span in that recorder, which is not sampled, if nothing is left to decide but that the
    /// child is not sampled either: it is counted.
    #[inline(always)]
    fn start_unsampled(&mut self, number: u32, origin: Option<Origin>) -> Option<SpanId> {
        if self.suppressed > 0 {
            return None;
        }
        let generation = throughline_ring::fork_generation();
        let lane = find_lane(&mut self.lanes, number)?;
        if lane.recorder.is_closed()
            || !lane.recorder.config.sampler.keeps_unsampled()
            || !lane.writer.try_tally(recorder::UNSAMPLED, 1)
        {
            return None;
        }
        if let Some(origin) = origin {
            lane.count_origin(origin, false);
        }
        let ids = seeded(&mut self.ids, &mut self.seeded_in, generation);
        Some(ids.span_id())
    }

    /// Makes the context current, in a frame that is there already; no child of it is sampled.
    #[inline(always)]
    fn put_handler(&mut self, context: Plain, offer: Offer) -> Option<Token> {
        let frame = self.frames.get_mut(self.depth)?;
        if !frame.is_vacant() {
            return None;
        }
        let token = next_token(&mut self.last_token);
        frame.token = token;
        frame.unsampled_in = context.recorder();
        frame.offer = offer;
        let other = Entry::Context(context.context());
        // What it replaces has nothing to drop.
        std::mem::forget(std::mem::replace(&mut frame.other, other));
        self.depth += 1;
        Some(token)
    }

    /// Removes the frame if it is the last and what [`put_handler`](Self::put_handler) made.
    #[inline(always)]
    fn remove_handler(&mut self, token: Token) -> Option<Offer> {
        self.remove_context(token)?;
        // It is the first of the frames that are not in use now.
        self.frames.get(self.depth).map(|frame| frame.offer)
    }
}
