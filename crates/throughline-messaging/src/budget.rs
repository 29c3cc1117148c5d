//! How many spans of handlers each trace has in this process.
//!
//! A table of a fixed size: each trace falls into one of its rows, and takes one of the places there. Where all are
//! taken, the trace that nobody added to for a while makes room, or else the one with the fewest spans: so a trace that
//! grows and grows keeps its count however many small ones come and go.
//!
//! Rules of concurrency: counts are relaxed, and of two threads that add to a row at once one may forget the other's
//! span.

use std::sync::atomic::{AtomicU64, Ordering};

use throughline_core::clock::{self, Ticks};
use throughline_core::{SpanContext, TraceId};

/// Counts one more span in the trace; says how many there were.
#[inline]
pub(crate) fn spend(span: SpanContext, now: Ticks) -> u32 {
    if !span.is_sampled() || !span.is_valid() {
        return 0;
    }
    add(
        span.trace_id(),
        clock::ticks_to_nanos(now.get()) >> AGE_BITS,
    )
}

fn add(trace: TraceId, age: u64) -> u32 {
    let (row, trace) = row_of(trace);
    let age = (age << COUNT_BITS) & AGE;
    let mut victim = (&row[0], u64::MAX);
    for place in row {
        let known = place.load(Ordering::Relaxed);
        if known & TRACE == trace && known != 0 {
            let count = known & COUNT;
            place.store(trace | age | (count + 1).min(COUNT), Ordering::Relaxed);
            return u32::try_from(count).unwrap_or(u32::MAX);
        }
        let lately = known & AGE == age || known & AGE == age.wrapping_sub(1 << COUNT_BITS) & AGE;
        let worth = if lately { known & COUNT } else { 0 };
        if worth < victim.1 {
            victim = (place, worth);
        }
    }
    victim.0.store(trace | age | 1, Ordering::Relaxed);
    0
}

/// The row of a trace, and the part of its identifier that is kept there.
#[inline]
fn row_of(trace: TraceId) -> (&'static [AtomicU64; PLACES], u64) {
    // The last bytes are random in every format, so one part of them may choose the row and another tell traces apart.
    let [.., a, b, c, d, e, f, g, h] = trace.to_bytes();
    let low = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let row = usize::try_from(low % ROWS as u64).unwrap_or_default();
    (&TABLE[row], (low << 20) & TRACE)
}

/// A power of two; 32 KiB with their places.
const ROWS: usize = 1024;
/// Traces of one row that are counted at once.
const PLACES: usize = 4;
/// The bits of a place that count.
const COUNT_BITS: u32 = 32;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
/// The bits of a place that tell when the trace was last added to, in units of 2^[`AGE_BITS`] nanoseconds: 17 s.
const AGE: u64 = 0xFF << COUNT_BITS;
const AGE_BITS: u32 = 34;
/// The bits of a place that tell the trace.
const TRACE: u64 = !(COUNT | AGE);

static TABLE: [[AtomicU64; PLACES]; ROWS] = [const { [const { AtomicU64::new(0) }; PLACES] }; ROWS];

#[cfg(test)]
mod tests {
    use throughline_core::{SpanId, TraceFlags};

    use super::*;

    /// The traces of these numbers fall into one row.
    fn trace(row: u128, number: u128) -> TraceId {
        TraceId::from_bytes((0xabcd << 64 | number << 24 | row).to_be_bytes())
    }

    #[test]
    fn each_trace_is_counted_by_itself() {
        let [one, other] = [trace(1, 1), trace(1, 2)];
        let counted = [one, other, one, one, other].map(|trace| add(trace, 0));
        assert_eq!(counted, [0, 0, 1, 2, 1]);
    }

    #[test]
    fn a_trace_that_grows_keeps_its_count_whatever_comes_and_goes() {
        let large = trace(2, 1);
        for spans in 0..10 {
            assert_eq!(add(large, 0), spans);
        }
        for number in 2..1_000 {
            assert_eq!(add(trace(2, number), 0), 0);
        }
        assert_eq!(add(large, 1), 10);
        // Two units later it is the first to go.
        for number in 2..6 {
            add(trace(2, number), 3);
        }
        assert_eq!(add(large, 3), 0);
    }

    #[test]
    fn what_makes_no_span_costs_nothing() {
        let flags = TraceFlags::default();
        let span_id = SpanId::from_bytes([1; 8]);
        let unsampled = SpanContext::new(trace(3, 1), span_id, flags, false);
        let spent = [unsampled, unsampled].map(|span| spend(span, clock::now()));
        assert_eq!(spent, [0, 0]);
    }
}
