//! What `tracing` spans, events and log lines become, as pictures.

mod support;

/// Attributes: how values are typed, and when they are recorded.
mod attributes;
/// Events: on which span, under which name, with which attributes.
mod events;
/// What is recorded and what is not, and what that does to parents.
mod filters;
/// What values from elsewhere must not do to log output.
mod hostile;
/// The ids in log lines: every preset, every format.
mod log_lines;
/// Records of the `log` crate.
mod log_records;
/// Parents, in any mix of native and `tracing` spans, over awaits, tasks and threads.
mod nesting;
/// Panics, re-entrancy, spans that outlive their threads.
mod robustness;
/// The `otel.*` fields, at creation and late.
mod special_fields;
/// The subscriber for applications that have none.
mod subscriber;
