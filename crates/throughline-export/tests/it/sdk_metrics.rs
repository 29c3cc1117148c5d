//! What the pipeline says about itself, as metrics.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use prost::Message;
use throughline_export::{Pipeline, PipelineBuilder};
use throughline_testing::{OtlpReceiver, Response};

use crate::support::{
    LONG, assert_settled, lines_about, listen, receiver, record_in, to, wait_for_line,
};

/// Spans to one receiver and metrics to another URL.
fn pipeline(spans: &OtlpReceiver, metrics: &str) -> PipelineBuilder {
    to(spans).metrics_endpoint(metrics).sdk_metrics(true)
}

/// A receiver that takes so many requests with metrics, and its URL.
fn taking(requests: usize) -> (OtlpReceiver, String) {
    let receiver = receiver();
    receiver.respond_with(vec![Response::ok(); requests]);
    let url = format!("{}/v1/metrics", receiver.endpoint());
    (receiver, url)
}

/// The values of all sums, and the counts of all histograms, by name and what makes
/// their points different.
fn values(request: &[u8]) -> BTreeMap<String, i64> {
    let request = ExportMetricsServiceRequest::decode(request).unwrap();
    let mut values = BTreeMap::new();
    let resource = request.resource_metrics[0].resource.as_ref().unwrap();
    assert!(
        resource
            .attributes
            .iter()
            .any(|attribute| attribute.key == "service.name")
    );
    for metric in &request.resource_metrics[0].scope_metrics[0].metrics {
        let mut add = |attributes: &[KeyValue], value| {
            let text = |key| {
                let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
                match attribute.value.as_ref()?.value.as_ref()? {
                    any_value::Value::StringValue(text) => Some(text.clone()),
                    _ => None,
                }
            };
            let told_by = [
                "otel.span.parent.origin",
                "otel.span.sampling_result",
                "otel.component.name",
                "error.type",
            ];
            let labels: Vec<_> = told_by.into_iter().filter_map(text).collect();
            values.insert(format!("{} {}", metric.name, labels.join(" ")), value);
        };
        match metric.data.as_ref().unwrap() {
            metric::Data::Sum(sum) => {
                for point in &sum.data_points {
                    let Some(number_data_point::Value::AsInt(value)) = point.value else {
                        panic!("no integer");
                    };
                    assert!(point.start_time_unix_nano <= point.time_unix_nano);
                    add(&point.attributes, value);
                }
            }
            metric::Data::Histogram(histogram) => {
                for point in &histogram.data_points {
                    add(&point.attributes, i64::try_from(point.count).unwrap());
                }
            }
            other => panic!("{other:?}"),
        }
    }
    values
}

#[test]
fn they_are_sent_at_intervals_and_tell_everything_at_the_end() {
    let spans = receiver();
    let (metrics, url) = taking(10_000);
    spans.respond_with([Response::new(400)]);
    let pipeline = pipeline(&spans, &url)
        .metric_interval(Duration::from_millis(5))
        .max_batch_spans(10)
        .start()
        .unwrap();
    assert!(metrics.wait_for_requests(3, LONG));
    record_in(&pipeline, 0..30);
    assert_eq!(pipeline.shutdown(LONG).failed, 10);
    assert_settled(&pipeline.stats());
    let requests = metrics.requests();
    assert!(requests.iter().all(|request| request.path == "/v1/metrics"));
    let last = values(requests.last().unwrap().body());
    let expected = [
        ("otel.sdk.span.started none RECORD_AND_SAMPLE", 30),
        ("otel.sdk.span.started local RECORD_AND_SAMPLE", 0),
        ("otel.sdk.span.started remote RECORD_AND_SAMPLE", 0),
        ("otel.sdk.span.started none DROP", 0),
        ("otel.sdk.span.started local DROP", 0),
        ("otel.sdk.span.started remote DROP", 0),
        ("otel.sdk.span.live RECORD_AND_SAMPLE", 0),
        (
            "otel.sdk.processor.span.queue.size batching_span_processor/0",
            0,
        ),
        (
            "otel.sdk.processor.span.processed batching_span_processor/0",
            30,
        ),
        (
            "otel.sdk.exporter.span.inflight otlp_http_span_exporter/0",
            0,
        ),
        (
            "otel.sdk.exporter.span.exported otlp_http_span_exporter/0",
            20,
        ),
        (
            "otel.sdk.exporter.span.exported otlp_http_span_exporter/0 400",
            10,
        ),
        (
            "otel.sdk.exporter.operation.duration otlp_http_span_exporter/0",
            2,
        ),
        (
            "otel.sdk.exporter.operation.duration otlp_http_span_exporter/0 400",
            1,
        ),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(last, BTreeMap::from(expected));
    // The program can read the same without a collector.
    let operations = &pipeline.stats().destinations[0].operations;
    assert_eq!(operations.succeeded().count(), 2);
    assert_eq!(
        operations
            .failed()
            .map(|(name, _)| name)
            .collect::<Vec<_>>(),
        ["400"]
    );
    // Nothing is sent after the end.
    let sent = metrics.requests().len();
    drop(pipeline);
    assert_eq!(metrics.requests().len(), sent);
}

#[test]
fn the_last_figures_wait_for_the_last_spans() {
    let spans = receiver();
    let (metrics, url) = taking(1);
    spans.respond_with([Response::ok().delay(Duration::from_millis(50))]);
    let pipeline = pipeline(&spans, &url).start().unwrap();
    record_in(&pipeline, 0..5);
    assert!(pipeline.shutdown(LONG).is_complete());
    let requests = metrics.requests();
    assert_eq!(requests.len(), 1);
    let last = values(requests[0].body());
    assert_eq!(
        last["otel.sdk.exporter.span.exported otlp_http_span_exporter/0"],
        5
    );
}

#[test]
fn nobody_gets_them_unasked() {
    let (metrics, url) = taking(1);
    let spans = receiver();
    let environment = |name: &str| (name == "OTEL_METRICS_EXPORTER").then(|| "None".to_owned());
    for pipeline in [
        pipeline(&spans, &url).sdk_metrics(false),
        pipeline(&spans, &url).env_from(environment),
    ] {
        let pipeline = pipeline.start().unwrap();
        record_in(&pipeline, 0..5);
        assert!(pipeline.shutdown(LONG).is_complete());
    }
    assert!(metrics.requests().is_empty());
}

#[test]
fn a_collector_of_metrics_that_does_not_answer_holds_up_no_span() {
    listen();
    let black_hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/metrics", black_hole.local_addr().unwrap());
    let spans = receiver();
    let pipeline = Pipeline::builder()
        .traces_endpoint(&spans.traces_endpoint())
        .env_from(|name| match name {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" => Some(url.clone()),
            "OTEL_METRIC_EXPORT_TIMEOUT" => Some("10".to_owned()),
            "OTEL_METRIC_EXPORT_INTERVAL" => Some("1".to_owned()),
            _ => None,
        })
        .sdk_metrics(true)
        .start()
        .unwrap();
    wait_for_line(&url, "were not sent");
    record_in(&pipeline, 0..5);
    assert!(pipeline.flush(LONG).is_complete());
    let started = Instant::now();
    assert!(pipeline.shutdown(LONG).is_complete());
    assert!(started.elapsed() < LONG / 2);
    assert_eq!(lines_about(&url).len(), 1, "it is said once");
}

#[test]
fn a_shutdown_is_over_in_time_though_the_metrics_are_not_sent() {
    let black_hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/metrics", black_hole.local_addr().unwrap());
    let spans = receiver();
    let pipeline: Pipeline = pipeline(&spans, &url).start().unwrap();
    record_in(&pipeline, 0..5);
    assert!(pipeline.flush(LONG).is_complete());
    let started = Instant::now();
    assert!(pipeline.shutdown(Duration::from_millis(100)).is_complete());
    assert!(started.elapsed() < LONG / 2);
}
