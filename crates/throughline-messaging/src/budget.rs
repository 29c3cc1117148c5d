//! How many spans of handlers each trace has in this process.
//!
//! A table of a fixed size, one place per trace as far as their identifiers fall apart. Rules of concurrency: counts
//! are relaxed, and of two threads that meet a new trace at once one may forget the other's span.

use std::sync::atomic::{AtomicU64, Ordering};

use throughline_core::{SpanContext, TraceId};

/// Counts one more span in the trace; says how many there were.
#[inline]
pub(crate) fn spend(span: SpanContext) -> u32 {
    if !span.is_sampled() || !span.is_valid() {
        return 0;
    }
    let (place, trace) = place_of(span.trace_id());
    let known = place.load(Ordering::Relaxed);
    if known & TRACE != trace {
        place.store(trace | 1, Ordering::Relaxed);
        return 0;
    }
    let spans = known & SPANS;
    if spans < SPANS {
        place.fetch_add(1, Ordering::Relaxed);
    }
    u32::try_from(spans).unwrap_or(u32::MAX)
}

/// The place of a trace, and the part of its identifier that is kept there.
#[inline]
fn place_of(trace: TraceId) -> (&'static AtomicU64, u64) {
    // The last bytes are random in every format, so one part of them may choose the place and another tell traces
    // apart.
    let [.., a, b, c, d, e, f, g, h] = trace.to_bytes();
    let low = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let place = usize::try_from(low % PLACES as u64).unwrap_or_default();
    (&TABLE[place], (low << 12) & TRACE)
}

/// Traces that are counted at once; a power of two. 32 KiB.
const PLACES: usize = 4096;
/// The bits of a place that count.
const SPANS: u64 = 0xFFFF_FFFF;
/// The bits of a place that tell the trace.
const TRACE: u64 = !SPANS;

static TABLE: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];

#[cfg(test)]
mod tests {
    use throughline_core::{SpanId, TraceFlags};

    use super::*;

    fn span(trace: u128, flags: TraceFlags) -> SpanContext {
        let trace = TraceId::from_bytes(trace.to_be_bytes());
        SpanContext::new(trace, SpanId::from_bytes([1; 8]), flags, false)
    }

    #[test]
    fn each_trace_is_counted_by_itself() {
        let one = span(0x1234_5678_9abc_def0_0123, TraceFlags::SAMPLED);
        let other = span(0x1234_5678_9abc_def0_0124, TraceFlags::SAMPLED);
        assert_eq!([one, other, one, one, other].map(spend), [0, 0, 1, 2, 1]);
        // They fall on one place: the later one's count begins again.
        let rival = span(0x1234_5678_0abc_def0_0123, TraceFlags::SAMPLED);
        assert_eq!([rival, one].map(spend), [0, 0]);
    }

    #[test]
    fn what_makes_no_span_costs_nothing() {
        let unsampled = span(0x77, TraceFlags::default());
        assert_eq!([unsampled, unsampled].map(spend), [0, 0]);
        assert_eq!([SpanContext::INVALID; 2].map(spend), [0, 0]);
    }
}
