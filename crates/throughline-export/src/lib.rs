//! The Throughline pipeline: takes ended spans out of the threads' buffers, makes
//! batches of them and delivers them, on one thread of its own.
//!
//! ```text
//! recording threads ──► buffers ──► drain ──► queue ──► retry ──► exporter
//!                       (recorder)  └──────── export thread ───────────┘
//! ```
//!
//! Applications use it through the `throughline` crate:
//!
//! ```no_run
//! use std::time::Duration;
//! use throughline_export::Pipeline;
//!
//! let pipeline = Pipeline::builder().env().start_global()?;
//! // … the program …
//! let report = pipeline.shutdown(Duration::from_secs(5));
//! if !report.is_complete() {
//!     eprintln!("some spans are lost: {report}");
//! }
//! # Ok::<(), throughline_export::StartError>(())
//! ```
//!
//! # What holds
//!
//! 1. No thread of the application ever waits for the export, except in
//!    [`Pipeline::flush`], [`Pipeline::shutdown`] and when the pipeline is dropped,
//!    and there never beyond the timeout.
//! 2. The export thread has its own I/O driver and timer. It works without a
//!    runtime, inside any runtime, and after one is gone.
//! 3. Memory is bounded in bytes. What does not fit is dropped and counted:
//!    [`PipelineStats`] accounts for every span that started.
//! 4. A failing exporter, one that panics included, costs its batches and nothing
//!    else. Each batch has a deadline that includes its retries.
//! 5. Nothing that happens on the export thread is recorded.
//! 6. Header values and other secrets are never shown.
//! 7. After a fork the child exports nothing and says so; the parent goes on.
//!
//! # Environment
//!
//! [`PipelineBuilder::env`] reads these variables. Empty means unset; a bad value
//! is one warning, and the default holds.
//!
//! | variable | default |
//! |---|---|
//! | `OTEL_SDK_DISABLED` | `false` |
//! | `OTEL_SERVICE_NAME` | `unknown_service:<executable>` |
//! | `OTEL_RESOURCE_ATTRIBUTES` | none |
//! | `OTEL_TRACES_EXPORTER` (`otlp`, `console`, `none`; with the features `zipkin` and `file` also `zipkin`, `otlp/stdout`) | `otlp` |
//! | `OTEL_PROPAGATORS` (`tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `xray`, `datadog`, `sentry`, `none`) | `tracecontext,baggage` |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `parentbased_always_on` |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | `http://localhost:4318` |
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | `v1/traces` under the one above |
//! | `OTEL_EXPORTER_OTLP_[TRACES_]HEADERS` | none |
//! | `OTEL_EXPORTER_OTLP_[TRACES_]TIMEOUT` (one request, ms) | `10000` |
//! | `OTEL_EXPORTER_OTLP_[TRACES_]PROTOCOL` | `http/protobuf`, the only one so far |
//! | `OTEL_EXPORTER_ZIPKIN_ENDPOINT` | `http://localhost:9411/api/v2/spans` |
//! | `OTEL_EXPORTER_ZIPKIN_TIMEOUT` (one request, ms) | `10000` |
//! | `OTEL_BSP_SCHEDULE_DELAY` (ms) | `5000`; console `200` |
//! | `OTEL_BSP_EXPORT_TIMEOUT` (a batch with its retries, ms) | `30000` |
//! | `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` | no limit by count |
//! | `OTEL_[SPAN_]ATTRIBUTE_VALUE_LENGTH_LIMIT` | no limit |
//! | `OTEL_[SPAN_]ATTRIBUTE_COUNT_LIMIT` | `128` |
//! | `OTEL_SPAN_EVENT_COUNT_LIMIT`, `OTEL_SPAN_LINK_COUNT_LIMIT` | `128` |
//! | `OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT`, `OTEL_LINK_ATTRIBUTE_COUNT_LIMIT` | `128` |

#![forbid(unsafe_code)]

mod batch;
mod builder;
mod connect;
mod console;
mod decode;
mod deliver;
mod drain;
mod endpoint;
mod env;
mod error;
mod export;
mod exporter;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod given;
mod headers;
#[cfg(feature = "json")]
mod json;
mod notice;
#[cfg(feature = "opentelemetry-sdk")]
mod otel_exporter;
mod otlp;
#[cfg(feature = "file")]
mod otlp_file;
mod pipeline;
mod queue;
mod resource;
mod retry;
mod say;
mod settings;
mod shared;
mod sizes;
mod stats;
mod text;
mod thread;
#[cfg(feature = "zipkin")]
mod zipkin;

pub use builder::PipelineBuilder;
pub use error::StartError;
pub use exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter};
#[cfg(feature = "opentelemetry-sdk")]
pub use otel_exporter::SdkExporter;
pub use otlp::{Compression, OtlpExporter, OtlpExporterBuilder, Protocol};
#[cfg(feature = "file")]
pub use otlp_file::OtlpFileExporter;
pub use pipeline::Pipeline;
pub use stats::{FlushReport, PipelineStats, Tallies};
#[cfg(feature = "zipkin")]
pub use zipkin::{ZipkinExporter, ZipkinExporterBuilder};
