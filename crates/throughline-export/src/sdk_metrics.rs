//! What the pipeline says about itself, as OTLP metrics.
//!
//! Owns the `otel.sdk.*` metrics of the OpenTelemetry semantic conventions (status:
//! development): their names, attributes and encoding. The figures are those of
//! [`PipelineStats`]; [`sender`] sends what is made here.
//!
//! All sums and histograms are cumulative since the pipeline started.

pub(crate) mod sender;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http::Uri;
use throughline_core::ParentOrigins;
use throughline_wire::{
    AttributeField, Buffer, HistogramPoint, Limits, MetricHead, NumberPoint, Scope, put_attribute,
    put_histogram, put_request, put_scope, put_sum,
};

use crate::durations::Durations;
use crate::exporter::SpanExporter;
use crate::stats::{DestinationStats, PipelineStats};

const PROCESSOR: &str = "batching_span_processor";

/// What does not change while the pipeline runs.
pub(crate) struct SdkMetrics {
    /// The body of the `Resource` message.
    pub(crate) resource: Vec<u8>,
    /// In the order of the destinations.
    pub(crate) components: Vec<Component>,
    /// How many spans may wait for each destination, if that is limited.
    pub(crate) queue_capacity: Option<u64>,
    pub(crate) start_unix_nano: u64,
}

/// The processor and the exporter of one destination.
pub(crate) struct Component {
    processor: String,
    exporter: String,
    exporter_type: Cow<'static, str>,
    server: Option<(String, u16)>,
}

impl Component {
    /// Names the parts of each destination `<type>/<n>`.
    pub(crate) fn of_all(exporters: &[Box<dyn SpanExporter>]) -> Vec<Self> {
        let mut counts = BTreeMap::<Cow<'static, str>, usize>::new();
        let mut components = Vec::new();
        for (index, exporter) in exporters.iter().enumerate() {
            // Foreign code.
            let named = AssertUnwindSafe(|| {
                let exporter_type = Cow::from(exporter.component_type().to_owned());
                (exporter_type, server(&exporter.destination()))
            });
            let (exporter_type, server) =
                catch_unwind(named).unwrap_or(("span_exporter".into(), None));
            let count = counts.entry(exporter_type.clone()).or_default();
            components.push(Self {
                processor: format!("{PROCESSOR}/{index}"),
                exporter: format!("{exporter_type}/{count}"),
                exporter_type,
                server,
            });
            *count += 1;
        }
        components
    }

    fn processor(&self) -> Attributes<'_> {
        vec![
            ("otel.component.name", Value::Text(&self.processor)),
            ("otel.component.type", Value::Text(PROCESSOR)),
        ]
    }

    fn exporter(&self) -> Attributes<'_> {
        let mut attributes = vec![
            ("otel.component.name", Value::Text(&self.exporter)),
            ("otel.component.type", Value::Text(&self.exporter_type)),
        ];
        if let Some((address, port)) = &self.server {
            attributes.push(("server.address", Value::Text(address)));
            attributes.push(("server.port", Value::Number(i64::from(*port))));
        }
        attributes
    }
}

/// Reads host and port out of a destination, if it is a URL.
fn server(destination: &str) -> Option<(String, u16)> {
    let uri: Uri = destination.parse().ok()?;
    let port = match uri.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let host = uri.host()?.trim_matches(['[', ']']);
    Some((host.to_owned(), uri.port_u16().unwrap_or(port)))
}

type Attributes<'a> = Vec<(&'static str, Value<'a>)>;

#[derive(Clone, Copy)]
enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

const SAMPLED: (&str, Value<'_>) = (
    "otel.span.sampling_result",
    Value::Text("RECORD_AND_SAMPLE"),
);
const UNSAMPLED: (&str, Value<'_>) = ("otel.span.sampling_result", Value::Text("DROP"));

/// Spans that started with that result, by where their parents run.
fn started_as(
    sampling: (&'static str, Value<'static>),
    origins: ParentOrigins,
) -> [(Attributes<'static>, u64); 3] {
    let ParentOrigins {
        none,
        local,
        remote,
        ..
    } = origins;
    [("none", none), ("local", local), ("remote", remote)].map(|(origin, spans)| {
        let origin = ("otel.span.parent.origin", Value::Text(origin));
        (vec![origin, sampling], spans)
    })
}

impl SdkMetrics {
    /// An encoded `ExportMetricsServiceRequest` with the figures of this moment.
    pub(crate) fn request(&self, stats: &PipelineStats, unix_nano: u64) -> Vec<u8> {
        let mut out = Writer {
            metrics: Vec::new(),
            times: (self.start_unix_nano, unix_nano),
        };
        let started = started_as(SAMPLED, stats.started_by_origin);
        let unsampled = started_as(UNSAMPLED, stats.unsampled_by_origin);
        out.sum(STARTED, true, started.into_iter().chain(unsampled));
        out.sum(LIVE, false, [(vec![SAMPLED], stats.live)]);

        let each = || self.components.iter().zip(&stats.destinations);
        let queued = each().map(|(component, one)| (component.processor(), one.queued));
        out.sum(QUEUE_SIZE, false, queued);
        if let Some(capacity) = self.queue_capacity {
            let processors = self.components.iter().map(Component::processor);
            out.sum(QUEUE_CAPACITY, false, processors.map(|one| (one, capacity)));
        }
        out.sum(PROCESSED, true, each().flat_map(processed));
        let in_flight = each().map(|(component, one)| (component.exporter(), one.in_flight));
        out.sum(IN_FLIGHT, false, in_flight);
        out.sum(EXPORTED, true, each().flat_map(exported));
        out.histogram(OPERATION_DURATION, each().flat_map(operations));

        let scope = Scope {
            name: "throughline",
            version: env!("CARGO_PKG_VERSION"),
            ..Scope::default()
        };
        let (mut head, mut request) = (Vec::new(), Vec::new());
        put_scope(&mut head, &scope);
        let scopes = [(&head[..], &out.metrics[..])].into_iter();
        put_request(&mut request, &self.resource, "", scopes);
        request
    }
}

const STARTED: MetricHead<'_> = MetricHead {
    name: "otel.sdk.span.started",
    description: "The number of created spans",
    unit: "{span}",
};
const LIVE: MetricHead<'_> = MetricHead {
    name: "otel.sdk.span.live",
    description: "The number of created spans that have not ended",
    unit: "{span}",
};
const QUEUE_SIZE: MetricHead<'_> = MetricHead {
    name: "otel.sdk.processor.span.queue.size",
    description: "The number of ended spans that wait for the exporter",
    unit: "{span}",
};
const QUEUE_CAPACITY: MetricHead<'_> = MetricHead {
    name: "otel.sdk.processor.span.queue.capacity",
    description: "The number of spans that may wait for the exporter",
    unit: "{span}",
};
const PROCESSED: MetricHead<'_> = MetricHead {
    name: "otel.sdk.processor.span.processed",
    description: "The number of spans that were handed to the exporter or dropped before",
    unit: "{span}",
};
const IN_FLIGHT: MetricHead<'_> = MetricHead {
    name: "otel.sdk.exporter.span.inflight",
    description: "The number of spans that are being exported",
    unit: "{span}",
};
const EXPORTED: MetricHead<'_> = MetricHead {
    name: "otel.sdk.exporter.span.exported",
    description: "The number of spans whose export has ended, well or not",
    unit: "{span}",
};
const OPERATION_DURATION: MetricHead<'_> = MetricHead {
    name: "otel.sdk.exporter.operation.duration",
    description: "The duration of exporting a batch with all its retries",
    unit: "s",
};

/// Spans count as processed when the exporter is called, not when it is done.
fn processed<'a>(
    (component, one): (&'a Component, &'a DestinationStats),
) -> Vec<(Attributes<'a>, u64)> {
    let handed_over = one.in_flight + one.exported + one.failed.total();
    let mut points = vec![(component.processor(), handed_over)];
    for (reason, count) in one.dropped.iter() {
        let mut attributes = component.processor();
        attributes.push(("error.type", Value::Text(reason)));
        points.push((attributes, count));
    }
    points
}

fn exported<'a>(
    (component, one): (&'a Component, &'a DestinationStats),
) -> Vec<(Attributes<'a>, u64)> {
    let mut points = vec![(component.exporter(), one.exported)];
    for (error_type, count) in one.failed.iter() {
        let mut attributes = component.exporter();
        attributes.push(("error.type", Value::Text(error_type)));
        points.push((attributes, count));
    }
    points
}

fn operations<'a>(
    (component, one): (&'a Component, &'a DestinationStats),
) -> Vec<(Attributes<'a>, &'a Durations)> {
    let mut points = Vec::new();
    if one.operations.succeeded().count() > 0 {
        points.push((component.exporter(), one.operations.succeeded()));
    }
    for (error_type, durations) in one.operations.failed() {
        let mut attributes = component.exporter();
        attributes.push(("error.type", Value::Text(error_type)));
        if let Some(status) = http_status(error_type) {
            attributes.push(("http.response.status_code", Value::Number(status)));
        }
        points.push((attributes, durations));
    }
    points
}

/// An error that is an HTTP status is named by its digits.
fn http_status(error_type: &str) -> Option<i64> {
    let status = error_type.parse().ok()?;
    (100..600).contains(&status).then_some(status)
}

/// Appends metrics.
struct Writer {
    metrics: Vec<u8>,
    /// Since when, and when.
    times: (u64, u64),
}

impl Writer {
    fn sum<'a>(
        &mut self,
        head: MetricHead<'_>,
        is_monotonic: bool,
        values: impl IntoIterator<Item = (Attributes<'a>, u64)>,
    ) {
        let values: Vec<_> = values
            .into_iter()
            .map(|(attributes, value)| (encoded(AttributeField::NumberPoint, &attributes), value))
            .collect();
        let (start_unix_nano, unix_nano) = self.times;
        let points: Vec<_> = values
            .iter()
            .map(|(attributes, value)| NumberPoint {
                attributes,
                start_unix_nano,
                unix_nano,
                value: i64::try_from(*value).unwrap_or(i64::MAX),
            })
            .collect();
        put_sum(&mut self.metrics, &head, is_monotonic, &points);
    }

    fn histogram<'a>(
        &mut self,
        head: MetricHead<'_>,
        values: impl IntoIterator<Item = (Attributes<'a>, &'a Durations)>,
    ) {
        let values: Vec<_> = values
            .into_iter()
            .map(|(attributes, durations)| {
                let attributes = encoded(AttributeField::HistogramPoint, &attributes);
                (attributes, durations)
            })
            .collect();
        let (start_unix_nano, unix_nano) = self.times;
        let bounds = Durations::bounds_seconds();
        let points: Vec<_> = values
            .iter()
            .map(|(attributes, durations)| HistogramPoint {
                attributes,
                start_unix_nano,
                unix_nano,
                sum: durations.total().as_secs_f64(),
                buckets: durations.counts(),
                bounds: &bounds,
            })
            .collect();
        put_histogram(&mut self.metrics, &head, &points);
    }
}

fn encoded(field: AttributeField, attributes: &Attributes<'_>) -> Buffer {
    let mut out = Buffer::new();
    for (key, value) in attributes {
        put_attribute(&mut out, field, key, Limits::default(), |out| match value {
            Value::Text(text) => out.str(text),
            Value::Number(number) => out.i64(*number),
        });
    }
    out
}

#[cfg(test)]
mod tests;
