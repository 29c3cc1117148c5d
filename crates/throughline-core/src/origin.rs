//! Where the parents of spans run, and how many spans of each kind started.
//!
//! Nearly all parents run where their children do, so what is counted is the others.

use throughline_ring::TALLIES;

use crate::recorder::{STARTED, UNSAMPLED};
use crate::span_context::SpanContext;

/// Spans that started, by where their parents run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParentOrigins {
    /// They have no parent: they started their traces.
    pub none: u64,
    /// It runs in this process.
    pub local: u64,
    /// It runs in another process.
    pub remote: u64,
}

impl ParentOrigins {
    /// What the counters say of spans that are sampled, or of those that are not.
    pub(crate) const fn of(tallies: &[u64; TALLIES], sampled: bool) -> Self {
        let all = tallies[if sampled { STARTED } else { UNSAMPLED }];
        let none = tallies[Origin::None.counter(sampled)];
        let remote = tallies[Origin::Remote.counter(sampled)];
        Self {
            none,
            local: all.saturating_sub(none + remote),
            remote,
        }
    }
}

/// Where the parent of a span runs, if not where the span does.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    None,
    Remote,
}

impl Origin {
    /// That of a child of the span, which may be none.
    #[inline(always)]
    pub(crate) fn of_child(parent: SpanContext) -> Option<Self> {
        if !parent.is_valid() {
            Some(Self::None)
        } else if parent.is_remote() {
            Some(Self::Remote)
        } else {
            None
        }
    }

    /// The number of the counter of such spans.
    pub(crate) const fn counter(self, sampled: bool) -> usize {
        FIRST + 2 * self as usize + sampled as usize
    }
}

const FIRST: usize = 6;
const _: () = assert!(Origin::Remote.counter(true) < TALLIES);
