//! Service → Zipkin: its query API tells every span, translated as the specification says.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use throughline::core::{SpanKind, Status};
use throughline::testing::{self, ReceivedSpan};

use crate::{http, job};
use throughline_tests::support::server::{Server, free_ports};

#[test]
#[ignore = "installs and starts Zipkin"]
fn zipkin_holds_every_span() {
    let [port] = free_ports();
    let mut zipkin = Server::start("zipkin", [("ZIPKIN_PORT", port)], &[]);
    let api = format!("http://127.0.0.1:{port}/api/v2");
    zipkin.wait_until("it is ready", |_| {
        http::get(&format!("http://127.0.0.1:{port}/health")).0 == 200
    });
    let sent = job::run(&[
        ("OTEL_TRACES_EXPORTER", "zipkin,otlp/stdout"),
        ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", &format!("{api}/spans")),
    ]);
    let mut held = 0;
    for trace in sent.traces() {
        let id = trace.trace_id().expect("a trace has spans");
        let url = format!("{api}/trace/{id}");
        // It answers 202 before it has stored what it got.
        zipkin.wait_until("the trace is stored", |_| {
            by_id(&http::get_json(&url)).len() == trace.len()
        });
        let spans = by_id(&http::get_json(&url));
        for span in trace.spans() {
            let told = spans.get(&span.span_id.to_string()).expect("the span");
            assert_eq!(told, &expected(span), "{span:#?}");
        }
        held += spans.len();
    }
    assert_eq!(held, sent.span_count());
}

fn by_id(trace: &Value) -> BTreeMap<String, Value> {
    let spans = trace.as_array().cloned().unwrap_or_default();
    spans
        .into_iter()
        .map(|mut span| {
            // A span without events has none.
            let annotations = span.get_mut("annotations").and_then(Value::as_array_mut);
            for annotation in annotations.into_iter().flatten() {
                read_value(&mut annotation["value"]);
            }
            (span["id"].as_str().unwrap_or_default().to_owned(), span)
        })
        .collect()
}

/// An event is told as the inside of an object: `"name": {"key": value}`.
fn read_value(value: &mut Value) {
    let inside = value.as_str().unwrap_or_default();
    if let Ok(event) = serde_json::from_str(&format!("{{{inside}}}")) {
        *value = event;
    }
}

/// The span as Zipkin tells it, which puts names into lower case.
fn expected(span: &ReceivedSpan) -> Value {
    let micros = |nanos: u64| nanos / 1000;
    let service = span.resource_attribute("service.name");
    let service = service.and_then(testing::Value::as_str).expect("a service");
    let mut told = json!({
        "traceId": span.trace_id.to_string(),
        "id": span.span_id.to_string(),
        "name": span.name.to_lowercase(),
        "timestamp": micros(span.start_unix_nano),
        "duration": micros(span.duration_ns()).max(1),
        "localEndpoint": { "serviceName": service.to_lowercase() },
        "tags": tags(span),
    });
    if let Some(parent) = span.parent {
        told["parentId"] = json!(parent.to_string());
    }
    if let Some(kind) = kind(span.kind) {
        told["kind"] = json!(kind);
    }
    if !span.events.is_empty() {
        let annotations = span.events.iter().map(|event| {
            let attributes: BTreeMap<_, _> = event
                .attributes
                .iter()
                .map(|(key, value)| (key.as_str(), plain(value)))
                .collect();
            json!({
                "timestamp": micros(event.time_unix_nano),
                "value": { event.name.as_str(): attributes },
            })
        });
        told["annotations"] = annotations.collect();
    }
    told
}

fn kind(kind: SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Server => Some("SERVER"),
        SpanKind::Client => Some("CLIENT"),
        SpanKind::Producer => Some("PRODUCER"),
        SpanKind::Consumer => Some("CONSUMER"),
        SpanKind::Internal => None,
    }
}

fn tags(span: &ReceivedSpan) -> BTreeMap<String, String> {
    let attributes = span.resource.iter().chain(&span.attributes);
    let mut tags: BTreeMap<_, _> = attributes
        .filter(|(key, _)| key != "service.name")
        .map(|(key, value)| (key.clone(), text(value)))
        .collect();
    // Under their old names too, as the specification asks.
    for prefix in ["otel.scope", "otel.library"] {
        tags.insert(format!("{prefix}.name"), span.scope.name.clone());
        // Spans of the crate `tracing` have none.
        if !span.scope.version.is_empty() {
            tags.insert(format!("{prefix}.version"), span.scope.version.clone());
        }
    }
    // It has no links; the Collector's way to tell them is ours.
    for (number, link) in span.links.iter().enumerate() {
        let (trace, linked) = (link.trace_id, link.span_id);
        let attributes = link.attributes.iter();
        let attributes = attributes.map(|(key, value)| format!("{}:{}", json!(key), plain(value)));
        let attributes = attributes.collect::<Vec<_>>().join(",");
        let link = format!("{trace}|{linked}|{}|{{{attributes}}}|0", link.tracestate);
        tags.insert(format!("otlp.link.{number}"), link);
    }
    if span.status == Status::Error {
        tags.insert("otel.status_code".to_owned(), "ERROR".to_owned());
        tags.insert("error".to_owned(), span.status_message.clone());
    }
    tags
}

fn text(value: &testing::Value) -> String {
    match plain(value) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn plain(value: &testing::Value) -> Value {
    match value {
        testing::Value::String(text) => json!(text),
        testing::Value::Bool(value) => json!(value),
        testing::Value::Int(value) => json!(value),
        testing::Value::Double(value) => json!(value),
        other => panic!("the job has no such value: {other}"),
    }
}
