//! Bridges between Throughline and OpenTelemetry's API and SDK: one context, one trace, one pipeline.
//!
//! | you have | you add |
//! |---|---|
//! | native or `tracing` spans, and libraries that ask `opentelemetry::Context::current()` | [`install`] |
//! | libraries that make spans through the OpenTelemetry API | [`TracerProvider`] as the global tracer provider |
//! | libraries that read and write headers through the OpenTelemetry API | [`Propagator`] as the global propagator |
//! | an `SdkTracerProvider`, with or without `tracing-opentelemetry` on top | [`RecorderProcessor`] |
//! | an exporter of the SDK | `SdkExporter` of `throughline-export` (feature `opentelemetry-sdk`) |
//!
//! ```
//! use opentelemetry::global;
//! use throughline_opentelemetry::{Propagator, TracerProvider};
//!
//! throughline_opentelemetry::install();
//! global::set_text_map_propagator(Propagator::new());
//! global::set_tracer_provider(TracerProvider::new());
//! ```
//!
//! # Coming from `tracing-opentelemetry`
//!
//! The way has three steps, and each can be the last. The example `migrate` runs a program before and after each of
//! them and shows that it records the same trace.
//!
//! **One: keep the SDK, replace the export side.** Where the provider had a batch processor with an OTLP exporter, it
//! has a [`RecorderProcessor`]. Spans that are not sampled stay at home, also those that a sampler only records. The
//! resource is that of Throughline's pipeline.
//!
//! ```
//! use opentelemetry::trace::TracerProvider;
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use throughline_opentelemetry::RecorderProcessor;
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! // `throughline::init()` started the pipeline.
//! let provider = SdkTracerProvider::builder()
//!     .with_span_processor(RecorderProcessor::global())
//!     .build();
//! let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop"));
//! let subscriber = tracing_subscriber::registry().with(layer);
//! ```
//!
//! **Two: replace the SDK, keep the layer.** The tracer of `OpenTelemetryLayer` is one of ours, and so is the global
//! provider. The span extension (`set_parent`, `context`, `add_link`) works as it did; sampling and limits are those
//! of the pipeline. With [`install`], native spans and these are children of each other.
//!
//! ```
//! use opentelemetry::trace::TracerProvider as _;
//! use throughline_opentelemetry::TracerProvider;
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! throughline_opentelemetry::install();
//! let tracer = TracerProvider::new().tracer("shop");
//! let layer = tracing_opentelemetry::layer().with_tracer(tracer);
//! let subscriber = tracing_subscriber::registry().with(layer);
//! ```
//!
//! **Three: replace the layer.** `TraceLayer` of `throughline-tracing` stands where `OpenTelemetryLayer` stood; not
//! both, since each makes a span of every `tracing` span. What the span extension did is then:
//!
//! | before | after |
//! |---|---|
//! | `span.set_parent(cx)` | `let _here = cx.attach();` before the span is made |
//! | `span.context()` | `opentelemetry::Context::current()` inside the span |
//! | `span.add_link(cx)` | `throughline::current().add_link(..)`, or `Context::current().span().add_link(..)` |
//! | `span.set_attribute(k, v)` | `throughline::current().set_attribute(k, v)` |
//! | `span.set_status(s)` | `throughline::current().set_status(..)`, or a field `otel.status_code` |
//!
//! # Names that meet
//!
//! `throughline::FutureExt::in_span` applies to values of every type, as `opentelemetry::trace::Tracer::in_span` does
//! to tracers. Where both traits are imported, name the one that is meant: `Tracer::in_span(&tracer, "name", |cx| ..)`.
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
