//! Tracing for async Rust: one attribute, correlated logs, OTLP out.
//!
//! ```no_run
//! # #[derive(Debug)] struct OrderId(u64);
//! # impl std::fmt::Display for OrderId { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) } }
//! # #[derive(Debug)] struct Receipt;
//! # #[derive(Debug)] struct OrderError;
//! # impl std::fmt::Display for OrderError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("no") } }
//! #[throughline::traced(attrs(order.id = %id), err)]
//! async fn place_order(id: OrderId) -> Result<Receipt, OrderError> {
//!     tracing::info!("charged");
//!     Ok(Receipt)
//! }
//!
//! #[throughline::main]
//! async fn main() {
//!     let _ = place_order(OrderId(42)).await;
//! }
//! ```
//!
//! Every log line inside carries the ids of its span. With `OTEL_EXPORTER_OTLP_ENDPOINT` set, the spans arrive at that
//! collector; with `OTEL_TRACES_EXPORTER=console`, they are drawn as trees; without either, a collector on
//! `localhost:4318` is tried, and one line says if there is none.
//!
//! # Applications
//!
//! [`#[main]`](macro@main), or [`init`], or [`Pipeline::builder`] start recording and export. Configuration is that of
//! OpenTelemetry: the [`export`] module lists the variables.
//!
//! # Libraries
//!
//! Depend on this crate with `default-features = false`: annotations cost one relaxed load until an application turns
//! recording on, and nothing but the recording core comes with them.
//!
//! # What becomes a span
//!
//! | you write | you get |
//! |---|---|
//! | [`#[traced]`](macro@traced) on a function, an async function, an impl block, a trait, a module | a span per call |
//! | [`span!`] | a [`Span`] for a block ([`Span::in_scope`]) or a future ([`FutureExt::in_span`]) |
//! | [`enter!`] | a span for the rest of a block |
//! | [`current`] | the current span, to add attributes, events, errors and links |
//! | [`Context::current`], [`FutureExt::with_context`] | what carries a trace by hand |
//! | `task::spawn`, `task::spawn_blocking`, `task::JoinSet`, … | tasks that stay in the trace |
//! | [`thread::spawn`], [`thread::scope`] | threads that stay in the trace |
//! | `runtime::Builder`, under `--cfg tokio_unstable` | a runtime whose tasks stay in the trace whoever spawns them |
//! | `channel::mpsc` and the others in place of Tokio's | messages that bring their sender's context, a span per message handled |
//! | `tracing` spans, events and log lines, through `tracing::TraceLayer` | the same trace |
//!
//! A span ends [completed, with an error, cancelled or panicked](core::Outcome); a dropped future is not a success.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `export` | yes | the pipeline: batching and OTLP export on a thread of its own |
//! | `gzip` | yes | compression of what is exported |
//! | `tls` | yes | `https` endpoints, with rustls |
//! | `tokio` | yes | [`main`](macro@main) and [`test`](macro@test), tasks that keep their context |
//! | `tracing` | yes | the layer for `tracing`, trace ids in log lines |
//! | `grpc`, `json` | no | OTLP over gRPC, and as JSON over HTTP |
//! | `zstd` | no | compression of what is exported, with Zstandard |
//! | `file`, `zipkin` | no | OTLP as lines of JSON in files, spans to Zipkin |
//! | `http` | no | trace contexts in the headers of the `http` crate |
//! | `tower` | no | a layer that makes a span of each request to a server: `http::ServerLayer` |
//! | `task-builder` | no | `task::Builder`, under `--cfg tokio_unstable` |
//! | `tokio-util` | no | `task::TaskTracker` |
//! | `opentelemetry` | no | bridges to the OpenTelemetry API and SDK |
//! | `messaging` | no | channels that carry the context, spans for those who handle messages, counts per channel |
//! | `flume`, `async-channel` | no | the same for the channels of these crates |
//! | `cqrs-es` | no | spans for the commands, queries and replays of this crate |
//! | `kameo` | no | spans for the messages and the lifecycle of kameo actors |
//! | `metrics` | no | metrics of actors, queue handlers and projections, through the OpenTelemetry metrics API |
//! | `signals` | no | `Pipeline::shutdown_on_signals`: the last spans at `SIGTERM` and `SIGINT`, on Unix |
//! | `rayon` | no | jobs and parallel iterators that keep their context |
//! | `rdkafka` | no | Kafka records that keep their context, spans for those who send and handle them |
//! | `spool` | no | a bounded buffer in files, for the time that a destination does not work |
//! | `testing` | no | captures and tree pictures for tests, an OTLP receiver |
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "tokio")]
mod entry;
#[cfg(feature = "export")]
mod init;

#[doc(hidden)]
pub mod __private;

#[cfg(feature = "export")]
pub use init::init;
pub use throughline_core as core;
pub use throughline_core::{Context, FutureExt, Span, current, propagate, thread};
#[cfg(feature = "cqrs-es")]
pub use throughline_cqrs_es as cqrs_es;
#[cfg(feature = "export")]
pub use throughline_export as export;
#[cfg(feature = "export")]
pub use throughline_export::Pipeline;
#[cfg(feature = "http")]
pub use throughline_http as http;
#[cfg(feature = "kameo")]
pub use throughline_kameo as kameo;
pub use throughline_macros::{
    actor, consumer, enter, main, producer, projection, skip, span, test, traced,
};
#[cfg(feature = "messaging")]
pub use throughline_messaging as channel;
#[cfg(feature = "metrics")]
pub use throughline_metrics as metrics;
#[cfg(feature = "opentelemetry")]
pub use throughline_opentelemetry as opentelemetry;
#[cfg(feature = "rayon")]
pub use throughline_rayon as rayon;
#[cfg(feature = "rdkafka")]
pub use throughline_rdkafka as rdkafka;
#[cfg(feature = "testing")]
pub use throughline_testing as testing;
#[cfg(feature = "tokio")]
pub use throughline_tokio as task;
#[cfg(feature = "tokio")]
pub use throughline_tokio::runtime;
#[cfg(feature = "tracing")]
pub use throughline_tracing as tracing;

/// The examples of the README are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
