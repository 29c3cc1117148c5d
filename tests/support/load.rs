//! Spans to record, with the ids by which the oracle finds them again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use throughline::core::SpanId;
use throughline::{Pipeline, Span, span};

/// The id of a span.
pub fn id_of(span: &Span) -> SpanId {
    span.context().span_context().span_id()
}

/// Records spans in the current context and returns the ids of those that are recorded.
pub fn record(count: u64) -> Vec<SpanId> {
    let mut ids = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
    for number in 0..count {
        ids.extend(record_one(number));
    }
    ids
}

/// Records one span; `None` if nothing is recorded any more.
pub fn record_one(number: u64) -> Option<SpanId> {
    let span = span!("work", number = number);
    let id = span.is_recording().then(|| id_of(&span));
    span.end();
    id
}

/// Records spans in a pipeline.
pub fn record_in(pipeline: &Pipeline, count: u64) -> Vec<SpanId> {
    let _here = pipeline.context().attach();
    record(count)
}

/// Records spans in the current context at a rate, until told to stop or until the recorder is closed.
///
/// The rate is kept in bursts of one millisecond; a thread that was not scheduled makes up for it.
pub fn record_at(per_second: u64, stop: &AtomicBool, mut noted: impl FnMut(SpanId)) {
    let start = Instant::now();
    let mut number = 0;
    // Relaxed: the flag carries nothing with it.
    while !stop.load(Ordering::Relaxed) {
        let due = (start.elapsed().as_secs_f64() * per_second as f64) as u64;
        while number < due {
            number += 1;
            match record_one(number) {
                Some(id) => noted(id),
                None => return,
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
