//! The log: set up as an application would, and kept, so that every line can be checked.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use throughline::core::{SpanId, TraceId};
use throughline::tracing::{LayerExt, TraceFilter, TraceLayer};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Where the log lines go; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    /// Whether they go to standard output as well.
    echo: bool,
}

impl Log {
    pub(crate) fn new(echo: bool) -> Self {
        Self {
            text: Arc::default(),
            echo,
        }
    }

    /// Makes this the log of the process: JSON lines with the ids of their spans. Spans and events of `tracing` become
    /// part of the traces.
    pub(crate) fn install(&self) -> Result<(), TryInitError> {
        // What libraries log below that, Kafka's client for one, is nothing that a trace needs.
        let traces = TraceFilter::new().up_to(LevelFilter::INFO);
        let traces = TraceLayer::new().with_filter(traces);
        let lines = fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_target(false)
            .with_writer(self.clone())
            .with_trace_ids()
            .with_filter(LevelFilter::INFO);
        tracing_subscriber::registry()
            .with(traces)
            .with(lines)
            .try_init()
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = self.lock();
        let lines = String::from_utf8_lossy(&text);
        lines.lines().map(str::to_owned).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Write for Log {
    /// The subscriber writes a whole line at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lock().extend_from_slice(line);
        if self.echo {
            io::stdout().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the checks read of a line.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    trace_id: Option<String>,
    span_id: Option<String>,
    trace_flags: Option<String>,
    #[serde(flatten)]
    pub(crate) said: Said,
}

/// What the code that wrote the line says about itself. It does not ask Throughline for any of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    /// The function, or the name of the `tracing` span, that wrote the line; none outside of all spans.
    pub(crate) logged_by: Option<String>,
    /// Which of several calls of the function, if there are several per request.
    pub(crate) adviser: Option<String>,
    /// The goal that it is about, by its title.
    pub(crate) goal: Option<String>,
    /// The same, by the name of its stream of events.
    pub(crate) stream: Option<String>,
    /// The `traceparent` header as it was received.
    pub(crate) caller: Option<String>,
}

impl Line {
    /// The ids on the line; none if they are not all there and well-formed.
    pub(crate) fn ids(&self) -> Option<(TraceId, SpanId)> {
        let flags = self.trace_flags.as_deref()?;
        u8::from_str_radix(flags, 16).ok()?;
        let trace_id = self.trace_id.as_deref()?.parse().ok()?;
        let span_id = self.span_id.as_deref()?.parse().ok()?;
        Some((trace_id, span_id))
    }

    pub(crate) fn has_any_id(&self) -> bool {
        self.trace_id.is_some() || self.span_id.is_some() || self.trace_flags.is_some()
    }
}
