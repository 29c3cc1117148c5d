//! The metrics as an independent decoder reads them.

use std::fmt::Write as _;
use std::future::ready;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use prost::Message as _;

use super::*;
use crate::exporter::{Batch, ExportFuture, Receipt};

struct To(&'static str, &'static str);

impl SpanExporter for To {
    fn export(&mut self, _: Batch) -> ExportFuture<'_> {
        Box::pin(ready(Ok(Receipt::complete())))
    }

    fn destination(&self) -> String {
        assert_ne!(self.0, "panic", "as asked for");
        self.0.to_owned()
    }

    fn component_type(&self) -> &str {
        self.1
    }
}

fn components(exporters: Vec<To>) -> Vec<Component> {
    let boxed = exporters
        .into_iter()
        .map(|exporter| Box::new(exporter) as Box<dyn SpanExporter>);
    Component::of_all(&boxed.collect::<Vec<_>>())
}

fn origins(none: u64, local: u64, remote: u64) -> ParentOrigins {
    let mut origins = ParentOrigins::default();
    (origins.none, origins.local, origins.remote) = (none, local, remote);
    origins
}

fn stats() -> PipelineStats {
    let mut stats = PipelineStats {
        started: 100,
        unsampled: 7,
        started_by_origin: origins(60, 30, 10),
        unsampled_by_origin: origins(4, 2, 1),
        live: 1,
        ..PipelineStats::default()
    };
    let mut here = DestinationStats {
        queued: 2,
        in_flight: 3,
        exported: 50,
        ..DestinationStats::default()
    };
    here.failed.add("503", 20);
    here.failed.add("rejected", 4);
    here.dropped.add("queue_full", 5);
    here.dropped.add("already_shutdown", 6);
    here.operations.record(None, Duration::from_millis(250));
    here.operations.record(None, Duration::from_millis(1500));
    let long = Duration::from_secs(31);
    here.operations.record(Some("503"), long);
    here.operations.record(Some("rejected"), long);
    let there = DestinationStats {
        exported: 99,
        ..DestinationStats::default()
    };
    stats.destinations = vec![here, there];
    stats
}

fn request(components: Vec<Component>, queue_capacity: Option<u64>) -> Vec<u8> {
    let metrics = SdkMetrics {
        resource: Vec::new(),
        components,
        queue_capacity,
        start_unix_nano: 1000,
    };
    metrics.request(&stats(), 2000)
}

/// One line per metric and per point.
fn shown(request: &[u8]) -> String {
    let request = ExportMetricsServiceRequest::decode(request).unwrap();
    let mut out = String::new();
    let scope = &request.resource_metrics[0].scope_metrics[0];
    assert_eq!(scope.scope.as_ref().unwrap().name, "throughline");
    for metric in &scope.metrics {
        let (name, unit) = (&metric.name, &metric.unit);
        assert!(!metric.description.is_empty());
        match metric.data.as_ref().unwrap() {
            metric::Data::Sum(sum) => {
                let monotonic = if sum.is_monotonic { " monotonic" } else { "" };
                assert_eq!(sum.aggregation_temporality, 2, "cumulative");
                writeln!(out, "{name} {unit}{monotonic}").unwrap();
                for point in &sum.data_points {
                    let times = (point.start_time_unix_nano, point.time_unix_nano);
                    assert_eq!(times, (1000, 2000));
                    let Some(number_data_point::Value::AsInt(value)) = point.value else {
                        panic!("{name} is no integer");
                    };
                    let attributes = attributes(&point.attributes);
                    writeln!(out, "  {value} {attributes}").unwrap();
                }
            }
            metric::Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality, 2, "cumulative");
                writeln!(out, "{name} {unit}").unwrap();
                for point in &histogram.data_points {
                    let times = (point.start_time_unix_nano, point.time_unix_nano);
                    assert_eq!(times, (1000, 2000));
                    assert_eq!(point.explicit_bounds.len() + 1, point.bucket_counts.len());
                    assert_eq!(point.explicit_bounds[0], 0.005);
                    let (count, sum) = (point.count, point.sum.unwrap());
                    let attributes = attributes(&point.attributes);
                    let counts = &point.bucket_counts;
                    writeln!(out, "  {count} in {sum} {counts:?} {attributes}").unwrap();
                }
            }
            other => panic!("{other:?}"),
        }
    }
    out
}

/// The type of a component is the front of its name, so it is not repeated.
fn attributes(attributes: &[KeyValue]) -> String {
    let shown = attributes.iter().map(|attribute| {
        let value = attribute.value.as_ref().unwrap().value.as_ref().unwrap();
        let key = &attribute.key;
        match value {
            any_value::Value::StringValue(text) => format!("{key}={text}"),
            any_value::Value::IntValue(number) => format!("{key}={number}"),
            other => panic!("{other:?}"),
        }
    });
    let mut shown: Vec<_> = shown.collect();
    if let [name, of_type, ..] = &*shown
        && let Some(of_type) = of_type.strip_prefix("otel.component.type=")
    {
        assert!(name.starts_with(&format!("otel.component.name={of_type}/")));
        shown.remove(1);
    }
    shown.join(" ")
}

#[test]
fn every_metric_of_the_conventions_is_there() {
    let components = components(vec![
        To("http://collector:4318/v1/traces", "otlp_http_span_exporter"),
        To("https://[::1]/v1/traces", "otlp_http_span_exporter"),
    ]);
    insta::assert_snapshot!(shown(&request(components, Some(2048))), @r"
    otel.sdk.span.started {span} monotonic
      60 otel.span.parent.origin=none otel.span.sampling_result=RECORD_AND_SAMPLE
      30 otel.span.parent.origin=local otel.span.sampling_result=RECORD_AND_SAMPLE
      10 otel.span.parent.origin=remote otel.span.sampling_result=RECORD_AND_SAMPLE
      4 otel.span.parent.origin=none otel.span.sampling_result=DROP
      2 otel.span.parent.origin=local otel.span.sampling_result=DROP
      1 otel.span.parent.origin=remote otel.span.sampling_result=DROP
    otel.sdk.span.live {span}
      1 otel.span.sampling_result=RECORD_AND_SAMPLE
    otel.sdk.processor.span.queue.size {span}
      2 otel.component.name=batching_span_processor/0
      0 otel.component.name=batching_span_processor/1
    otel.sdk.processor.span.queue.capacity {span}
      2048 otel.component.name=batching_span_processor/0
      2048 otel.component.name=batching_span_processor/1
    otel.sdk.processor.span.processed {span} monotonic
      77 otel.component.name=batching_span_processor/0
      6 otel.component.name=batching_span_processor/0 error.type=already_shutdown
      5 otel.component.name=batching_span_processor/0 error.type=queue_full
      99 otel.component.name=batching_span_processor/1
    otel.sdk.exporter.span.inflight {span}
      3 otel.component.name=otlp_http_span_exporter/0 server.address=collector server.port=4318
      0 otel.component.name=otlp_http_span_exporter/1 server.address=::1 server.port=443
    otel.sdk.exporter.span.exported {span} monotonic
      50 otel.component.name=otlp_http_span_exporter/0 server.address=collector server.port=4318
      20 otel.component.name=otlp_http_span_exporter/0 server.address=collector server.port=4318 error.type=503
      4 otel.component.name=otlp_http_span_exporter/0 server.address=collector server.port=4318 error.type=rejected
      99 otel.component.name=otlp_http_span_exporter/1 server.address=::1 server.port=443
    otel.sdk.exporter.operation.duration s
      2 in 1.75 [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0] otel.component.name=otlp_http_span_exporter/0 server.address=collector server.port=4318
      1 in 31 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] otel.component.name=otlp_http_span_exporter/0 server.address=collector server.port=4318 error.type=503 http.response.status_code=503
      1 in 31 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] otel.component.name=otlp_http_span_exporter/0 server.address=collector server.port=4318 error.type=rejected
    ");
}

#[test]
fn parts_are_numbered_by_their_type() {
    let components = components(vec![
        To("standard output", "a"),
        To("panic", "b"),
        To("ftp://host:1", "a"),
        To("/a/file", "c"),
    ]);
    let names: Vec<_> = components
        .iter()
        .map(|component| (&*component.processor, &*component.exporter))
        .collect();
    assert_eq!(
        names,
        [
            ("batching_span_processor/0", "a/0"),
            ("batching_span_processor/1", "span_exporter/0"),
            ("batching_span_processor/2", "a/1"),
            ("batching_span_processor/3", "c/0"),
        ]
    );
    assert!(components.iter().all(|one| one.server.is_none()));
}

#[test]
fn without_a_limit_there_is_no_capacity() {
    let shown = shown(&request(Vec::new(), None));
    assert!(!shown.contains("capacity"), "{shown}");
}

#[cfg(feature = "json")]
#[test]
fn in_json_they_are_the_same() {
    let bytes = request(
        components(vec![To("http://h:1", "a"), To("x", "b")]),
        Some(9),
    );
    let json = crate::json::metrics_request(&bytes).unwrap();
    let reread: ExportMetricsServiceRequest = serde_json::from_slice(&json).unwrap();
    let expected = ExportMetricsServiceRequest::decode(&bytes[..]).unwrap();
    assert_eq!(reread, expected);
}
