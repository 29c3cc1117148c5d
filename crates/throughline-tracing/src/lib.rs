//! `tracing` spans, events and log lines in Throughline traces.
//!
//! [`TraceLayer`] makes every `tracing` span a span of Throughline, and every event an event of whatever span is
//! current. Both libraries share one current context, so parents are right in any mix of them.
//!
//! [`LayerExt::with_trace_ids`] puts the trace and span id into each line that an application's own `fmt` layer
//! writes, as text or as JSON.
//!
//! [`init_subscriber`] does both for applications that have no subscriber of their own.

#![forbid(unsafe_code)]

mod correlate;
mod event;
mod filter;
mod keys;
mod layer;
mod log_records;
mod lookup;
mod recent;
mod scratch;
mod site;
mod span_fields;
mod subscriber;
mod values;

pub use correlate::{
    Correlated, LayerExt, LogFormat, LogId, LogIds, Shape, VisibleFields, VisibleVisitor, correlate,
};
pub use filter::TraceFilter;
pub use layer::TraceLayer;
pub use log_records::install_log_tracer;
pub use lookup::context_of;
pub use subscriber::{InstallError, Logging, init_subscriber};
