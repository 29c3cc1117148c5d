//! What most spans never have: events, links, polls, a handler's part, an end that is not the usual one.
//!
//! It is emptied where the span before had some of it, so that a span which has none spends nothing on it.

use crate::clock::Ticks;
use crate::handler::Handling;
use crate::record::Polls;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Course {
    /// Whether the span ends otherwise than most: with an error, or with something left out.
    pub(super) unusual: bool,
    /// Whether a poll of the span unwound.
    pub(super) unwound: bool,
    pub(super) handling: Handling,
    pub(super) events: u32,
    pub(super) links: u32,
    pub(super) dropped: Dropped,
    /// When the span ended, if somebody else knows.
    pub(super) ended_at: Option<Ticks>,
    pub(super) polls: Polls,
}

/// How much was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) attributes: u32,
    pub(super) events: u32,
    pub(super) links: u32,
}
