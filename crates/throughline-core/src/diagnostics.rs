//! What Throughline has to say about itself: few lines, to standard error unless the application takes them.
//!
//! Diagnostics never go through `tracing` or `log`, so that they cannot become telemetry about telemetry.

use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use crate::kind::Level;

/// Receives diagnostics instead of standard error.
pub type Sink = dyn Fn(Level, &fmt::Arguments<'_>) + Send + Sync;

/// Sends all further diagnostics to `sink`; `None` restores standard error.
pub fn set_sink(sink: Option<Arc<Sink>>) {
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = sink;
}

/// Says one line. Never call it per span.
pub fn say(level: Level, line: fmt::Arguments<'_>) {
    let sink = SINK.read().unwrap_or_else(PoisonError::into_inner).clone();
    match sink {
        Some(sink) => sink(level, &line),
        // A line that cannot be written is lost: `eprintln!` would panic where standard error is closed.
        None => drop(writeln!(std::io::stderr().lock(), "throughline: {line}")),
    }
}

static SINK: RwLock<Option<Arc<Sink>>> = RwLock::new(None);
