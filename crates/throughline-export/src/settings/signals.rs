//! The options of signals that applications do not record through this pipeline:
//! logs and metrics.
//!
//! Owns their variables, which are read and checked with all others, so that a bad
//! value is told before somebody needs it. What their requests travel with is in
//! [`OtlpOptions`](crate::otlp::options::OtlpOptions), as for traces.

use std::time::Duration;

use crate::env::Env;

use super::{EXPORT_TIMEOUT, MAX_COUNT, batch_size};

/// How long the oldest log record of an unfinished batch waits.
const LOG_DELAY: Duration = Duration::from_secs(1);
/// How often metrics are exported.
const METRIC_INTERVAL: Duration = Duration::from_secs(60);
/// Where Prometheus finds metrics.
const PROMETHEUS: (&str, u16) = ("localhost", 9464);

/// An exporter of logs or metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalExporter {
    Otlp,
    OtlpStdout,
    Console,
    Prometheus,
}

/// Options of log records; `None` means "not said here".
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LogSettings {
    /// Empty if nothing is to be exported.
    pub(crate) exporters: Option<Vec<SignalExporter>>,
    pub(crate) schedule_delay: Option<Duration>,
    pub(crate) export_timeout: Option<Duration>,
    pub(crate) max_queue_records: Option<u64>,
    pub(crate) max_batch_records: Option<u64>,
    pub(crate) attribute_value_length: Option<u64>,
    pub(crate) attribute_count: Option<u64>,
}

impl LogSettings {
    pub(super) fn read(env: &mut Env<'_>) -> Self {
        let exporters = env.choices(
            "OTEL_LOGS_EXPORTER",
            &[
                ("otlp", Some(SignalExporter::Otlp)),
                ("otlp/stdout", Some(SignalExporter::OtlpStdout)),
                ("console", Some(SignalExporter::Console)),
                ("logging", Some(SignalExporter::Console)),
                ("none", None),
            ],
            "otlp",
        );
        let max_queue_records = env.number("OTEL_BLRP_MAX_QUEUE_SIZE", 1..=MAX_COUNT, 2048);
        let mut limit = |names: [&str; 2], default: &str| {
            names
                .iter()
                .find_map(|name| env.number(name, 0..=MAX_COUNT, default))
        };
        let attribute_value_length = limit(
            [
                "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
                "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            ],
            "no limit",
        );
        let attribute_count = limit(
            [
                "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
                "OTEL_ATTRIBUTE_COUNT_LIMIT",
            ],
            "128",
        );
        Self {
            exporters: exporters.map(flat),
            schedule_delay: env.millis("OTEL_BLRP_SCHEDULE_DELAY", LOG_DELAY),
            export_timeout: env.millis("OTEL_BLRP_EXPORT_TIMEOUT", EXPORT_TIMEOUT),
            max_queue_records,
            max_batch_records: batch_size(env, "BLRP", max_queue_records, "512"),
            attribute_value_length,
            attribute_count,
        }
    }

    pub(super) fn over(self, weaker: Self) -> Self {
        Self {
            exporters: self.exporters.or(weaker.exporters),
            schedule_delay: self.schedule_delay.or(weaker.schedule_delay),
            export_timeout: self.export_timeout.or(weaker.export_timeout),
            max_queue_records: self.max_queue_records.or(weaker.max_queue_records),
            max_batch_records: self.max_batch_records.or(weaker.max_batch_records),
            attribute_value_length: self
                .attribute_value_length
                .or(weaker.attribute_value_length),
            attribute_count: self.attribute_count.or(weaker.attribute_count),
        }
    }
}

/// Which measurements keep their trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExemplarFilter {
    AlwaysOn,
    AlwaysOff,
    TraceBased,
}

/// Options of metrics; `None` means "not said here".
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MetricSettings {
    /// Empty if nothing is to be exported.
    pub(crate) exporters: Option<Vec<SignalExporter>>,
    pub(crate) exemplar_filter: Option<ExemplarFilter>,
    pub(crate) export_interval: Option<Duration>,
    pub(crate) export_timeout: Option<Duration>,
    pub(crate) prometheus_host: Option<String>,
    pub(crate) prometheus_port: Option<u16>,
}

impl MetricSettings {
    pub(super) fn read(env: &mut Env<'_>) -> Self {
        let exporters = env.choices(
            "OTEL_METRICS_EXPORTER",
            &[
                ("otlp", Some(SignalExporter::Otlp)),
                ("otlp/stdout", Some(SignalExporter::OtlpStdout)),
                ("console", Some(SignalExporter::Console)),
                ("logging", Some(SignalExporter::Console)),
                ("prometheus", Some(SignalExporter::Prometheus)),
                ("none", None),
            ],
            "otlp",
        );
        let (_, port) = PROMETHEUS;
        Self {
            exporters: exporters.map(flat),
            exemplar_filter: env.choice(
                "OTEL_METRICS_EXEMPLAR_FILTER",
                &[
                    ("always_on", ExemplarFilter::AlwaysOn),
                    ("always_off", ExemplarFilter::AlwaysOff),
                    ("trace_based", ExemplarFilter::TraceBased),
                ],
                "trace_based",
            ),
            export_interval: env.millis("OTEL_METRIC_EXPORT_INTERVAL", METRIC_INTERVAL),
            export_timeout: env.millis("OTEL_METRIC_EXPORT_TIMEOUT", EXPORT_TIMEOUT),
            prometheus_host: env.text("OTEL_EXPORTER_PROMETHEUS_HOST"),
            prometheus_port: env
                .number("OTEL_EXPORTER_PROMETHEUS_PORT", 0..=u16::MAX.into(), port)
                .and_then(|port| u16::try_from(port).ok()),
        }
    }

    pub(super) fn over(self, weaker: Self) -> Self {
        Self {
            exporters: self.exporters.or(weaker.exporters),
            exemplar_filter: self.exemplar_filter.or(weaker.exemplar_filter),
            export_interval: self.export_interval.or(weaker.export_interval),
            export_timeout: self.export_timeout.or(weaker.export_timeout),
            prometheus_host: self.prometheus_host.or(weaker.prometheus_host),
            prometheus_port: self.prometheus_port.or(weaker.prometheus_port),
        }
    }
}

fn flat(chosen: Vec<Option<SignalExporter>>) -> Vec<SignalExporter> {
    chosen.into_iter().flatten().collect()
}
