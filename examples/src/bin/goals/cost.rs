//! What a span costs the thread that records it, measured on the spot.

use std::future::ready;
use std::hint::black_box;
use std::time::{Duration, Instant};

use throughline::Pipeline;
use throughline::export::{Batch, ExportFuture, Receipt, SpanExporter, StartError};

pub(crate) const ROUNDS: usize = 20;
pub(crate) const SPANS: u32 = 1000;

/// Nanoseconds per span with three attributes on the recording thread, by the wall clock: the median round.
///
/// The spans go the usual way, through a pipeline of their own that throws them away at its end. It is a loop that
/// does nothing else, so its caches are warmer than those of a service. `None` if a span was dropped on the way, since
/// dropping costs less than recording.
pub(crate) fn ns_per_span() -> Result<Option<f64>, StartError> {
    let pipeline = Pipeline::builder().exporter(Discard).start()?;
    let _here = pipeline.context().attach();
    let mut rounds = [Duration::ZERO; ROUNDS];
    for round in &mut rounds {
        let started = Instant::now();
        for number in 0..SPANS {
            let number = black_box(number);
            let span = throughline::span!("cost", name = "realist", days = number, text = %number);
            drop(black_box(span.enter()));
        }
        *round = started.elapsed();
        // Between the rounds, so that no buffer fills; what became of the spans is looked at below.
        let _ = pipeline.flush(Duration::from_secs(1));
    }
    if pipeline.stats().exported != ROUNDS as u64 * u64::from(SPANS) {
        return Ok(None);
    }
    rounds.sort_unstable();
    let median = rounds[ROUNDS / 2];
    Ok(Some(median.as_secs_f64() * 1e9 / f64::from(SPANS)))
}

struct Discard;

impl SpanExporter for Discard {
    fn export(&mut self, _batch: Batch) -> ExportFuture<'_> {
        Box::pin(ready(Ok(Receipt::complete())))
    }
}
