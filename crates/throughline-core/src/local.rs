//! The state of one thread: the stack of current contexts, the buffers it records into, its identifiers.
//!
//! Rules:
//! 1. Only this module reaches the thread-local; every operation reaches it once.
//! 2. No code of the user runs while it is borrowed: values are formatted before or after, never within. What
//!    re-enters all the same (an instrumented allocator) finds it busy and records nothing.
//! 3. After the thread-local is destroyed, spans still end and are recorded, through state made for the occasion;
//!    nothing is current there any more.

use std::cell::RefCell;
use std::num::NonZeroU64;
use std::sync::Arc;

use throughline_ring::Writer;

use crate::callsite::Callsite;
use crate::clock::{self, Ticks};
use crate::context::{Context, Parent};
use crate::id::{IdGenerator, TraceFlags};
use crate::kind::Outcome;
use crate::live::LiveSpan;
use crate::record::Header;
use crate::recorder::{self, RecorderState};
use crate::shared::SharedSpan;
use crate::span::Span;
use crate::span_context::SpanContext;

pub(crate) struct Local {
    stack: Vec<Frame>,
    lanes: Vec<Lane>,
    #[expect(
        clippy::vec_box,
        reason = "the boxes themselves are what is kept: spans move them in and out"
    )]
    pool: Vec<Box<LiveSpan>>,
    ids: Option<IdGenerator>,
    /// The fork generation that `ids` was seeded in: a forked child must not repeat its parent's identifiers.
    generation: u32,
    suppressed: u32,
    last_token: u64,
}

/// One entry of the stack of current contexts.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) context: Context,
    pub(crate) live: Live,
    token: Token,
    entered: Ticks,
}

/// What can be edited through a frame.
#[derive(Debug, Default)]
pub(crate) enum Live {
    /// Nothing: the span is unsampled, lives elsewhere, or is being edited further up the call stack.
    #[default]
    None,
    /// The span, while it is entered here.
    Owned(Box<LiveSpan>),
    /// A span that several threads may enter.
    Shared(SharedSpan),
}

/// Identifies a frame on its thread, so that guards may be dropped in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(NonZeroU64);

struct Lane {
    recorder: Arc<RecorderState>,
    writer: Writer,
}

thread_local! {
    static LOCAL: RefCell<Local> = const { RefCell::new(Local::new()) };
}

/// Runs `f` on the thread's state; `None` if that is busy (rule 2) or gone (rule 3).
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL
        .try_with(|local| local.try_borrow_mut().ok().map(|mut local| f(&mut local)))
        .ok()
        .flatten()
}

/// Runs `f` on the thread's state, or on state made for the occasion.
#[inline]
pub(crate) fn with_any<R>(f: impl FnOnce(&mut Local) -> R) -> R {
    let mut f = Some(f);
    let done = with(|local| f.take().map(|f| f(local))).flatten();
    match (done, f) {
        (Some(result), _) => result,
        (None, Some(f)) => f(&mut Local::new()),
        (None, None) => unreachable!("`f` is taken only to produce a result"),
    }
}

impl Local {
    const fn new() -> Self {
        Self {
            stack: Vec::new(),
            lanes: Vec::new(),
            pool: Vec::new(),
            ids: None,
            generation: 0,
            suppressed: 0,
            last_token: 0,
        }
    }

    #[inline]
    pub(crate) fn current(&self) -> Context {
        self.stack
            .last()
            .map_or_else(Context::default, |frame| frame.context.clone())
    }

    #[inline]
    pub(crate) fn push(&mut self, context: Context, live: Live) -> Token {
        self.push_at(context, live, Ticks::default())
    }

    /// Like [`push`](Self::push), with the time to be found by [`remove_shared`](Self::remove_shared).
    #[inline]
    pub(crate) fn push_at(&mut self, context: Context, live: Live, entered: Ticks) -> Token {
        self.last_token += 1;
        let token = Token(NonZeroU64::new(self.last_token).unwrap_or(NonZeroU64::MIN));
        self.stack.push(Frame {
            context,
            live,
            token,
            entered,
        });
        token
    }

    #[inline]
    pub(crate) fn remove(&mut self, token: Token) -> Option<Frame> {
        if self.stack.last().is_some_and(|frame| frame.token == token) {
            return self.stack.pop();
        }
        self.remove_where(|frame| frame.token == token)
    }

    /// Removes the innermost frame of a shared span; returns when it was entered.
    pub(crate) fn remove_shared(&mut self, span: &SharedSpan) -> Option<Ticks> {
        let is_it = |frame: &Frame| matches!(&frame.live, Live::Shared(other) if other.is(span));
        let frame = if self.stack.last().is_some_and(is_it) {
            self.stack.pop()
        } else {
            self.remove_where(is_it)
        };
        frame.map(|frame| frame.entered)
    }

    #[cold]
    fn remove_where(&mut self, is_it: impl Fn(&Frame) -> bool) -> Option<Frame> {
        let at = self.stack.iter().rposition(is_it)?;
        Some(self.stack.remove(at))
    }

    /// Takes what can be edited of the current span. A frame of a bare context leads to the frame of its span, if
    /// that is entered further down on the same thread.
    pub(crate) fn take_current(&mut self) -> Option<(Token, Live)> {
        let current = self.stack.last()?.context.span_context();
        let frame = self.stack.iter_mut().rev().find(|frame| {
            frame.context.span_context().span_id() == current.span_id()
                && !matches!(frame.live, Live::None)
        })?;
        match &frame.live {
            Live::Shared(span) => Some((frame.token, Live::Shared(span.clone()))),
            _ => Some((frame.token, std::mem::take(&mut frame.live))),
        }
    }

    /// Gives back what [`take_current`](Self::take_current) took; returns it if the frame is gone by now.
    pub(crate) fn give_back(&mut self, token: Token, live: Box<LiveSpan>) -> Option<Box<LiveSpan>> {
        match self
            .stack
            .iter_mut()
            .rev()
            .find(|frame| frame.token == token)
        {
            Some(frame) => {
                frame.live = Live::Owned(live);
                None
            }
            None => Some(live),
        }
    }

    pub(crate) fn suppress(&mut self) {
        self.suppressed += 1;
    }

    pub(crate) fn unsuppress(&mut self) {
        self.suppressed = self.suppressed.saturating_sub(1);
    }

    pub(crate) const fn is_suppressed(&self) -> bool {
        self.suppressed > 0
    }

    /// Starts a span of an enabled callsite; a disabled one if nothing records here.
    #[inline]
    pub(crate) fn start(&mut self, callsite: &'static Callsite, parent: &Parent) -> Span {
        let here = self.stack.last().map(|frame| &frame.context);
        let inherited = here.map_or(0, Context::recorder);
        let (parent, number) = match parent {
            Parent::Current => (
                here.map_or(SpanContext::INVALID, Context::span_context),
                inherited,
            ),
            Parent::Root => (SpanContext::INVALID, inherited),
            Parent::Context(context) if context.recorder() == 0 => {
                (context.span_context(), inherited)
            }
            Parent::Context(context) => (context.span_context(), context.recorder()),
        };
        self.start_under(
            callsite,
            parent,
            if number == 0 {
                recorder::global_number()
            } else {
                number
            },
        )
    }

    /// [`start`](Self::start) under the current context.
    #[inline]
    pub(crate) fn start_here(&mut self, callsite: &'static Callsite) -> Span {
        let (parent, number) = match self.stack.last() {
            Some(frame) if frame.context.recorder() != 0 => {
                (frame.context.span_context(), frame.context.recorder())
            }
            Some(frame) => (frame.context.span_context(), recorder::global_number()),
            None => (SpanContext::INVALID, recorder::global_number()),
        };
        self.start_under(callsite, parent, number)
    }

    #[inline]
    fn start_under(
        &mut self,
        callsite: &'static Callsite,
        parent: SpanContext,
        number: u32,
    ) -> Span {
        if self.suppressed > 0 {
            return Span::disabled();
        }
        self.reseed_after_fork();
        let generation = self.generation;
        let ids = self.ids.get_or_insert_with(IdGenerator::seeded);
        let (trace_id, flags) = if parent.is_valid() {
            (parent.trace_id(), parent.trace_flags())
        } else {
            (ids.trace_id(), TraceFlags::RANDOM)
        };
        let span_id = ids.span_id();
        let Some(lane) = self.lane(number) else {
            return Span::disabled();
        };
        let config = &lane.recorder.config;
        let sampled = config.sampler.samples(&parent, trace_id);
        let context = Context::new(
            SpanContext::new(trace_id, span_id, flags.with_sampled(sampled), false),
            number,
        );
        if !sampled {
            lane.writer.tally(recorder::UNSAMPLED, 1);
            return Span::from_parts(context, None);
        }
        lane.writer.tally(recorder::STARTED, 1);
        let (limits, poll_statistics) = (config.limits, config.poll_statistics);
        let mut live = self.pool.pop().unwrap_or_default();
        live.begin(
            callsite,
            parent,
            limits,
            generation,
            poll_statistics,
            clock::now(),
        );
        Span::from_parts(context, Some(live))
    }

    /// Leaves the frame and ends its span, if it is one that is open here.
    #[inline]
    pub(crate) fn end_entered(&mut self, token: Token) {
        let Some(Frame {
            context,
            live: Live::Owned(mut live),
            ..
        }) = self.remove(token)
        else {
            return;
        };
        live.finish(if live.is_unwinding() {
            Outcome::Panicked
        } else {
            Outcome::Completed
        });
        self.end(&context, live, clock::now());
    }

    /// Ends a span: one record, one counter.
    #[inline]
    pub(crate) fn end(&mut self, context: &Context, mut live: Box<LiveSpan>, end: Ticks) {
        // A span that a fork copied is its parent process's to end.
        if live.generation() == throughline_ring::fork_generation()
            && let Some(lane) = self.lane_even_if_closed(context.recorder())
        {
            let counted = if lane.recorder.is_closed() {
                recorder::DROPPED_CLOSED
            } else {
                let header: [u8; Header::LEN] = live.header(context.span_context(), end).encode();
                match lane.writer.push(&header, live.body()) {
                    Ok(()) => recorder::PUBLISHED,
                    Err(_) => recorder::DROPPED_FULL,
                }
            };
            lane.writer.tally(counted, 1);
        }
        if self.pool.len() < POOLED_SPANS {
            live.recycle();
            self.pool.push(live);
        }
    }

    #[inline]
    fn reseed_after_fork(&mut self) {
        let generation = throughline_ring::fork_generation();
        if self.generation != generation {
            self.generation = generation;
            self.ids = None;
        }
    }

    #[inline]
    fn lane(&mut self, number: u32) -> Option<&mut Lane> {
        self.lane_even_if_closed(number)
            .filter(|lane| !lane.recorder.is_closed())
    }

    #[inline]
    fn lane_even_if_closed(&mut self, number: u32) -> Option<&mut Lane> {
        if self
            .lanes
            .first()
            .is_none_or(|lane| lane.recorder.number != number)
        {
            self.find_lane(number)?;
        }
        self.lanes.first_mut()
    }

    /// Puts the lane of that recorder first, making it if there is none yet.
    #[cold]
    fn find_lane(&mut self, number: u32) -> Option<()> {
        if number == 0 {
            return None;
        }
        if let Some(at) = self
            .lanes
            .iter()
            .position(|lane| lane.recorder.number == number)
        {
            self.lanes.swap(0, at);
            return Some(());
        }
        let recorder = RecorderState::find(number)?;
        self.lanes.retain(|lane| !lane.recorder.is_closed());
        let writer = recorder.hub.writer();
        self.lanes.insert(0, Lane { recorder, writer });
        Some(())
    }
}

impl Drop for Local {
    /// Ends what the thread left entered, so that a leaked guard costs no span.
    fn drop(&mut self) {
        while let Some(Frame { context, live, .. }) = self.stack.pop() {
            if let Live::Owned(mut live) = live {
                live.finish(Outcome::Cancelled);
                self.end(&context, live, clock::now());
            }
        }
    }
}

/// Boxes that a thread keeps for its next spans.
const POOLED_SPANS: usize = 256;
