//! A subscriber for applications that have none: traces, and log lines that name them.
//!
//! Owns the defaults. Who wants something else builds a subscriber of the same parts.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal};

use throughline_core::{Filter, FilterError, Level, diagnostics, set_filter};
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::format::DefaultFields;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{self as fmt_layer};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::correlate::{LayerExt, LogIds, VisibleFields};
use crate::filter::TraceFilter;
use crate::layer::TraceLayer;
use crate::log_records::install_log_tracer;

/// Installs the subscriber of [`Logging::from_env`]. Does nothing and returns `false` if the process has one.
pub fn init_subscriber() -> bool {
    Logging::from_env().install().is_ok()
}

/// A process-wide subscriber: spans and events go to Throughline's traces, events also to log lines that carry the
/// ids of their spans; so do the records of the `log` crate.
///
/// What is logged and what is traced are filtered apart: log lines by `RUST_LOG`, traces by `THROUGHLINE_FILTER`,
/// which is given to [`throughline_core::set_filter`]. Without it, native annotations are all on, and of what comes
/// from `tracing` and `log` everything from level `INFO` on is traced.
///
/// ```no_run
/// use throughline_tracing::{LogIds, Logging};
///
/// Logging::from_env().with_ids(LogIds::gcp_in_project("shop")).install()?;
/// # Ok::<(), throughline_tracing::InstallError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is installed before `install`"]
pub struct Logging {
    /// What the process-wide filter becomes.
    traced: Option<Filter>,
    json: bool,
    to_stdout: bool,
    ids: LogIds,
    directives: String,
    /// Where the directives come from, for the case that they are wrong.
    origin: &'static str,
    layer: TraceOptions,
}

/// What the trace layer and its filter are told.
#[derive(Clone, Copy, Debug)]
struct TraceOptions {
    most: LevelFilter,
    event_locations: bool,
    error_events_as_status: bool,
}

impl Logging {
    /// What the environment says: which events are logged by `RUST_LOG` (default `info`), what is traced by
    /// `THROUGHLINE_FILTER`, and JSON lines if `THROUGHLINE_LOG_FORMAT` is `json`, else text. Lines go to standard
    /// error.
    pub fn from_env() -> Self {
        let set = |name| env::var(name).ok().filter(|value| !value.trim().is_empty());
        let traced = set("THROUGHLINE_FILTER").and_then(|directives| trace_filter(&directives));
        let most = match &traced {
            Some(_) => LevelFilter::TRACE,
            None => LevelFilter::INFO,
        };
        Self {
            traced,
            json: set("THROUGHLINE_LOG_FORMAT").is_some_and(|format| says_json(&format)),
            to_stdout: false,
            ids: LogIds::otel(),
            directives: set("RUST_LOG").unwrap_or_else(|| DEFAULT_DIRECTIVES.to_owned()),
            origin: "RUST_LOG",
            layer: TraceOptions {
                most,
                event_locations: false,
                error_events_as_status: false,
            },
        }
    }

    /// Whether lines are JSON objects.
    pub const fn with_json(mut self, json: bool) -> Self {
        self.json = json;
        self
    }

    /// Whether lines go to standard output rather than standard error.
    pub const fn with_stdout(mut self, stdout: bool) -> Self {
        self.to_stdout = stdout;
        self
    }

    /// Which ids lines carry, under which names.
    pub fn with_ids(mut self, ids: LogIds) -> Self {
        self.ids = ids;
        self
    }

    /// Which events are logged, in the notation of `RUST_LOG`.
    pub fn with_filter(mut self, directives: impl Into<String>) -> Self {
        self.directives = directives.into();
        self.origin = "log filter";
        self
    }

    /// The most verbose level that is traced of what comes from `tracing` and `log`.
    pub const fn with_trace_level(mut self, most: LevelFilter) -> Self {
        self.layer.most = most;
        self
    }

    /// See [`TraceLayer::with_event_locations`].
    pub const fn with_event_locations(mut self, locations: bool) -> Self {
        self.layer.event_locations = locations;
        self
    }

    /// See [`TraceLayer::with_error_events_as_status`].
    pub const fn with_error_events_as_status(mut self, status: bool) -> Self {
        self.layer.error_events_as_status = status;
        self
    }

    /// Makes it the subscriber of the process, and `tracing` the logger of the `log` crate unless that has one.
    ///
    /// # Errors
    ///
    /// The process has a subscriber already; it stays.
    pub fn install(self) -> Result<(), InstallError> {
        let traces = TraceLayer::new()
            .with_event_locations(self.layer.event_locations)
            .with_error_events_as_status(self.layer.error_events_as_status)
            .with_filter(TraceFilter::new().up_to(self.layer.most));
        let subscriber = tracing_subscriber::registry().with(traces);
        let subscriber = subscriber.with(self.lines());
        tracing::subscriber::set_global_default(subscriber).map_err(|_| InstallError(()))?;
        if let Some(filter) = self.traced {
            set_filter(filter);
        }
        install_log_tracer();
        Ok(())
    }

    fn lines<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let terminal = if self.to_stdout {
            io::stdout().is_terminal()
        } else {
            io::stderr().is_terminal()
        };
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let out = if self.to_stdout {
            BoxMakeWriter::new(io::stdout)
        } else {
            BoxMakeWriter::new(io::stderr)
        };
        let layer = fmt_layer::layer()
            .with_writer(out)
            .with_ansi(terminal && !plain);
        let ids = self.ids.clone();
        if self.json {
            return layer
                .json()
                .with_trace_ids_as(ids)
                .with_filter(self.filter())
                .boxed();
        }
        let layer = layer.fmt_fields(VisibleFields::new(DefaultFields::new()));
        layer
            .with_trace_ids_as(ids)
            .with_filter(self.filter())
            .boxed()
    }

    fn filter(&self) -> EnvFilter {
        EnvFilter::try_new(&self.directives).unwrap_or_else(|error| {
            let (origin, directives) = (self.origin, &self.directives);
            diagnostics::say(
                Level::Warn,
                format_args!(
                    "{origin} {directives:?} is not used, {DEFAULT_DIRECTIVES:?} is: {error}"
                ),
            );
            EnvFilter::new(DEFAULT_DIRECTIVES)
        })
    }
}

/// The process has a subscriber already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstallError(());

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the process has a global `tracing` subscriber already; add `TraceLayer` to that one",
        )
    }
}

impl std::error::Error for InstallError {}

fn trace_filter(directives: &str) -> Option<Filter> {
    let filter = directives.parse();
    filter
        .inspect_err(|error: &FilterError| {
            diagnostics::say(
                Level::Warn,
                format_args!("THROUGHLINE_FILTER {directives:?} is not used: {error}"),
            );
        })
        .ok()
}

fn says_json(format: &str) -> bool {
    let format = format.trim();
    let json = format.eq_ignore_ascii_case("json");
    if !json && !format.eq_ignore_ascii_case("text") {
        diagnostics::say(
            Level::Warn,
            format_args!(
                "THROUGHLINE_LOG_FORMAT {format:?} is neither \"text\" nor \"json\"; text is used"
            ),
        );
    }
    json
}

/// What is logged if nobody says otherwise.
const DEFAULT_DIRECTIVES: &str = "info";
