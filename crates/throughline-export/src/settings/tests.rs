//! The table of variables: each one valid, empty, invalid and out of range.

use throughline_core::propagate::Format;

use super::signals::{ExemplarFilter, SignalExporter};
use super::*;

fn read(variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
    let lookup = |name: &str| {
        variables
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    Settings::from_env(&lookup)
}

/// One row: a variable, a value, what it sets (`None` for nothing) and whether it
/// is worth a warning.
type Row = (
    &'static str,
    &'static str,
    Option<fn(&mut Settings)>,
    Option<&'static str>,
);

const fn good(name: &'static str, value: &'static str, set: fn(&mut Settings)) -> Row {
    (name, value, Some(set), None)
}

const fn bad(name: &'static str, value: &'static str, default: &'static str) -> Row {
    (name, value, None, Some(default))
}

fn millis(number: u64) -> Option<Duration> {
    Some(Duration::from_millis(number))
}

fn limited(set: fn(&mut SpanLimits)) -> Option<SpanLimits> {
    let mut limits = SpanLimits::DEFAULT;
    set(&mut limits);
    Some(limits)
}

const TABLE: &[Row] = &[
    good("OTEL_SDK_DISABLED", "True", |s| s.disabled = Some(true)),
    good("OTEL_SDK_DISABLED", "false", |s| s.disabled = Some(false)),
    (
        "OTEL_SDK_DISABLED",
        "1",
        Some(|s| s.disabled = Some(false)),
        Some("false"),
    ),
    good("OTEL_LOG_LEVEL", "WARN", |s| {
        s.log_level = Some(Some(Level::Warn));
    }),
    good("OTEL_LOG_LEVEL", "none", |s| s.log_level = Some(None)),
    bad("OTEL_LOG_LEVEL", "loud", "info"),
    good("OTEL_TRACES_EXPORTER", "otlp", |s| {
        s.exporters = Some(vec![ExporterKind::Otlp]);
    }),
    good("OTEL_TRACES_EXPORTER", "Console", |s| {
        s.exporters = Some(vec![ExporterKind::Console]);
    }),
    good("OTEL_TRACES_EXPORTER", "none", |s| {
        s.exporters = Some(vec![]);
    }),
    good("OTEL_TRACES_EXPORTER", "console, otlp,,Console", |s| {
        s.exporters = Some(vec![ExporterKind::Console, ExporterKind::Otlp]);
    }),
    bad("OTEL_TRACES_EXPORTER", "pigeon", "otlp"),
    good("OTEL_SERVICE_NAME", " cart ", |s| {
        s.service_name = Some("cart".into());
    }),
    good("OTEL_RESOURCE_ATTRIBUTES", "a=b%20c", |s| {
        s.attributes = vec![("a".into(), "b c".into())];
    }),
    bad("OTEL_RESOURCE_ATTRIBUTES", "a=b,c", "of no such attributes"),
    good("OTEL_TRACES_SAMPLER", "ALWAYS_OFF", |s| {
        s.sampler = Some(Sampler::always_off());
    }),
    good("OTEL_TRACES_SAMPLER", "always_on", |s| {
        s.sampler = Some(Sampler::always_on());
    }),
    good("OTEL_TRACES_SAMPLER", "traceidratio", |s| {
        s.sampler = Some(Sampler::trace_id_ratio(1.0));
    }),
    good("OTEL_TRACES_SAMPLER", "parentbased_always_on", |s| {
        s.sampler = Some(Sampler::parent_based(Sampler::always_on()));
    }),
    good("OTEL_TRACES_SAMPLER", "parentbased_always_off", |s| {
        s.sampler = Some(Sampler::parent_based(Sampler::always_off()));
    }),
    bad(
        "OTEL_TRACES_SAMPLER",
        "jaeger_remote",
        "parentbased_always_on",
    ),
    good("OTEL_PROPAGATORS", "b3,tracecontext", |s| {
        s.propagator = Some(Propagator::new([Format::B3, Format::TraceContext]));
    }),
    good("OTEL_PROPAGATORS", "none", |s| {
        s.propagator = Some(Propagator::none());
    }),
    (
        "OTEL_PROPAGATORS",
        "b3,ottrace",
        Some(|s| s.propagator = Some(Propagator::new([Format::B3]))),
        Some("using `b3`"),
    ),
    good("OTEL_BSP_SCHEDULE_DELAY", "100", |s| {
        s.schedule_delay = millis(100);
    }),
    bad("OTEL_BSP_SCHEDULE_DELAY", "soon", "5000"),
    good("OTEL_BSP_EXPORT_TIMEOUT", "100", |s| {
        s.export_timeout = millis(100);
    }),
    bad("OTEL_BSP_EXPORT_TIMEOUT", "-5", "30000"),
    good("OTEL_BSP_MAX_QUEUE_SIZE", "10", |s| {
        s.max_queue_spans = Some(10);
    }),
    bad("OTEL_BSP_MAX_QUEUE_SIZE", "0", "no limit"),
    bad("OTEL_BSP_MAX_QUEUE_SIZE", "2147483648", "no limit"),
    good("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10", |s| {
        s.max_batch_spans = Some(10);
    }),
    bad("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0", "no limit by count"),
    good("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "7", |s| {
        s.limits = limited(|l| l.attribute_value_length = 7);
        s.logs.attribute_value_length = Some(7);
    }),
    bad("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", "no limit"),
    good("OTEL_ATTRIBUTE_COUNT_LIMIT", "7", |s| {
        s.limits = limited(|l| l.attribute_count = 7);
        s.logs.attribute_count = Some(7);
    }),
    bad("OTEL_ATTRIBUTE_COUNT_LIMIT", "many", "128"),
    good("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "0", |s| {
        s.limits = limited(|l| l.attribute_value_length = 0);
    }),
    bad("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1.5", "no limit"),
    good("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "7", |s| {
        s.limits = limited(|l| l.attribute_count = 7);
    }),
    bad("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "4294967296", "128"),
    good("OTEL_SPAN_EVENT_COUNT_LIMIT", "7", |s| {
        s.limits = limited(|l| l.event_count = 7);
    }),
    bad("OTEL_SPAN_EVENT_COUNT_LIMIT", "x", "128"),
    good("OTEL_SPAN_LINK_COUNT_LIMIT", "7", |s| {
        s.limits = limited(|l| l.link_count = 7);
    }),
    bad("OTEL_SPAN_LINK_COUNT_LIMIT", "x", "128"),
    good("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "7", |s| {
        s.limits = limited(|l| l.event_attribute_count = 7);
    }),
    bad("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "x", "128"),
    good("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "7", |s| {
        s.limits = limited(|l| l.link_attribute_count = 7);
    }),
    bad("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "x", "128"),
    #[cfg(not(feature = "spool"))]
    bad(
        "OTEL_RUST_EXPORTER_SPOOL_DIRECTORY",
        "/var/spool",
        "of no spool",
    ),
    #[cfg(feature = "spool")]
    good("OTEL_RUST_EXPORTER_SPOOL_DIRECTORY", "/var/spool", |s| {
        s.spool.directory = Some("/var/spool".into());
    }),
    #[cfg(feature = "spool")]
    good("OTEL_RUST_EXPORTER_SPOOL_MAX_BYTES", "65536", |s| {
        s.spool.max_bytes = Some(65536);
    }),
    #[cfg(feature = "spool")]
    bad("OTEL_RUST_EXPORTER_SPOOL_MAX_BYTES", "65535", "134217728"),
    bad("OTEL_CONFIG_FILE", "otel.yaml", "of the other variables"),
    bad(
        "OTEL_EXPERIMENTAL_CONFIG_FILE",
        "otel.yaml",
        "of the other variables",
    ),
    bad("OTEL_ENTITIES", "host{host.id=1}", "of no entities"),
    good("OTEL_LOGS_EXPORTER", "console,OTLP", |s| {
        s.logs.exporters = Some(vec![SignalExporter::Console, SignalExporter::Otlp]);
    }),
    good("OTEL_LOGS_EXPORTER", "none", |s| {
        s.logs.exporters = Some(vec![]);
    }),
    bad("OTEL_LOGS_EXPORTER", "prometheus", "otlp"),
    good("OTEL_BLRP_SCHEDULE_DELAY", "100", |s| {
        s.logs.schedule_delay = millis(100);
    }),
    bad("OTEL_BLRP_SCHEDULE_DELAY", "soon", "1000"),
    good("OTEL_BLRP_EXPORT_TIMEOUT", "0", |s| {
        s.logs.export_timeout = millis(0);
    }),
    bad("OTEL_BLRP_EXPORT_TIMEOUT", "-5", "30000"),
    good("OTEL_BLRP_MAX_QUEUE_SIZE", "2147483647", |s| {
        s.logs.max_queue_records = Some(2_147_483_647);
    }),
    bad("OTEL_BLRP_MAX_QUEUE_SIZE", "0", "2048"),
    good("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "10", |s| {
        s.logs.max_batch_records = Some(10);
    }),
    bad("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "2147483648", "512"),
    good("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "0", |s| {
        s.logs.attribute_value_length = Some(0);
    }),
    bad(
        "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "-1",
        "no limit",
    ),
    good("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "7", |s| {
        s.logs.attribute_count = Some(7);
    }),
    bad("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "1e3", "128"),
    good("OTEL_METRICS_EXPORTER", "otlp/stdout,prometheus", |s| {
        let both = vec![SignalExporter::OtlpStdout, SignalExporter::Prometheus];
        s.metrics.exporters = Some(both);
    }),
    bad("OTEL_METRICS_EXPORTER", "statsd", "otlp"),
    good("OTEL_METRICS_EXEMPLAR_FILTER", "Always_Off", |s| {
        s.metrics.exemplar_filter = Some(ExemplarFilter::AlwaysOff);
    }),
    bad("OTEL_METRICS_EXEMPLAR_FILTER", "sometimes", "trace_based"),
    good("OTEL_METRIC_EXPORT_INTERVAL", "1000", |s| {
        s.metrics.export_interval = millis(1000);
    }),
    bad("OTEL_METRIC_EXPORT_INTERVAL", "1m", "60000"),
    good("OTEL_METRIC_EXPORT_TIMEOUT", "1000", |s| {
        s.metrics.export_timeout = millis(1000);
    }),
    bad("OTEL_METRIC_EXPORT_TIMEOUT", "99999999999", "30000"),
    good("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0", |s| {
        s.metrics.prometheus_host = Some("0.0.0.0".into());
    }),
    good("OTEL_EXPORTER_PROMETHEUS_PORT", "65535", |s| {
        s.metrics.prometheus_port = Some(65_535);
    }),
    bad("OTEL_EXPORTER_PROMETHEUS_PORT", "65536", "9464"),
];

/// Those whose every value is good.
const FREE: &[&str] = &[
    "OTEL_SERVICE_NAME",
    "OTEL_EXPORTER_PROMETHEUS_HOST",
    #[cfg(feature = "spool")]
    "OTEL_RUST_EXPORTER_SPOOL_DIRECTORY",
];

#[test]
fn every_variable_valid_empty_invalid_and_out_of_range() {
    for (name, value, set, default) in TABLE {
        let (settings, warnings) = read(&[(name, value)]);
        let mut expected = Settings::default();
        if let Some(set) = set {
            set(&mut expected);
        }
        assert_eq!(settings, expected, "{name}={value}");
        match default {
            None => assert!(warnings.is_empty(), "{name}={value}: {warnings:?}"),
            Some(default) => {
                assert_eq!(warnings.len(), 1, "{name}={value}: {warnings:?}");
                let warning = &warnings[0];
                assert!(warning.starts_with(name), "{warning}");
                assert!(warning.ends_with(default), "{warning}");
            }
        }
    }
}

#[test]
fn every_variable_may_be_empty_and_all_but_some_may_be_bad() {
    for (name, ..) in TABLE {
        for empty in ["", "  "] {
            let (settings, warnings) = read(&[(name, empty)]);
            assert_eq!(settings, Settings::default(), "{name}={empty:?}");
            assert!(warnings.is_empty(), "{name}={empty:?}: {warnings:?}");
        }
        let bad = TABLE.iter().any(|row| row.0 == *name && row.3.is_some());
        assert_eq!(bad, !FREE.contains(name), "{name}");
    }
}

#[test]
fn the_ratio_of_a_sampler() {
    for (name, arg, expected, warnings) in [
        ("traceidratio", "0.25", Sampler::trace_id_ratio(0.25), 0),
        ("traceidratio", "2", Sampler::trace_id_ratio(1.0), 1),
        ("traceidratio", "-0.1", Sampler::trace_id_ratio(1.0), 1),
        ("traceidratio", "half", Sampler::trace_id_ratio(1.0), 1),
        (
            "parentbased_traceidratio",
            "0.5",
            Sampler::parent_based(Sampler::trace_id_ratio(0.5)),
            0,
        ),
        // A sampler without an argument does not look at it.
        ("always_on", "half", Sampler::always_on(), 0),
    ] {
        let (settings, warned) = read(&[
            ("OTEL_TRACES_SAMPLER", name),
            ("OTEL_TRACES_SAMPLER_ARG", arg),
        ]);
        assert_eq!(settings.sampler, Some(expected), "{name} {arg}");
        assert_eq!(warned.len(), warnings, "{name} {arg}");
    }
}

#[test]
fn a_batch_is_no_larger_than_the_queue() {
    let (settings, warnings) = read(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512"),
    ]);
    assert_eq!(settings.max_batch_spans, Some(100));
    assert_eq!(
        warnings,
        [
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=\"512\" is more than OTEL_BSP_MAX_QUEUE_SIZE; using \
             the default of that size, 100"
        ]
    );
}

#[test]
fn the_builder_wins_over_the_environment() {
    let (weaker, _) = read(&[
        ("OTEL_SERVICE_NAME", "env"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=env,b=env"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "h=env,i=env"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
    ]);
    let mut stronger = Settings {
        service_name: Some("code".into()),
        attributes: vec![("a".into(), "code".into())],
        ..Settings::default()
    };
    for options in stronger.otlp.each() {
        options.set_header("h", "code").unwrap();
    }
    let both = stronger.over(weaker);
    assert_eq!(both.service_name.as_deref(), Some("code"));
    assert_eq!(both.attributes.last().unwrap().1, "code");
    assert_eq!(both.otlp.traces.headers.as_map()["h"], "code");
    assert_eq!(both.otlp.logs.headers.as_map()["i"], "env");
    assert_eq!(both.schedule_delay, millis(1));
}

#[test]
fn a_bad_word_in_a_list_costs_that_word_only() {
    for (value, expected, warning) in [
        (
            "otlp,pigeon",
            vec![ExporterKind::Otlp],
            "OTEL_TRACES_EXPORTER=\"pigeon\" is not one of otlp, ",
        ),
        (
            "none,console",
            vec![ExporterKind::Console],
            "OTEL_TRACES_EXPORTER lists none beside others; none is ignored",
        ),
    ] {
        let lookup = |name: &str| (name == "OTEL_TRACES_EXPORTER").then(|| value.to_owned());
        let (settings, warnings) = Settings::from_env(&lookup);
        assert_eq!(settings.exporters, Some(expected));
        assert_eq!(warnings.len(), 1);
        // The features decide about the rest of the words.
        assert!(warnings[0].starts_with(warning), "{warnings:?}");
    }
}
