//! Configures a pipeline and starts it.
//!
//! Owns the public options, their validation and the wiring of the parts. What
//! the environment says is kept apart and laid under the explicit options when
//! the pipeline starts, so the order of calls does not matter.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use throughline_core::propagate::{self, Propagator};
use throughline_core::{Recorder, RecorderConfig, Sampler, SpanLimits};

use crate::batch::Batcher;
use crate::console::ConsoleExporter;
use crate::deliver::{Delivery, FOREVER, Timeouts, name_of, spooled_by};
use crate::destination::Destination;
use crate::drain::Drain;
use crate::env::process_variable;
use crate::error::StartError;
use crate::export::Export;
use crate::exporter::SpanExporter;
use crate::otlp::Signal;
use crate::otlp::client::OtlpClient;
#[cfg(feature = "file")]
use crate::otlp_file::OtlpFileExporter;
use crate::pipeline::Pipeline;
use crate::queue::Capacity;
use crate::resource::Resource;
use crate::say;
use crate::sdk_metrics::sender::{Sender, unix_nano};
use crate::sdk_metrics::{Component, SdkMetrics};
use crate::settings::{
    EXPORT_TIMEOUT, ExporterKind, METRIC_INTERVAL, SCHEDULE_DELAY, Settings, TIMEOUT,
};
use crate::shared::Shared;
use crate::sizes::Sizes;
use crate::sync::Bell;
use crate::thread;

mod otlp;

/// The schedule delay of the console exporter: who watches it does not want to wait.
const CONSOLE_DELAY: Duration = Duration::from_millis(200);

/// The options of a [`Pipeline`]. Made by [`Pipeline::builder`].
///
/// Explicit options win over what [`env`](Self::env) reads, whichever is said first.
///
/// ```no_run
/// use throughline_export::Pipeline;
///
/// let pipeline = Pipeline::builder()
///     .service_name("cart")
///     .endpoint("http://collector:4318")
///     .env()
///     .start_global()?;
/// // … the program …
/// let report = pipeline.shutdown(std::time::Duration::from_secs(5));
/// # Ok::<(), throughline_export::StartError>(())
/// ```
#[must_use = "a builder does nothing until it is started"]
#[derive(Default)]
pub struct PipelineBuilder {
    explicit: Settings,
    environment: Settings,
    warnings: Vec<String>,
    custom: Vec<Box<dyn SpanExporter>>,
    poll_statistics: Option<bool>,
    /// The first option that was refused.
    error: Option<StartError>,
}

impl PipelineBuilder {
    /// Takes whatever is not said explicitly from the `OTEL_*` variables.
    ///
    /// A bad value is reported in one line when the pipeline starts, and its default
    /// is used.
    pub fn env(self) -> Self {
        self.env_from(process_variable)
    }

    /// Like [`env`](Self::env), with another source of variables.
    pub fn env_from(mut self, lookup: impl Fn(&str) -> Option<String>) -> Self {
        (self.environment, self.warnings) = Settings::from_env(&lookup);
        self
    }

    /// The resource attribute `service.name`. Default: `unknown_service:` and the
    /// name of the executable.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.explicit.service_name = Some(name.into());
        self
    }

    /// Adds or replaces one attribute of the resource.
    pub fn resource_attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.explicit.attributes.push((key.into(), value.into()));
        self
    }

    /// How long one batch may take with all its retries; zero means no limit.
    /// Default: 30 s.
    pub fn export_timeout(mut self, timeout: Duration) -> Self {
        self.explicit.export_timeout = Some(timeout);
        self
    }

    /// How long a span may wait for its batch to fill. Default: 5 s, and 200 ms for
    /// the console.
    pub fn schedule_delay(mut self, delay: Duration) -> Self {
        self.explicit.schedule_delay = Some(delay);
        self
    }

    /// In which headers contexts travel, for the whole process: what
    /// [`propagate::extract`] and [`propagate::inject`] use once
    /// [`start_global`](Self::start_global) has succeeded. Default: `tracecontext,baggage`.
    pub fn propagator(mut self, propagator: Propagator) -> Self {
        self.explicit.propagator = Some(propagator);
        self
    }

    /// Which traces are recorded. Default: those whose parent is, and every trace
    /// that starts here.
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.explicit.sampler = Some(sampler);
        self
    }

    /// What one span may hold.
    pub fn limits(mut self, limits: SpanLimits) -> Self {
        self.explicit.limits = Some(limits);
        self
    }

    /// Whether spans of futures carry poll count, busy and idle time. Default: yes.
    pub fn poll_statistics(mut self, on: bool) -> Self {
        self.poll_statistics = Some(on);
        self
    }

    /// What ended spans may occupy, half of it in the buffers of the recording
    /// threads and half in batches that wait for the exporters. Default: 64 MiB;
    /// at least 64 KiB. Beyond it spans are dropped and counted.
    pub fn max_memory_bytes(mut self, bytes: usize) -> Self {
        self.explicit.max_memory_bytes = Some(bytes);
        self
    }

    /// The size at which a batch is sent. Default: 960 KiB, some 4 000 spans. A span
    /// that is larger travels alone.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.explicit.max_batch_bytes = Some(bytes);
        self
    }

    /// The number of spans at which a batch is sent. Default: no limit, since the
    /// size decides.
    pub fn max_batch_spans(mut self, spans: u64) -> Self {
        self.explicit.max_batch_spans = Some(spans);
        self
    }

    /// How many spans may wait in batches for each destination. Default: no limit, since the memory
    /// decides. More spans stay in the buffers of the recording threads, as far as
    /// those go.
    pub fn max_queue_spans(mut self, spans: u64) -> Self {
        self.explicit.max_queue_spans = Some(spans);
        self
    }

    /// Exports with this instead of OTLP over HTTP. Each call adds a destination.
    ///
    /// Several destinations get the same batches, and share their bytes. Each has its
    /// own thread, queue, retries and counts, so that a slow or dead one holds up no
    /// other: the batches of the memory that this pipeline may use are divided among
    /// them, and a destination whose share is full drops spans (`queue_full`) as long as
    /// another one has room. With one destination, or when none has room, spans wait in
    /// the buffers of the recording threads first.
    ///
    /// ```
    /// use throughline_export::{Batch, ExportFuture, Pipeline, Receipt, SpanExporter};
    ///
    /// struct Archive;
    ///
    /// impl SpanExporter for Archive {
    ///     fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
    ///         Box::pin(async move { Ok(Receipt::complete()) })
    ///     }
    ///
    ///     fn destination(&self) -> String {
    ///         "the archive".to_owned()
    ///     }
    /// }
    ///
    /// let pipeline = Pipeline::builder().exporter(Archive).console().start()?;
    /// let stats = pipeline.stats();
    /// let names: Vec<&str> = stats.destinations.iter().map(|one| &*one.destination).collect();
    /// assert_eq!(names, ["the archive", "standard output"]);
    /// # Ok::<(), throughline_export::StartError>(())
    /// ```
    pub fn exporter(mut self, exporter: impl SpanExporter + 'static) -> Self {
        self.custom.push(Box::new(exporter));
        self
    }

    /// Draws each trace on standard output instead of exporting it, or beside what
    /// [`exporter`](Self::exporter) adds.
    pub fn console(mut self) -> Self {
        let kinds = self.explicit.exporters.get_or_insert_default();
        if !kinds.contains(&ExporterKind::Console) {
            kinds.push(ExporterKind::Console);
        }
        self
    }

    /// Exports nothing: spans are made and their context travels, for log
    /// correlation for instance, and then they are counted as dropped.
    pub fn no_exporter(mut self) -> Self {
        self.explicit.exporters = Some(Vec::new());
        self
    }

    /// Keeps spans in files under this directory while a destination does not work, as
    /// [`SpoolExporter`](crate::SpoolExporter) does, in a directory of its own for each
    /// built-in exporter that sends over the network: `otlp` and `zipkin`. Default: not at
    /// all.
    ///
    /// A directory belongs to one pipeline of one process at a time:
    /// [`start`](Self::start) refuses one that is in use. Exporters that
    /// [`exporter`](Self::exporter) adds are for the program to wrap.
    #[cfg(feature = "spool")]
    pub fn spool(mut self, directory: impl Into<std::path::PathBuf>) -> Self {
        self.explicit.spool.directory = Some(directory.into());
        self
    }

    /// What the files of each [spool](Self::spool) may occupy. Default: 128 MiB; at least
    /// 64 KiB.
    #[cfg(feature = "spool")]
    pub fn spool_max_bytes(mut self, bytes: u64) -> Self {
        self.explicit.spool.max_bytes = Some(bytes);
        self
    }

    /// Whether the pipeline sends metrics about itself over OTLP: spans started and
    /// live, waiting, in flight, exported and lost by reason, and the durations of
    /// exports, under the `otel.sdk.*` names of the OpenTelemetry semantic conventions
    /// (status: development). Default: no.
    ///
    /// They go where the OTLP options and variables for metrics say, whatever the spans
    /// are exported with, every `OTEL_METRIC_EXPORT_INTERVAL` and once at the end of a
    /// shutdown, on a thread of their own. An `OTEL_METRICS_EXPORTER` that does not list
    /// `otlp` turns them off.
    /// [`Pipeline::stats`] has the same figures.
    pub fn sdk_metrics(mut self, on: bool) -> Self {
        self.explicit.sdk_metrics = Some(on);
        self
    }

    /// How often metrics of the pipeline are sent. Default: 60 s, also for zero.
    pub fn metric_interval(mut self, interval: Duration) -> Self {
        self.explicit.metrics.export_interval = Some(interval);
        self
    }

    /// Whether to record nothing at all, like `OTEL_SDK_DISABLED`.
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.explicit.disabled = Some(disabled);
        self
    }

    /// Starts a pipeline of its own: it records the traces that start in its
    /// [context](Pipeline::context).
    ///
    /// Works on any thread, inside a runtime or not.
    ///
    /// # Errors
    ///
    /// An option is [invalid](StartError::is_invalid_option) or
    /// [unsupported](StartError::is_unsupported), or the operating system gives
    /// [no thread](StartError::is_out_of_resources).
    pub fn start(mut self) -> Result<Pipeline, StartError> {
        if let Some(level) = self.environment.log_level {
            say::up_to(level);
        }
        for warning in self.warnings.drain(..) {
            say::warn(warning);
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut settings = self.explicit;
        if !self.custom.is_empty() {
            // Who names exporters in the program does not mean those of the environment.
            settings.exporters.get_or_insert_default();
        }
        let settings = settings.over(self.environment);
        if settings.disabled == Some(true) {
            return Ok(Pipeline::disabled());
        }
        // Exporters are foreign code from their construction on.
        let _invisible = thread::invisible();
        let mut exporters = self.custom;
        let kinds = settings.exporters.as_deref();
        let kinds = kinds.unwrap_or(&[ExporterKind::Otlp]);
        for kind in kinds {
            exporters.push(match kind {
                ExporterKind::Otlp => {
                    let otlp = otlp::exporter(&settings)?;
                    spooled(&settings, "otlp", Box::new(otlp))?
                }
                #[cfg(feature = "file")]
                ExporterKind::OtlpStdout => Box::new(OtlpFileExporter::stdout()),
                #[cfg(feature = "zipkin")]
                ExporterKind::Zipkin => {
                    let zipkin = settings.zipkin.clone().exporter(&settings.proxies)?;
                    spooled(&settings, "zipkin", Box::new(zipkin))?
                }
                ExporterKind::Console => Box::new(ConsoleExporter::to_stdout()),
            });
        }
        let sizes = Sizes::of(&settings, exporters.len())?;

        let mut config = RecorderConfig::default();
        config.sampler = settings.sampler.unwrap_or_default();
        config.limits = settings.limits.unwrap_or_default();
        config.poll_statistics = self.poll_statistics.unwrap_or(config.poll_statistics);
        config.chunk_bytes = sizes.chunk_bytes;
        if exporters.is_empty() {
            // Without an exporter there is no reader, hence nothing to keep.
            config.max_bytes = 0;
            return Ok(Pipeline::without_exporter(Recorder::start(config)));
        }
        config.max_bytes = sizes.buffer_bytes;
        let delay =
            settings
                .schedule_delay
                .unwrap_or(match kinds.contains(&ExporterKind::Console) {
                    true => CONSOLE_DELAY,
                    false => SCHEDULE_DELAY,
                });
        let timeouts = Timeouts {
            attempt: limit(settings.otlp.traces.timeout.unwrap_or(TIMEOUT)),
            total: limit(settings.export_timeout.unwrap_or(EXPORT_TIMEOUT)),
        };
        let batcher = Batcher::new(resource(&settings).encode(), sizes.batch);
        let sender = match settings.sdk_metrics {
            Some(true) => sender(&settings, &exporters)?,
            _ => None,
        };
        let drain = Drain::new(batcher, delay, sizes.buffer_bytes);
        run(
            Recorder::start(config),
            exporters,
            sizes.queue,
            timeouts,
            drain,
            sender,
        )
    }

    /// Starts the pipeline of the whole process: it records every trace that does
    /// not start in the context of another pipeline.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start), and a process-wide pipeline is
    /// [already running](StartError::is_already_installed).
    pub fn start_global(self) -> Result<Pipeline, StartError> {
        if Recorder::global().is_some_and(|recorder| !recorder.is_closed()) {
            return Err(StartError::installed());
        }
        let propagator = self
            .explicit
            .propagator
            .clone()
            .or_else(|| self.environment.propagator.clone());
        let pipeline = self.start()?;
        // Also where nothing is recorded: contexts travel on.
        if let Some(Err(other)) = propagator.map(propagate::set_global)
            && other != *propagate::global()
        {
            say::warn("the propagator of the process was set before; it stays");
        }
        match pipeline.recorder().map(Recorder::install_global) {
            None | Some(Ok(())) => Ok(pipeline),
            // Somebody else was faster; the pipeline is dropped, and empty.
            Some(Err(_)) => Err(StartError::installed()),
        }
    }
}

impl fmt::Debug for PipelineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineBuilder")
            .field("explicit", &self.explicit)
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}

/// Puts the parts together and starts the threads.
fn run(
    recorder: Recorder,
    exporters: Vec<Box<dyn SpanExporter>>,
    capacity: Capacity,
    timeouts: Timeouts,
    drain: Drain,
    sender: Option<Sender>,
) -> Result<Pipeline, StartError> {
    let bell = Arc::new(Bell::default());
    let destinations: Vec<_> = exporters
        .iter()
        .map(|exporter| {
            let name = name_of(exporter.as_ref());
            let spooled = spooled_by(exporter.as_ref());
            Arc::new(Destination::new(name, spooled, capacity, Arc::clone(&bell)))
        })
        .collect();
    let waker = Arc::clone(&bell);
    recorder.set_waker(move || waker.ring());
    let shared = Arc::new(Shared::new(recorder, bell, destinations));
    let exports = exporters
        .into_iter()
        .zip(&shared.lifecycle.destinations)
        .enumerate();
    let exports = exports
        .map(|(index, (exporter, destination))| Export {
            index,
            destination: Arc::clone(destination),
            delivery: Delivery::new(
                exporter,
                Arc::clone(destination),
                timeouts,
                shared.lifecycle.urgency(),
            ),
        })
        .collect();
    match thread::spawn(&shared, exports, drain) {
        Ok(mut threads) => {
            match sender.map(|sender| sender.start(&shared)).transpose() {
                Ok(thread) => threads.extend(thread),
                Err(source) => {
                    // Nothing has been recorded, so there is nothing to report.
                    let _ = shared.shutdown(NO_WORK);
                    return Err(no_thread(source));
                }
            }
            Ok(Pipeline::served_by(shared, threads))
        }
        Err(source) => {
            shared.recorder.close();
            Err(no_thread(source))
        }
    }
}

/// Puts a spool around an exporter, if there is to be one.
#[cfg_attr(
    not(feature = "spool"),
    expect(clippy::unnecessary_wraps, reason = "a spool may be refused")
)]
fn spooled(
    settings: &Settings,
    name: &str,
    exporter: Box<dyn SpanExporter>,
) -> Result<Box<dyn SpanExporter>, StartError> {
    #[cfg(feature = "spool")]
    if let Some(directory) = &settings.spool.directory {
        let attempt = settings.otlp.traces.timeout.unwrap_or(TIMEOUT);
        let spool = settings
            .spool
            .around(exporter, directory.join(name), attempt)?;
        return Ok(Box::new(spool));
    }
    let _ = (settings, name);
    Ok(exporter)
}

/// How long threads without work may take to end.
const NO_WORK: Duration = Duration::from_secs(1);

fn no_thread(source: io::Error) -> StartError {
    let message = format!("the export thread could not be started: {source}");
    StartError::resources(message, source)
}

/// What sends the metrics of a pipeline with these destinations.
fn sender(
    settings: &Settings,
    exporters: &[Box<dyn SpanExporter>],
) -> Result<Option<Sender>, StartError> {
    if !settings.metrics.is_otlp() {
        if settings
            .metrics
            .exporters
            .as_ref()
            .is_some_and(|all| !all.is_empty())
        {
            say::warn(
                "metrics of the pipeline go over otlp only, which OTEL_METRICS_EXPORTER does not \
                 list; they are not sent",
            );
        }
        return Ok(None);
    }
    let interval = settings
        .metrics
        .export_interval
        .filter(|interval| !interval.is_zero());
    let timeout = settings.metrics.export_timeout.unwrap_or(EXPORT_TIMEOUT);
    let one_request = settings.otlp.metrics.timeout.unwrap_or(TIMEOUT);
    Ok(Some(Sender {
        metrics: SdkMetrics {
            resource: resource(settings).encode(),
            components: Component::of_all(exporters),
            queue_capacity: settings.max_queue_spans,
            start_unix_nano: unix_nano(),
        },
        client: OtlpClient::new(Signal::Metrics, &settings.otlp.metrics, &settings.proxies)?,
        interval: interval.unwrap_or(METRIC_INTERVAL),
        timeout: limit(timeout).min(limit(one_request)),
        failing: false,
    }))
}

/// Zero means no limit.
fn limit(timeout: Duration) -> Duration {
    if timeout.is_zero() { FOREVER } else { timeout }
}

fn resource(settings: &Settings) -> Resource {
    let mut resource = Resource::detected();
    for (key, value) in &settings.attributes {
        resource.set(key.as_str(), value.as_str());
    }
    if let Some(name) = &settings.service_name {
        resource.set_service_name(name.as_str());
    }
    resource
}

#[cfg(test)]
mod tests;
