//! The Throughline pipeline: takes ended spans out of the threads' buffers, makes
//! batches of them and delivers them, on threads of its own.
//!
//! ```text
//! recording threads ──► buffers ──► drain ─┬─► queue ──► retry ──► exporter
//!                       (recorder)         └─► queue ──► retry ──► exporter
//!                                 drain thread   └──── export threads ────┘
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
//! 2. Each export thread has its own I/O driver and timer. It works without a
//!    runtime, inside any runtime, and after one is gone.
//! 3. Memory is bounded in bytes. What does not fit is dropped and counted:
//!    [`PipelineStats`] accounts for every span that started.
//! 4. A failing exporter, one that panics included, costs its batches and nothing
//!    else. Each batch has a deadline that includes its retries. One that holds its
//!    thread is given up half a second after its time limit: the batch counts as
//!    failed (`blocked`), a flush is answered at once as failed, a shutdown ends
//!    without it. What waits for it goes on waiting, within the bounds, and is
//!    exported should it ever return; no second thread is started for it, since
//!    nobody could take the exporter away from the first.
//! 5. Nothing that happens on the pipeline's threads is recorded.
//! 6. Header values and other secrets are never shown.
//! 7. After a fork the child exports nothing and says so; the parent goes on.
//! 8. A batch that the other side finds too large is sent in halves, and those in
//!    halves, so that only spans that are too large by themselves are lost.
//! 9. Of several destinations none waits for another: each has its own thread, queue,
//!    retries, counts and notices.
//!
//! # How a process may end
//!
//! What a healthy collector gets of 100 spans that have ended and wait for their batch:
//!
//! | the process ends | it gets |
//! |---|---|
//! | when `main` returns, which holds the pipeline | 100 |
//! | by a panic that unwinds to there | 100 |
//! | after a panic hook that calls [`Pipeline::shutdown`] | 100 |
//! | by `SIGTERM`, after `Pipeline::shutdown_on_signals` (feature `signals`) | 100 |
//! | by `SIGINT`, after `Pipeline::shutdown_on_signals` (feature `signals`) | 100 |
//! | when `main` returns, and the pipeline is in a static | 0 |
//! | by `std::process::exit` | 0 |
//! | by `std::process::abort`, or a panic where panics abort | 0 |
//! | by `SIGTERM` or `SIGINT` without a handler | 0 |
//! | by `SIGKILL` | 0 |
//!
//! Where it says 0, the batch that was being sent may arrive or not, and all that was
//! delivered before has arrived.
//!
//! # Environment
//!
//! [`PipelineBuilder::env`] reads these variables. Empty means unset; a bad value
//! is one warning, and the default holds.
//!
//! | variable | default |
//! |---|---|
//! | `OTEL_SDK_DISABLED` | `false` |
//! | `OTEL_LOG_LEVEL` (`none`, `error`, `warn`, `info`; of what the pipelines of the process say) | `info` |
//! | `OTEL_SERVICE_NAME` | `unknown_service:<executable>` |
//! | `OTEL_RESOURCE_ATTRIBUTES` | none |
//! | `OTEL_TRACES_EXPORTER` (a list of `otlp`, `console` and, with the features of these names, `zipkin` and `otlp/stdout` (`file`); or `none`) | `otlp` |
//! | `OTEL_PROPAGATORS` (`tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `xray`, `datadog`, `sentry`, `none`) | `tracecontext,baggage` |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `parentbased_always_on` |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` (`http/protobuf`; with the features `grpc` and `json`, `grpc` and `http/json`) | `http/protobuf` |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` (a base URL, or `unix:///path`) | `http://localhost:4318`; gRPC `http://localhost:4317` |
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` (the exact URL) | `v1/traces` under the one above |
//! | `OTEL_EXPORTER_OTLP_INSECURE` (gRPC to an endpoint without a scheme) | `false` |
//! | `OTEL_EXPORTER_OTLP_HEADERS` | none |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` (`none`; with the features of these names, `gzip` and `zstd`) | `none` |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT` (one request, ms) | `10000` |
//! | `OTEL_EXPORTER_OTLP_CERTIFICATE` (a PEM file) | the roots of the system |
//! | `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`, `OTEL_EXPORTER_OTLP_CLIENT_KEY` (PEM files) | none |
//! | `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` (`http://…`, `socks5://…`), `NO_PROXY` | none |
//! | `OTEL_EXPORTER_ZIPKIN_ENDPOINT` | `http://localhost:9411/api/v2/spans` |
//! | `OTEL_EXPORTER_ZIPKIN_TIMEOUT` (one request, ms) | `10000` |
//! | `OTEL_BSP_SCHEDULE_DELAY` (ms) | `5000`; console `200` |
//! | `OTEL_BSP_EXPORT_TIMEOUT` (a batch with its retries, ms) | `30000` |
//! | `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` | no limit by count |
//! | `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_METRIC_EXPORT_TIMEOUT` (metrics of the pipeline, ms) | `60000`, `30000` |
//! | `OTEL_METRICS_EXPORTER` (of which [the pipeline's own metrics](PipelineBuilder::sdk_metrics) take `otlp` and `none`) | `otlp` |
//! | `OTEL_RUST_EXPORTER_SPOOL_DIRECTORY` (feature `spool`) | none: no spool |
//! | `OTEL_RUST_EXPORTER_SPOOL_MAX_BYTES` (of each destination's files) | `134217728` |
//! | `OTEL_[SPAN_]ATTRIBUTE_VALUE_LENGTH_LIMIT` | no limit |
//! | `OTEL_[SPAN_]ATTRIBUTE_COUNT_LIMIT` | `128` |
//! | `OTEL_SPAN_EVENT_COUNT_LIMIT`, `OTEL_SPAN_LINK_COUNT_LIMIT` | `128` |
//! | `OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT`, `OTEL_LINK_ATTRIBUTE_COUNT_LIMIT` | `128` |
//!
//! Each `OTEL_EXPORTER_OTLP_…` exists for one signal too, as
//! `OTEL_EXPORTER_OTLP_TRACES_…`, and wins there over the one for all. The variables
//! of logs, and those of metrics that the pipeline has no use for, are read and
//! checked like the others: `OTEL_EXPORTER_OTLP_LOGS_…`, `OTEL_LOGS_EXPORTER`,
//! `OTEL_BLRP_…`, `OTEL_LOGRECORD_…`, `OTEL_METRICS_EXEMPLAR_FILTER` and
//! `OTEL_EXPORTER_PROMETHEUS_…`. `OTEL_CONFIG_FILE` and `OTEL_ENTITIES` are answered
//! with a warning.
//!
//! What is asked for and was not compiled in is an error at the start, such as an
//! `https` endpoint without the feature `tls`: nothing is ever sent in plaintext that
//! was to go over TLS. Only a compression that is missing is passed over, with a
//! warning.

#![forbid(unsafe_code)]

mod batch;
#[cfg(not(throughline_loom))]
mod bell;
mod builder;
mod connect;
mod console;
mod decode;
mod deliver;
mod destination;
mod drain;
mod durations;
mod endpoint;
mod env;
#[macro_use]
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
mod lifecycle;
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
mod sdk_metrics;
mod settings;
mod shared;
#[cfg(all(unix, feature = "signals"))]
mod signals;
mod sizes;
mod split;
#[cfg(feature = "spool")]
mod spool;
mod stats;
mod sync;
mod text;
mod thread;
#[cfg(feature = "zipkin")]
mod zipkin;

pub use builder::PipelineBuilder;
pub use durations::{Durations, Operations};
pub use error::StartError;
pub use exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter, SpooledReader};
#[cfg(feature = "opentelemetry-sdk")]
pub use otel_exporter::SdkExporter;
pub use otlp::{Compression, OtlpExporter, OtlpExporterBuilder, Protocol};
#[cfg(feature = "file")]
pub use otlp_file::OtlpFileExporter;
pub use pipeline::Pipeline;
#[cfg(feature = "spool")]
#[doc(hidden)]
pub use spool::check_segment;
#[cfg(feature = "spool")]
pub use spool::{SpoolBuilder, SpoolError, SpoolExporter, SpoolHandle, SpoolStats};
pub use stats::{
    DestinationReport, DestinationStats, FlushReport, PipelineStats, SpooledSpans, Tallies,
};
#[cfg(feature = "zipkin")]
pub use zipkin::{ZipkinExporter, ZipkinExporterBuilder};
