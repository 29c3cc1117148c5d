//! Head sampling: the decision whether a trace is recorded, taken before any work is done for it.

use crate::id::TraceId;
use crate::span_context::SpanContext;

/// Decides which spans are recorded. The decision needs the trace id and the parent only.
///
/// ```
/// use throughline_core::Sampler;
///
/// let tenth = Sampler::parent_based(Sampler::trace_id_ratio(0.1));
/// assert_eq!(tenth.description(), "ParentBased{root:TraceIdRatioBased{0.1}}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    root: Root,
    parent_based: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Root {
    AlwaysOn,
    AlwaysOff,
    Ratio { ratio: f64, threshold: u64 },
}

impl Sampler {
    /// Records every span.
    pub const fn always_on() -> Self {
        Self {
            root: Root::AlwaysOn,
            parent_based: false,
        }
    }

    /// Records no span; contexts still travel.
    pub const fn always_off() -> Self {
        Self {
            root: Root::AlwaysOff,
            parent_based: false,
        }
    }

    /// Records the given share of all traces, the same ones in every process that uses this ratio or a higher one.
    ///
    /// `ratio` is clamped to `0.0..=1.0`; a ratio that is not a number counts as `1.0`. The trace is recorded if the
    /// right-most seven bytes of its id, the part that W3C level 2 calls random, reach `2⁵⁶ · (1 − ratio)`.
    pub fn trace_id_ratio(ratio: f64) -> Self {
        let ratio = if ratio.is_nan() {
            1.0
        } else {
            ratio.clamp(0.0, 1.0)
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the product lies in 0..=2^56"
        )]
        let threshold = (RANDOM_RANGE as f64 * (1.0 - ratio)) as u64;
        Self {
            root: Root::Ratio { ratio, threshold },
            parent_based: false,
        }
    }

    /// Follows the parent where there is one, local or remote, and asks `root` otherwise.
    pub const fn parent_based(root: Self) -> Self {
        Self {
            root: root.root,
            parent_based: true,
        }
    }

    /// The text form that OpenTelemetry's `GetDescription` prescribes.
    pub fn description(&self) -> String {
        let root = match self.root {
            Root::AlwaysOn => "AlwaysOnSampler".to_owned(),
            Root::AlwaysOff => "AlwaysOffSampler".to_owned(),
            Root::Ratio { ratio, .. } => format!("TraceIdRatioBased{{{ratio}}}"),
        };
        if self.parent_based {
            format!("ParentBased{{root:{root}}}")
        } else {
            root
        }
    }

    /// Whether no child of a span that is not sampled is.
    #[inline(always)]
    pub(crate) const fn keeps_unsampled(&self) -> bool {
        self.parent_based || matches!(self.root, Root::AlwaysOff)
    }

    #[inline]
    pub(crate) fn samples(&self, parent: &SpanContext, trace_id: TraceId) -> bool {
        if self.parent_based && parent.is_valid() {
            return parent.trace_flags().is_sampled();
        }
        match self.root {
            Root::AlwaysOn => true,
            Root::AlwaysOff => false,
            Root::Ratio { threshold, .. } => randomness(trace_id) >= threshold,
        }
    }
}

impl Default for Sampler {
    /// Parent based, recording every trace that starts here: the default of the specification.
    fn default() -> Self {
        Self::parent_based(Self::always_on())
    }
}

/// One more than the largest value of the right-most seven bytes of a trace id.
const RANDOM_RANGE: u64 = 1 << 56;

fn randomness(trace_id: TraceId) -> u64 {
    trace_id.low() & (RANDOM_RANGE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Ids, SpanId, TraceFlags};

    fn share(ratio: f64) -> f64 {
        let mut ids = Ids::seeded();
        let sampler = Sampler::trace_id_ratio(ratio);
        let kept = (0..100_000)
            .filter(|_| sampler.samples(&SpanContext::INVALID, ids.trace_id()))
            .count();
        kept as f64 / 100_000.0
    }

    #[test]
    fn a_ratio_keeps_its_share() {
        assert_eq!((share(0.0), share(1.0), share(f64::NAN)), (0.0, 1.0, 1.0));
        assert!((share(0.25) - 0.25).abs() < 0.02);
    }

    #[test]
    fn a_lower_ratio_keeps_a_subset() {
        let mut ids = Ids::seeded();
        let (low, high) = (Sampler::trace_id_ratio(0.1), Sampler::trace_id_ratio(0.5));
        for id in std::iter::repeat_with(|| ids.trace_id()).take(10_000) {
            assert!(
                !low.samples(&SpanContext::INVALID, id) || high.samples(&SpanContext::INVALID, id)
            );
        }
    }

    #[test]
    fn the_parent_decides_where_it_may() {
        let mut ids = Ids::seeded();
        let id = ids.trace_id();
        for (flags, expected) in [(TraceFlags::SAMPLED, true), (TraceFlags::NONE, false)] {
            let parent = SpanContext::new(id, SpanId::from_bytes([1; 8]), flags, true);
            assert_eq!(
                Sampler::parent_based(Sampler::always_off()).samples(&parent, id),
                expected
            );
            assert!(Sampler::always_on().samples(&parent, id));
        }
    }
}
