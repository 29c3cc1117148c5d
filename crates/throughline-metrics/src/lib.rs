//! Metrics of actors, queue handlers and projections, through the OpenTelemetry metrics API.
//!
//! [`Metrics::start`] takes what a [`Recorder`](throughline_core::Recorder) measured of each handled message, on a thread
//! of its own, and records it into instruments of a [`Meter`](opentelemetry::metrics::Meter). The thread that handles a
//! message writes one entry of about a hundred bytes into its buffer and calls no instrument. Whether the message's trace
//! is sampled makes no difference. While no `Metrics` runs, nothing is measured, which costs one relaxed load.
//!
//! The SDK, its readers and exporters are the application's choice. With the OTLP exporter of `opentelemetry-otlp`, which reads
//! the `OTEL_EXPORTER_OTLP_*` variables as the pipeline of spans does:
//!
//! ```no_run
//! use opentelemetry::metrics::MeterProvider;
//! use opentelemetry_otlp::MetricExporter;
//! use opentelemetry_sdk::metrics::SdkMeterProvider;
//! use throughline_core::{Recorder, RecorderConfig};
//! use throughline_metrics::Metrics;
//!
//! let exporter = MetricExporter::builder().with_http().build()?;
//! // It exports every minute, or as `OTEL_METRIC_EXPORT_INTERVAL` says.
//! let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter).build();
//! // That of a running pipeline, as a rule: `Recorder::global()`.
//! let recorder = Recorder::start(RecorderConfig::default());
//! let metrics = Metrics::start(&recorder, &provider.meter("shop"))?;
//! // … the program runs …
//! metrics.shutdown();
//! provider.shutdown()?; // exports what is left
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A measurement knows the span of its message, but the SDK of OpenTelemetry for Rust (0.33) collects no exemplars, so that
//! metrics have none.
//!
//! # Instruments
//!
//! | instrument | kind, unit | attributes |
//! |---|---|---|
//! | `actor.process.duration` | histogram, s | `actor.system`, `actor.type`, `actor.message.type`, `actor.mailbox.name`, `error.type` |
//! | `actor.mailbox.wait.duration` | histogram, s | the same, without `error.type` |
//! | `actor.mailbox.size` | gauge, {message} | `actor.mailbox.name` |
//! | `actor.messages.dropped` | counter, {message} | `actor.mailbox.name` |
//! | `actor.ask.timeouts` | counter, {ask} | `actor.mailbox.name` |
//! | `actor.live` | up-down counter, {actor} | `actor.system`, `actor.type` |
//! | `messaging.process.duration` | histogram, s | `messaging.system`, `messaging.operation.name`, `messaging.destination.name`, `messaging.consumer.group.name`, `error.type` |
//! | `messaging.client.consumed.messages` | counter, {message} | the same, without `error.type` |
//! | `messaging.client.operation.duration` | histogram, s | the same and `messaging.operation.type`, for sends, settlements and, where they have [spans](throughline_messaging::queue::Poll), receives |
//! | `messaging.client.sent.messages` | counter, {message} | the same, for sends |
//! | `projection.process.duration` | histogram, s | `projection.name`, `projection.event.type`, `error.type` |
//! | `projection.wait.duration` | histogram, s | the same, without `error.type` |
//! | `projection.events.skipped` | counter, {event} | `projection.name` |
//! | `projection.live` | up-down counter, {projection} | `projection.name` |
//! | `projection.lag` | gauge, s | `projection.name`, `projection.partition` |
//! | `projection.lag.events` | gauge, {event} | the same |
//!
//! The buckets are those of the messaging conventions. A batch of records and a page of events are handled once, and each
//! record of a batch is consumed. `error.type` is the span's, where the span is an error; of a handler that is not sampled it
//! is known what it returned, and whether it panicked or was cancelled, but not which status it set by hand.
//!
//! Live are the actors of a [`Lifecycle`](throughline_messaging::actor::Lifecycle) while it runs them, those of kameo between the
//! hooks of `throughline-kameo`, and those of whom a host of your own [says so](throughline_messaging::actor::Identity::started):
//! one that panics is no more, until it is started again. Which actor it is no metric says.
//!
//! The lag is that of projections which [follow](throughline_messaging::Projection::follow) the
//! [head](throughline_messaging::Head) of what is written: how long the oldest event waits that they have not handled, and how
//! many wait. It grows while a projection stands still, and is gone with the projection. Nothing is asked of a store for it.
//!
//! # Bounds
//!
//! A process keeps 2 000 sets of destinations, groups, projections and types; what comes later is told under
//! `otel.metric.overflow`, so that sums stay what they are. Measurements wait in
//! [`RecorderConfig::measurement_bytes`](throughline_core::RecorderConfig::measurement_bytes) of memory, apart from spans;
//! what finds no room is counted in
//! [`RecorderStats::measurements_dropped`](throughline_core::RecorderStats::measurements_dropped).
#![forbid(unsafe_code)]

mod attributes;
mod instruments;
mod keys;
mod metrics;

pub use metrics::Metrics;
