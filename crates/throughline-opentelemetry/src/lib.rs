//! Bridges between Throughline and OpenTelemetry's API and SDK: one context, one trace, one pipeline.
#![forbid(unsafe_code)]

mod context;
mod convert;
mod open_spans;
mod processor;
mod propagator;
mod sites;
mod span;
mod tracer;

pub use context::install;
pub use processor::RecorderProcessor;
pub use propagator::Propagator;
pub use span::Span;
pub use tracer::{Tracer, TracerProvider};
