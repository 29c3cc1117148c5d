//! The state of one thread: the stack of current contexts, the buffers it records into, its identifiers.
//!
//! Rules:
//! 1. Only this module reaches the thread-local; every operation reaches it once.
//! 2. No code of the user runs while it is borrowed: values are formatted before or after, never within. What
//!    re-enters all the same (an instrumented allocator) finds it busy and records nothing.
//! 3. After the thread-local is destroyed, spans still end and are recorded, through state made for the occasion;
//!    nothing is current there any more.

mod edit;
mod frame;
mod handler;
mod import;
mod unsampled;
mod usual;

use std::cell::RefCell;
use std::num::NonZeroU64;
use std::sync::Arc;

use crate::callsite::Callsite;
use crate::clock::{self, Ticks};
use crate::context::{Context, Parent};
use crate::handler::Measured;
use crate::id::{Ids, seeded};
use crate::kind::Outcome;
use crate::lane::{Lane, find_lane};
use crate::live::LiveSpan;
use crate::measure::Tail;
use crate::origin::Origin;
use crate::propagate::{Extras, Inherited};
use crate::recorder;
use crate::shared::SharedSpan;
use crate::span_context::SpanContext;
use crate::switch;

use frame::{Frame, next_token};

pub(crate) use edit::Editable;
pub(crate) use frame::{Entry, Offer, Token};
pub(crate) use handler::{
    attach_handler, detach_handler, ending, is_measuring, measure_unsampled, start_unsampled,
    take_measured,
};
pub(crate) use import::import;
pub(crate) use usual::{attach, detach, enter, enter_inlined, exit_shared, leave_inlined};

pub(crate) struct Local {
    /// The frames below `depth` are in use; those above wait to be used again, so that entering a span writes a few
    /// words in place.
    frames: Vec<Frame>,
    depth: usize,
    last_token: u64,
    lanes: Vec<Lane>,
    #[expect(
        clippy::vec_box,
        reason = "the boxes are what is kept: spans move them in and out"
    )]
    pool: Vec<Box<LiveSpan>>,
    ids: Option<Ids>,
    /// The fork generation that `ids` was seeded in: a forked child must not repeat its parent's identifiers.
    seeded_in: u32,
    suppressed: u32,
    /// What handlers failed with whose trace is not sampled, by their frames: hardly ever any, and never many.
    failures: Vec<(Token, &'static str)>,
    /// For handlers whose trace is not sampled and that are measured.
    #[expect(
        clippy::vec_box,
        reason = "the boxes are what is kept: handlers move them in and out"
    )]
    measured: Vec<Box<Measured>>,
}

/// What became of a callsite.
pub(crate) enum Started {
    /// Nothing records here.
    Nothing,
    Span(Box<LiveSpan>),
    /// A span that is not sampled and is current by now.
    Entered(Token),
}

impl Started {
    /// Tells the bridge, if the span is entered by now.
    #[inline(always)]
    fn told(self) -> Self {
        if let Self::Entered(token) = self {
            switch::entered(Some(token));
        }
        self
    }

    #[inline(always)]
    fn into_span(self) -> Option<Box<LiveSpan>> {
        match self {
            Self::Span(live) => Some(live),
            Self::Nothing | Self::Entered(_) => None,
        }
    }
}

thread_local! {
    static LOCAL: RefCell<Local> = const { RefCell::new(Local::new()) };
}

/// Runs `f` on the thread's state; `None` if that is busy (rule 2) or gone (rule 3).
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL
        .try_with(|local| local.try_borrow_mut().ok().map(|mut local| f(&mut local)))
        .unwrap_or_default()
}

// The functions below are what every span runs through. They are not inlined: an annotation costs its user a few
// calls, not a few copies of this module.

/// Starts a span of an enabled callsite under the current context; none if nothing records here.
pub(crate) fn start_here(callsite: &'static Callsite) -> Option<Box<LiveSpan>> {
    if switch::is_installed() {
        return start(callsite, &Parent::Current);
    }
    with(|local| local.start_here::<false>(callsite))
        .unwrap_or_else(|| outside(|local| local.start_here::<false>(callsite)))
        .into_span()
}

/// Starts a span of an enabled callsite; none if nothing records here.
pub(crate) fn start(callsite: &'static Callsite, parent: &Parent) -> Option<Box<LiveSpan>> {
    if let Some(parent) = switch::inner_parent(parent) {
        return start(callsite, &parent);
    }
    if switch::is_suppressed() {
        return None;
    }
    with(|local| local.start::<false>(callsite, parent))
        .unwrap_or_else(|| outside(|local| local.start::<false>(callsite, parent)))
        .into_span()
}

/// Starts a child of that context at that time, of an enabled callsite; none if nothing records here.
pub(crate) fn start_child(
    callsite: &'static Callsite,
    parent: &Context,
    at: Ticks,
) -> Option<Box<LiveSpan>> {
    if switch::is_suppressed() {
        return None;
    }
    with(|local| local.start_child(callsite, parent, at))
        .unwrap_or_else(|| outside(|local| local.start_child(callsite, parent, at)))
}

/// Starts a span of an enabled callsite under the current context, and enters it if it is not sampled: there is nothing
/// to record on it before, so that it can do without a box.
pub(crate) fn start_to_enter(callsite: &'static Callsite) -> Started {
    if switch::is_installed() {
        return start_to_enter_under(callsite, &Parent::Current);
    }
    with(|local| match local.enter_unsampled() {
        Some(token) => Started::Entered(token),
        None => local.start_here_to_enter(callsite),
    })
    .unwrap_or_else(|| outside(|local| local.start_here::<false>(callsite)))
}

/// Like [`start_to_enter`], under the given parent.
pub(crate) fn start_to_enter_under(callsite: &'static Callsite, parent: &Parent) -> Started {
    if let Some(parent) = switch::inner_parent(parent) {
        return start_to_enter_under(callsite, &parent);
    }
    if switch::is_suppressed() {
        return Started::Nothing;
    }
    with(|local| local.start::<true>(callsite, parent))
        .unwrap_or_else(|| outside(|local| local.start::<false>(callsite, parent)))
        .told()
}

/// Makes the shared span current.
pub(crate) fn enter_shared(span: SharedSpan, entered: Ticks) {
    switch::entered(with(|local| local.push(None, Entry::Shared(span, entered))));
}

/// Leaves the frame and gives back what is entered in it as a span, also if it had none of its own.
#[cold]
pub(crate) fn leave_as_span(token: Token) -> Option<Box<LiveSpan>> {
    switch::exited(token);
    with(|local| {
        let (span, other) = local.remove_where(|frame| frame.token == token);
        match (span, other) {
            (None, Entry::Context(context)) => Some(local.stand_in(context)),
            (span, _) => span,
        }
    })
    .flatten()
}

/// A span that records nothing and has that context.
pub(crate) fn stand_in(context: &Context) -> Box<LiveSpan> {
    with(|local| local.stand_in(context.clone()))
        .unwrap_or_else(|| outside(|local| local.stand_in(context.clone())))
}

/// Leaves the frame and ends its span, if it is one that is open here.
pub(crate) fn end_entered(token: Token) {
    switch::exited(token);
    with(|local| {
        if !local.leave_unnamed(token) {
            local.end_frame(token);
        }
    });
}

/// Ends a span that is not entered, at the given time or now.
pub(crate) fn end(live: Box<LiveSpan>, end: Option<Ticks>) {
    let mut live = Some(live);
    with(|local| live.take().map(|live| local.end(live, end)));
    if let Some(live) = live {
        outside(|local| local.end(live, end));
    }
}

/// Runs `f` on state made for the occasion (rule 3).
#[cold]
fn outside<R>(f: impl FnOnce(&mut Local) -> R) -> R {
    f(&mut Local::new())
}

impl Local {
    const fn new() -> Self {
        Self {
            frames: Vec::new(),
            depth: 0,
            last_token: 0,
            lanes: Vec::new(),
            pool: Vec::new(),
            ids: None,
            seeded_in: 0,
            suppressed: 0,
            failures: Vec::new(),
            measured: Vec::new(),
        }
    }

    fn stand_in(&mut self, context: Context) -> Box<LiveSpan> {
        let mut live = self.pool.pop().unwrap_or_else(new_live_span);
        live.set_context(context, false);
        live.settle_unsampled(0);
        live
    }

    pub(crate) fn current(&mut self) -> Context {
        self.top().cloned().unwrap_or_default()
    }

    /// Whether nothing is current.
    #[inline]
    pub(crate) const fn is_vacant(&self) -> bool {
        self.depth == 0
    }

    /// The current context.
    #[inline(always)]
    fn top(&mut self) -> Option<&Context> {
        let at = self.depth.wrapping_sub(1);
        if self.frames.get(at).is_some_and(Frame::is_unnamed) {
            self.name(at);
        }
        self.frames.get(at).and_then(Frame::context)
    }

    #[inline(always)]
    fn push(&mut self, span: Option<Box<LiveSpan>>, other: Entry) -> Token {
        let settled = span.as_deref().map_or(0, LiveSpan::unsampled_in);
        self.put(span, other, settled)
    }

    #[inline(always)]
    fn put(&mut self, span: Option<Box<LiveSpan>>, other: Entry, settled: u32) -> Token {
        let token = next_token(&mut self.last_token);
        // A vacant frame has nothing to drop, so its fields are written in place.
        match self.frames.get_mut(self.depth) {
            Some(Frame {
                token: frame,
                span: place @ None,
                other: rest @ Entry::Vacant,
                unsampled_in,
                offer,
            }) => {
                *frame = token;
                *place = span;
                *unsampled_in = settled;
                *offer = Offer::NONE;
                // What it replaces has nothing to drop.
                std::mem::forget(std::mem::replace(rest, other));
            }
            _ => self.grow(token, span, other, settled),
        }
        self.depth += 1;
        token
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, token: Token, span: Option<Box<LiveSpan>>, other: Entry, settled: u32) {
        self.frames.truncate(self.depth);
        self.frames.push(Frame {
            token,
            span,
            other,
            unsampled_in: settled,
            offer: Offer::NONE,
        });
        let vacant = || Frame {
            token: Token(NonZeroU64::MIN),
            span: None,
            other: Entry::Vacant,
            unsampled_in: 0,
            offer: Offer::NONE,
        };
        let more = self.frames.len().max(FIRST_FRAMES);
        self.frames
            .extend(std::iter::repeat_with(vacant).take(more));
    }

    /// Removes the frame; returns its span. What else it holds is dropped.
    #[inline(always)]
    fn remove(&mut self, token: Token) -> Option<Box<LiveSpan>> {
        let at = self.depth.wrapping_sub(1);
        match self.frames.get_mut(at) {
            Some(frame) if frame.token == token => {
                self.depth = at;
                if frame.span.is_none() {
                    frame.vacate();
                }
                frame.span.take()
            }
            _ => self.remove_where(|frame| frame.token == token).0,
        }
    }

    #[inline(always)]
    fn end_frame(&mut self, token: Token) {
        if let Some(live) = self.remove(token) {
            self.end_as_it_is(live);
        }
    }

    /// Removes the innermost frame that fits, wherever it is.
    #[cold]
    fn remove_where(&mut self, fits: impl Fn(&Frame) -> bool) -> (Option<Box<LiveSpan>>, Entry) {
        let Some(at) = self.frames[..self.depth].iter().rposition(fits) else {
            return (None, Entry::Vacant);
        };
        // What is not named yet is about to lose its place above its parent.
        for above in at..self.depth {
            if self.frames[above].is_unnamed() {
                self.name(above);
            }
        }
        let used = &mut self.frames[..self.depth];
        let removed = (used[at].span.take(), std::mem::take(&mut used[at].other));
        used[at..].rotate_left(1);
        self.depth -= 1;
        removed
    }

    pub(crate) const fn suppress(&mut self) {
        self.suppressed += 1;
    }

    pub(crate) const fn unsuppress(&mut self) {
        self.suppressed = self.suppressed.saturating_sub(1);
    }

    pub(crate) const fn is_suppressed(&self) -> bool {
        self.suppressed > 0
    }

    fn start<const ENTER: bool>(
        &mut self,
        callsite: &'static Callsite,
        parent: &Parent,
    ) -> Started {
        let here = self.top();
        let inherited = here.map_or(0, Context::recorder);
        let (parent, number, hops, extras) = match parent {
            Parent::Current => (
                here.map_or(SpanContext::INVALID, Context::span_context),
                inherited,
                here.map_or(0, Context::hops),
                here.and_then(Context::extras).cloned(),
            ),
            Parent::Root => {
                let extras = here.and_then(Context::extras);
                let extras = extras.and_then(|extras| extras.baggage_only());
                (SpanContext::INVALID, inherited, 0, extras)
            }
            Parent::Context(context) => {
                let number = match context.recorder() {
                    0 => inherited,
                    number => number,
                };
                let extras = context.extras().cloned();
                (context.span_context(), number, context.hops(), extras)
            }
        };
        match extras {
            None => self.start_under::<ENTER, ()>(callsite, parent, number, hops, (), clock::now),
            Some(extras) => self.start_inheriting::<ENTER>(callsite, parent, number, hops, extras),
        }
    }

    /// Starts a child of that context at that time.
    fn start_child(
        &mut self,
        callsite: &'static Callsite,
        parent: &Context,
        at: Ticks,
    ) -> Option<Box<LiveSpan>> {
        if parent.recorder() == 0 || parent.extras().is_some() {
            let parent = Parent::from(parent);
            let mut live = self.start::<false>(callsite, &parent).into_span()?;
            live.start_since(at);
            return Some(live);
        }
        let (span, number, hops) = (parent.span_context(), parent.recorder(), parent.hops());
        self.start_under::<false, ()>(callsite, span, number, hops, (), || at)
            .into_span()
    }

    #[cold]
    #[inline(never)]
    fn start_inheriting<const ENTER: bool>(
        &mut self,
        callsite: &'static Callsite,
        parent: SpanContext,
        number: u32,
        hops: u8,
        extras: Arc<Extras>,
    ) -> Started {
        self.start_under::<ENTER, _>(callsite, parent, number, hops, extras, clock::now)
    }

    #[inline(never)]
    fn start_here_to_enter(&mut self, callsite: &'static Callsite) -> Started {
        self.start_here::<true>(callsite)
    }

    #[inline(always)]
    fn start_here<const ENTER: bool>(&mut self, callsite: &'static Callsite) -> Started {
        let (parent, number, hops) = match self.top() {
            Some(context) if context.extras().is_some() => {
                return self.start::<ENTER>(callsite, &Parent::Current);
            }
            Some(context) => (context.span_context(), context.recorder(), context.hops()),
            None => (SpanContext::INVALID, 0, 0),
        };
        self.start_under::<ENTER, ()>(callsite, parent, number, hops, (), clock::now)
    }

    /// Starts a span; one that is not sampled is entered at once if `ENTER`. Where there is nothing to inherit but the
    /// identifiers, nothing is spent on it.
    #[inline(always)]
    fn start_under<const ENTER: bool, I: Inherited>(
        &mut self,
        callsite: &'static Callsite,
        parent: SpanContext,
        number: u32,
        hops: u8,
        inherited: I,
        now: impl FnOnce() -> Ticks,
    ) -> Started {
        if self.suppressed > 0 {
            return Started::Nothing;
        }
        let number = if number == 0 {
            recorder::global_number()
        } else {
            number
        };
        let generation = throughline_ring::fork_generation();
        let ids = seeded(&mut self.ids, &mut self.seeded_in, generation);
        let lane = match find_lane(&mut self.lanes, number) {
            Some(lane) if !lane.recorder.is_closed() => lane,
            _ => return Started::Nothing,
        };
        let config = &lane.recorder.config;
        let (trace_id, flags, hops) = if parent.is_valid() {
            (parent.trace_id(), parent.trace_flags(), hops)
        } else {
            let (trace_id, flags) = ids.start_trace(config.id_generator);
            (trace_id, flags, 0)
        };
        let span_id = ids.span_id();
        let decides = inherited.decides(parent, trace_id, span_id);
        let sampled = config.sampler.samples(&decides, trace_id);
        lane.writer.tally(
            if sampled {
                recorder::STARTED
            } else {
                recorder::UNSAMPLED
            },
            1,
        );
        if let Some(origin) = Origin::of_child(parent) {
            lane.count_origin(origin, sampled);
        }
        let context = SpanContext::new(trace_id, span_id, flags.with_sampled(sampled), false);
        let context =
            Context::with_extras(context, number, inherited.into_extras()).with_hops(hops);
        let settled = !sampled && !I::ANY && config.sampler.keeps_unsampled();
        let unsampled_in = if settled { number } else { 0 };
        if ENTER && !sampled {
            return Started::Entered(self.put(None, Entry::Context(context), unsampled_in));
        }
        let mut live = self.pool.pop().unwrap_or_else(new_live_span);
        live.set_context(context, sampled);
        live.settle_unsampled(unsampled_in);
        if sampled {
            live.begin(callsite, parent, config, generation, now());
            if I::ANY {
                live.put_tracestate();
            }
        }
        Started::Span(live)
    }

    #[inline(always)]
    fn end_as_it_is(&mut self, mut live: Box<LiveSpan>) {
        live.finish(live.outcome_so_far());
        self.end(live, None);
    }

    /// Ends a span: one record, one counter.
    #[inline(always)]
    fn end(&mut self, mut live: Box<LiveSpan>, mut end: Option<Ticks>) {
        if live.is_measured() {
            let at = end.unwrap_or_else(clock::now);
            self.measure_span(&live, at);
            end = Some(at);
        }
        // A span that a fork copied is its parent process's to end.
        if live.is_recording()
            && live.generation() == throughline_ring::fork_generation()
            && let Some(lane) = find_lane(&mut self.lanes, live.context().recorder())
        {
            let counted = if lane.recorder.is_closed() {
                recorder::DROPPED_CLOSED
            } else {
                let header = live.header(end.unwrap_or_else(clock::now));
                match lane.writer.push(header.encode(), live.body()) {
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

    /// Makes the measurement of a handler's span, which ends as its record says.
    #[cold]
    #[inline(never)]
    fn measure_span(&mut self, live: &LiveSpan, end: Ticks) {
        if live.generation() == throughline_ring::fork_generation() {
            let context = live.context();
            let tail = Tail::new(live.told, context.span_context().trace_flags());
            let error_type = live.error_type().unwrap_or_default();
            let header = live.measurement(end);
            self.measure(context.recorder(), &header, tail, error_type);
        }
    }
}

impl Drop for Local {
    /// Ends what the thread left entered, so that a leaked guard costs no span.
    fn drop(&mut self) {
        while let Some(at) = self.depth.checked_sub(1) {
            self.depth = at;
            if let Some(mut live) = self.frames[at].span.take() {
                live.finish(Outcome::Cancelled);
                self.end(live, None);
            }
        }
    }
}

#[cold]
fn new_live_span() -> Box<LiveSpan> {
    Box::default()
}

/// Boxes that a thread keeps for its next spans.
const POOLED_SPANS: usize = 256;
/// Frames that a thread's stack starts with.
const FIRST_FRAMES: usize = 16;
