//! One entry of the stack of current contexts.

use std::num::NonZeroU64;

use crate::callsite::Callsite;
use crate::clock::Ticks;
use crate::context::Context;
use crate::id::SpanId;
use crate::live::LiveSpan;
use crate::shared::SharedSpan;

/// One entry of the stack of current contexts.
///
/// A span stands apart from the rarer entries, so that to enter and to leave it moves one pointer. What a span needs lies
/// in the first line of the cache that a frame has, and to find a frame takes a shift.
#[repr(C, align(128))]
pub(super) struct Frame {
    pub(super) token: Token,
    pub(super) span: Option<Box<LiveSpan>>,
    /// The recorder in which no child of this is sampled, whatever else holds; zero if a child has to be decided.
    pub(super) unsampled_in: u32,
    /// Whether `other` is the context of a handler, and whether a layer further in took it over.
    pub(super) offer: Offer,
    /// What is current if `span` is none.
    pub(super) other: Entry,
}

const _: () = assert!(size_of::<Frame>() == 128);

/// Whether a frame holds the context of a handler whose trace is not sampled, and who observes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer(u32);

impl Offer {
    /// It is no handler's.
    pub(crate) const NONE: Self = Self(0);
    /// A layer further in may take it over.
    pub(crate) const fn made(is_measured: bool) -> Self {
        Self(1 | (is_measured as u32) << 31)
    }

    pub(super) const fn is_made(self) -> bool {
        self.0 & !MEASURED == 1
    }

    pub(super) const fn is_measured(self) -> bool {
        self.0 & MEASURED != 0
    }

    /// A layer further in took it over, which has that callsite.
    #[inline(always)]
    pub(super) fn taken(self, by: Option<&'static Callsite>) -> Self {
        let by = by.map_or(2, |by| by.number().saturating_add(3));
        Self(self.0 & MEASURED | by & !MEASURED)
    }

    /// The number of the callsite of the layer that took it over, if that has one.
    pub(crate) const fn taken_by(self) -> Option<u32> {
        (self.0 & !MEASURED).checked_sub(3)
    }
}

/// The handler is measured.
const MEASURED: u32 = 1 << 31;

/// What else than a span of this thread may be current.
#[derive(Debug, Default)]
pub(crate) enum Entry {
    /// Nothing, or a span that is entered here and nowhere else.
    #[default]
    Vacant,
    /// A span that several threads may enter, and when this one did.
    Shared(SharedSpan, Ticks),
    /// A context whose span is elsewhere, or is being edited further up the call stack.
    Context(Context),
    /// A span that is not sampled, right above its parent. It has no identifier until somebody asks.
    Unnamed,
}

/// Identifies a frame on its thread, so that guards may be dropped in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(pub(super) NonZeroU64);

impl Token {
    pub(crate) const fn number(self) -> u64 {
        self.0.get()
    }
}

impl Frame {
    #[cold]
    #[inline(never)]
    pub(super) fn vacate(&mut self) {
        self.other = Entry::Vacant;
    }

    #[inline(always)]
    pub(super) const fn is_vacant(&self) -> bool {
        self.span.is_none() && matches!(self.other, Entry::Vacant)
    }

    #[inline(always)]
    pub(super) const fn is_unnamed(&self) -> bool {
        matches!(self.other, Entry::Unnamed)
    }

    /// Whether the shared span is entered here.
    #[inline(always)]
    pub(super) fn is_shared(&self, span: SpanId) -> bool {
        matches!(&self.other, Entry::Shared(other, _)
            if other.context_ref().span_context().span_id() == span)
    }

    #[inline(always)]
    pub(super) fn context(&self) -> Option<&Context> {
        match (&self.span, &self.other) {
            (Some(live), _) => Some(live.context()),
            (None, Entry::Shared(span, _)) => Some(span.context_ref()),
            (None, Entry::Context(context)) => Some(context),
            (None, Entry::Vacant | Entry::Unnamed) => None,
        }
    }
}

/// A token that the thread has not given out yet.
#[inline(always)]
pub(super) fn next_token(last: &mut u64) -> Token {
    *last += 1;
    Token(NonZeroU64::new(*last).unwrap_or(NonZeroU64::MIN))
}
