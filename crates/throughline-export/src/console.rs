//! Draws traces as trees on standard output.
//!
//! Owns when a trace is drawn: as soon as the span it began with has come. Spans
//! that end later are drawn as a continuation. [`decode`] reads the batches,
//! [`tree`] makes the picture.

mod decode;
mod tree;

use std::future::ready;
use std::io::{self, Write};

use self::decode::ConsoleSpan;
use crate::exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter};

/// How many spans may wait for the beginning of their trace.
const MAX_WAITING_SPANS: usize = 10_000;

pub(crate) struct ConsoleExporter<W> {
    out: W,
    /// Traces without a beginning, in the order in which they were first seen.
    waiting: Vec<Trace>,
}

struct Trace {
    id: [u8; 16],
    spans: Vec<ConsoleSpan>,
}

impl ConsoleExporter<io::Stdout> {
    pub(crate) fn to_stdout() -> Self {
        Self::new(io::stdout())
    }
}

impl<W: Write> ConsoleExporter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            waiting: Vec::new(),
        }
    }

    /// Takes the spans in and draws the traces that are ready.
    fn take(&mut self, batch: &Batch) -> Result<Receipt, ExportError> {
        let spans = decode::spans(batch.request())
            .map_err(|error| ExportError::permanent("malformed", error.to_string()))?;
        for span in spans {
            self.trace(span.trace_id).spans.push(span);
        }
        let mut ready = Vec::new();
        self.waiting.retain_mut(|trace| {
            let begun = trace.spans.iter().any(ConsoleSpan::begins_trace);
            if begun {
                ready.push(std::mem::take(&mut trace.spans));
            }
            !begun
        });
        let mut kept: usize = self.waiting.iter().map(|trace| trace.spans.len()).sum();
        while kept > MAX_WAITING_SPANS {
            let oldest = self.waiting.remove(0);
            kept -= oldest.spans.len();
            ready.push(oldest.spans);
        }
        self.draw(ready)
    }

    fn draw(&mut self, traces: Vec<Vec<ConsoleSpan>>) -> Result<Receipt, ExportError> {
        let picture: String = traces.into_iter().map(tree::draw).collect();
        self.out
            .write_all(picture.as_bytes())
            .and_then(|()| self.out.flush())
            .map(|()| Receipt::complete())
            .map_err(|error| {
                let message = format!("standard output cannot be written: {error}");
                ExportError::permanent("io", message).with_source(error)
            })
    }

    fn trace(&mut self, id: [u8; 16]) -> &mut Trace {
        let known = self.waiting.iter().rposition(|trace| trace.id == id);
        let index = known.unwrap_or_else(|| {
            self.waiting.push(Trace {
                id,
                spans: Vec::new(),
            });
            self.waiting.len() - 1
        });
        &mut self.waiting[index]
    }
}

impl<W: Write + Send> SpanExporter for ConsoleExporter<W> {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        Box::pin(ready(self.take(&batch)))
    }

    fn flush(&mut self) -> ExportFuture<'_> {
        let rest = std::mem::take(&mut self.waiting);
        let rest = rest.into_iter().map(|trace| trace.spans).collect();
        Box::pin(ready(self.draw(rest)))
    }

    fn destination(&self) -> String {
        "standard output".to_owned()
    }
}

#[cfg(test)]
mod tests;
