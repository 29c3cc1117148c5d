//! The options of a pipeline, each of which may be unset, and the table of
//! environment variables that set them.
//!
//! Owns which variable means what and the defaults. The builder fills one
//! [`Settings`] by hand, the environment fills another, and [`Settings::over`]
//! lays the first over the second.

use std::time::Duration;

use throughline_core::propagate::Propagator;
use throughline_core::{Level, Sampler, SpanLimits};

use crate::connect::proxy::ProxySettings;
use crate::env::Env;
use crate::otlp::options::{OtlpOptions, PerSignal};
use crate::resource;
#[cfg(feature = "spool")]
use crate::spool::SpoolSettings;
#[cfg(feature = "zipkin")]
use crate::zipkin::ZipkinOptions;

mod signals;

pub(crate) use signals::METRIC_INTERVAL;
use signals::{LogSettings, MetricSettings};

/// How long the oldest span of an unfinished batch waits.
pub(crate) const SCHEDULE_DELAY: Duration = Duration::from_secs(5);
/// How long one batch may take with all its retries.
pub(crate) const EXPORT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one request may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// The size at which a batch is sent. Beside its bytes a request costs about as much as the
/// export of a thousand spans; servers of gRPC take 4 MiB unless told otherwise.
pub(crate) const MAX_BATCH_BYTES: usize = 960 * 1024;
/// What recorded spans may occupy in all, in thread buffers and in batches.
pub(crate) const MAX_MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// Which built-in exporter to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExporterKind {
    Otlp,
    #[cfg(feature = "file")]
    OtlpStdout,
    #[cfg(feature = "zipkin")]
    Zipkin,
    Console,
}

/// Options as they were given; `None` and empty mean "not said here".
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) disabled: Option<bool>,
    /// What the pipeline says about itself; the inner `None` is nothing.
    pub(crate) log_level: Option<Option<Level>>,
    /// Empty if nothing is to be exported.
    pub(crate) exporters: Option<Vec<ExporterKind>>,
    pub(crate) service_name: Option<String>,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) otlp: PerSignal<OtlpOptions>,
    pub(crate) proxies: ProxySettings,
    #[cfg(feature = "spool")]
    pub(crate) spool: SpoolSettings,
    pub(crate) logs: LogSettings,
    pub(crate) metrics: MetricSettings,
    #[cfg(feature = "zipkin")]
    pub(crate) zipkin: ZipkinOptions,
    pub(crate) propagator: Option<Propagator>,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) limits: Option<SpanLimits>,
    pub(crate) schedule_delay: Option<Duration>,
    pub(crate) export_timeout: Option<Duration>,
    pub(crate) sdk_metrics: Option<bool>,
    pub(crate) max_queue_spans: Option<u64>,
    pub(crate) max_batch_spans: Option<u64>,
    pub(crate) max_batch_bytes: Option<usize>,
    pub(crate) max_memory_bytes: Option<usize>,
}

impl Settings {
    /// Reads every variable that the pipeline knows. The second part of the result
    /// has one warning per bad value.
    pub(crate) fn from_env(lookup: crate::env::Lookup<'_>) -> (Self, Vec<String>) {
        let mut env = Env::new(lookup);
        let settings = Self::read(&mut env);
        (settings, env.into_warnings())
    }

    fn read(env: &mut Env<'_>) -> Self {
        warn_about_unsupported(env);
        let max_queue_spans = env.number("OTEL_BSP_MAX_QUEUE_SIZE", 1..=MAX_COUNT, "no limit");
        Self {
            disabled: env.boolean("OTEL_SDK_DISABLED"),
            log_level: env.choice("OTEL_LOG_LEVEL", LOG_LEVELS, "info"),
            exporters: exporters(env),
            attributes: resource::attributes_from_env(env),
            service_name: env.text("OTEL_SERVICE_NAME"),
            otlp: PerSignal::of(|signal| OtlpOptions::from_env(env, signal)),
            proxies: ProxySettings::from_env(env),
            #[cfg(feature = "spool")]
            spool: SpoolSettings::from_env(env),
            logs: LogSettings::read(env),
            metrics: MetricSettings::read(env),
            #[cfg(feature = "zipkin")]
            zipkin: ZipkinOptions::from_env(env),
            propagator: propagator(env),
            sampler: sampler(env),
            limits: limits(env),
            schedule_delay: env.millis("OTEL_BSP_SCHEDULE_DELAY", SCHEDULE_DELAY),
            export_timeout: env.millis("OTEL_BSP_EXPORT_TIMEOUT", EXPORT_TIMEOUT),
            sdk_metrics: None,
            max_queue_spans,
            max_batch_spans: batch_size(env, "BSP", max_queue_spans, "no limit by count"),
            max_batch_bytes: None,
            max_memory_bytes: None,
        }
    }

    /// Lays these settings over weaker ones.
    pub(crate) fn over(self, weaker: Self) -> Self {
        let mut attributes = weaker.attributes;
        attributes.extend(self.attributes);
        Self {
            disabled: self.disabled.or(weaker.disabled),
            log_level: self.log_level.or(weaker.log_level),
            exporters: self.exporters.or(weaker.exporters),
            service_name: self.service_name.or(weaker.service_name),
            attributes,
            otlp: self.otlp.over(weaker.otlp),
            proxies: self.proxies.over(weaker.proxies),
            #[cfg(feature = "spool")]
            spool: self.spool.over(weaker.spool),
            logs: self.logs.over(weaker.logs),
            metrics: self.metrics.over(weaker.metrics),
            #[cfg(feature = "zipkin")]
            zipkin: self.zipkin.over(weaker.zipkin),
            propagator: self.propagator.or(weaker.propagator),
            sampler: self.sampler.or(weaker.sampler),
            limits: self.limits.or(weaker.limits),
            schedule_delay: self.schedule_delay.or(weaker.schedule_delay),
            export_timeout: self.export_timeout.or(weaker.export_timeout),
            sdk_metrics: self.sdk_metrics.or(weaker.sdk_metrics),
            max_queue_spans: self.max_queue_spans.or(weaker.max_queue_spans),
            max_batch_spans: self.max_batch_spans.or(weaker.max_batch_spans),
            max_batch_bytes: self.max_batch_bytes.or(weaker.max_batch_bytes),
            max_memory_bytes: self.max_memory_bytes.or(weaker.max_memory_bytes),
        }
    }
}

/// The largest count that a variable may give: what the specification asks every
/// implementation to take at least.
const MAX_COUNT: u64 = i32::MAX as u64;

/// The specification leaves the words open; these are what its implementations take.
const LOG_LEVELS: &[(&str, Option<Level>)] = &[
    ("none", None),
    ("off", None),
    ("error", Some(Level::Error)),
    ("warn", Some(Level::Warn)),
    ("info", Some(Level::Info)),
    ("debug", Some(Level::Debug)),
    ("trace", Some(Level::Trace)),
];

/// The list of exporters, of which `none` must be the only one.
fn exporters(env: &mut Env<'_>) -> Option<Vec<ExporterKind>> {
    const NAME: &str = "OTEL_TRACES_EXPORTER";
    let chosen = env.choices(
        NAME,
        &[
            ("otlp", Some(ExporterKind::Otlp)),
            #[cfg(feature = "file")]
            ("otlp/stdout", Some(ExporterKind::OtlpStdout)),
            #[cfg(feature = "zipkin")]
            ("zipkin", Some(ExporterKind::Zipkin)),
            ("console", Some(ExporterKind::Console)),
            ("none", None),
        ],
        "otlp",
    )?;
    let kinds: Vec<ExporterKind> = chosen.iter().copied().flatten().collect();
    if !kinds.is_empty() && kinds.len() < chosen.len() {
        env.warn(format!("{NAME} lists none beside others; none is ignored"));
    }
    Some(kinds)
}

fn propagator(env: &mut Env<'_>) -> Option<Propagator> {
    let value = env.text("OTEL_PROPAGATORS")?;
    let (propagator, warning) = Propagator::from_env_value(&value);
    if let Some(warning) = warning {
        env.warn(warning);
    }
    Some(propagator)
}

#[derive(Clone, Copy)]
enum SamplerName {
    On,
    Off,
    Ratio,
    ParentOn,
    ParentOff,
    ParentRatio,
}

fn sampler(env: &mut Env<'_>) -> Option<Sampler> {
    use SamplerName::{Off, On, ParentOff, ParentOn, ParentRatio, Ratio};
    let name = env.choice(
        "OTEL_TRACES_SAMPLER",
        &[
            ("always_on", On),
            ("always_off", Off),
            ("traceidratio", Ratio),
            ("parentbased_always_on", ParentOn),
            ("parentbased_always_off", ParentOff),
            ("parentbased_traceidratio", ParentRatio),
        ],
        "parentbased_always_on",
    )?;
    let mut ratio = || {
        let ratio = env.ratio("OTEL_TRACES_SAMPLER_ARG", 1.0).unwrap_or(1.0);
        Sampler::trace_id_ratio(ratio)
    };
    Some(match name {
        On => Sampler::always_on(),
        Off => Sampler::always_off(),
        Ratio => ratio(),
        ParentOn => Sampler::parent_based(Sampler::always_on()),
        ParentOff => Sampler::parent_based(Sampler::always_off()),
        ParentRatio => Sampler::parent_based(ratio()),
    })
}

fn limits(env: &mut Env<'_>) -> Option<SpanLimits> {
    let mut read = |name, default: u32| {
        let default: String = if default == u32::MAX {
            "no limit".to_owned()
        } else {
            default.to_string()
        };
        env.number(name, 0..=MAX_COUNT, default)
            .and_then(|limit| u32::try_from(limit).ok())
    };
    let usual = SpanLimits::DEFAULT;
    let length = read(
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        usual.attribute_value_length,
    )
    .or_else(|| {
        read(
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            usual.attribute_value_length,
        )
    });
    let count = read("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", usual.attribute_count)
        .or_else(|| read("OTEL_ATTRIBUTE_COUNT_LIMIT", usual.attribute_count));
    let events = read("OTEL_SPAN_EVENT_COUNT_LIMIT", usual.event_count);
    let links = read("OTEL_SPAN_LINK_COUNT_LIMIT", usual.link_count);
    let of_event = read(
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        usual.event_attribute_count,
    );
    let of_link = read(
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
        usual.link_attribute_count,
    );

    let said = [length, count, events, links, of_event, of_link];
    said.iter().any(Option::is_some).then(|| {
        let mut limits = usual;
        limits.attribute_value_length = length.unwrap_or(usual.attribute_value_length);
        limits.attribute_count = count.unwrap_or(usual.attribute_count);
        limits.event_count = events.unwrap_or(usual.event_count);
        limits.link_count = links.unwrap_or(usual.link_count);
        limits.event_attribute_count = of_event.unwrap_or(usual.event_attribute_count);
        limits.link_attribute_count = of_link.unwrap_or(usual.link_attribute_count);
        limits
    })
}

/// The batch size of a batch processor, which must not exceed its queue size.
fn batch_size(
    env: &mut Env<'_>,
    processor: &str,
    queue: Option<u64>,
    default: &str,
) -> Option<u64> {
    let name = format!("OTEL_{processor}_MAX_EXPORT_BATCH_SIZE");
    let batch = env.number(&name, 1..=MAX_COUNT, default)?;
    match queue {
        Some(queue) if queue < batch => {
            env.bad(
                &name,
                &batch.to_string(),
                &format!("more than OTEL_{processor}_MAX_QUEUE_SIZE"),
                format_args!("of that size, {queue}"),
            );
            Some(queue)
        }
        _ => Some(batch),
    }
}

/// Speaks up about values that ask for what this version does not do.
fn warn_about_unsupported(env: &mut Env<'_>) {
    #[cfg(not(feature = "spool"))]
    if let Some(directory) = env.text("OTEL_RUST_EXPORTER_SPOOL_DIRECTORY") {
        env.bad(
            "OTEL_RUST_EXPORTER_SPOOL_DIRECTORY",
            &directory,
            "not supported without the feature `spool`",
            "of no spool",
        );
    }
    for (name, instead) in [
        ("OTEL_CONFIG_FILE", "of the other variables"),
        ("OTEL_EXPERIMENTAL_CONFIG_FILE", "of the other variables"),
        ("OTEL_ENTITIES", "of no entities"),
    ] {
        if let Some(value) = env.text(name) {
            env.bad(name, &value, "not supported", instead);
        }
    }
}

#[cfg(test)]
mod tests;
