//! What a span costs the thread that records it, measured on the spot.

use std::future::ready;
use std::hint::black_box;
use std::time::{Duration, Instant};

use throughline::Pipeline;
use throughline::export::{Batch, ExportFuture, Receipt, SpanExporter, StartError};

pub(crate) const ROUNDS: u32 = 20;
pub(crate) const SPANS: u32 = 1000;

/// Nanoseconds per span with three attributes on the recording thread, by the wall clock: the fastest round, since
/// whatever else the machine does only ever adds.
///
/// The spans go the usual way, through a pipeline of their own, and are thrown away at its end.
pub(crate) fn ns_per_span() -> Result<f64, StartError> {
    let pipeline = Pipeline::builder().exporter(Discard).start()?;
    let _here = pipeline.context().attach();
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for number in 0..SPANS {
            let number = black_box(number);
            let span = throughline::span!("cost", name = "realist", days = number, text = %number);
            drop(black_box(span.enter()));
        }
        fastest = fastest.min(started.elapsed());
        // Between the rounds, so that no buffer fills.
        let _ = pipeline.flush(Duration::from_secs(1));
    }
    Ok(fastest.as_secs_f64() * 1e9 / f64::from(SPANS))
}

struct Discard;

impl SpanExporter for Discard {
    fn export(&mut self, _batch: Batch) -> ExportFuture<'_> {
        Box::pin(ready(Ok(Receipt::complete())))
    }
}
