//! Spans to Zipkin.

use std::time::Duration;

use throughline_export::{Pipeline, ZipkinExporter};
use throughline_testing::{OtlpReceiver, ReceivedRequest, Response};

use crate::support::{LONG, assert_settled, listen, receiver, record_in, wait_for_line};

const PATH: &str = "/api/v2/spans";

/// A pipeline to a server that answers as it is told to.
fn to(receiver: &OtlpReceiver, answers: impl IntoIterator<Item = Response>) -> Pipeline {
    receiver.respond_with(answers);
    let zipkin = ZipkinExporter::builder()
        .endpoint(&format!("{}{PATH}", receiver.endpoint()))
        .build()
        .unwrap();
    Pipeline::builder()
        .service_name("shop")
        .exporter(zipkin)
        .schedule_delay(LONG)
        .start()
        .unwrap()
}

fn ids(request: &ReceivedRequest) -> Vec<String> {
    let spans: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
    let spans = spans.as_array().unwrap();
    assert!(
        spans
            .iter()
            .all(|span| span["localEndpoint"]["serviceName"] == "shop")
    );
    let ids = spans.iter().map(|span| span["tags"]["id"].as_str());
    ids.map(|id| id.unwrap().to_owned()).collect()
}

#[test]
fn batches_are_posted_with_b3_0_and_again_when_the_time_was_bad() {
    let receiver = receiver();
    let pipeline = to(
        &receiver,
        [Response::new(503), Response::new(202), Response::new(202)],
    );
    record_in(&pipeline, 0..3);
    assert!(pipeline.flush(LONG).is_complete());
    record_in(&pipeline, 3..5);
    assert!(pipeline.shutdown(LONG).is_complete());
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.exported, 5);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        assert_eq!((&*request.method, &*request.path), ("POST", PATH));
        assert_eq!(request.header("b3"), Some("0"));
        assert_eq!(request.header("content-type"), Some("application/json"));
    }
    assert_eq!(requests[0].body(), requests[1].body());
    assert_eq!(ids(&requests[1]), ["0", "1", "2"]);
    assert_eq!(ids(&requests[2]), ["3", "4"]);
}

#[test]
fn a_refusal_is_told_in_zipkins_words_and_counted() {
    listen();
    let receiver = receiver();
    let pipeline = to(
        &receiver,
        [Response::new(400)
            .header("content-type", "text/plain")
            .body("c4nnot decode\u{1b}[31m spans")],
    );
    record_in(&pipeline, 0..3);
    assert_eq!(pipeline.flush(LONG).failed, 3);
    assert_eq!(pipeline.stats().failed.to_string(), "3 (400: 3)");
    let said = "400 Bad Request: c4nnot decode\\u{1b}[31m spans";
    wait_for_line(&receiver.endpoint(), said);
}

#[test]
fn a_server_that_is_too_slow_is_asked_again() {
    let receiver = receiver();
    receiver.respond_with([Response::new(202).delay(LONG), Response::new(202)]);
    let zipkin = ZipkinExporter::builder()
        .env_from(|name| match name {
            "OTEL_EXPORTER_ZIPKIN_ENDPOINT" => Some(format!("{}{PATH}", receiver.endpoint())),
            "OTEL_EXPORTER_ZIPKIN_TIMEOUT" => Some("20".to_owned()),
            _ => None,
        })
        .build()
        .unwrap();
    let pipeline = Pipeline::builder().exporter(zipkin).start().unwrap();
    record_in(&pipeline, 0..3);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(receiver.requests().len(), 2);
}

#[test]
fn the_environment_chooses_zipkin() {
    let receiver = receiver();
    receiver.respond_with([Response::new(202)]);
    let endpoint = format!("{}{PATH}", receiver.endpoint());
    let pipeline = Pipeline::builder()
        .env_from(|name| match name {
            "OTEL_TRACES_EXPORTER" => Some("Zipkin".to_owned()),
            "OTEL_EXPORTER_ZIPKIN_ENDPOINT" => Some(endpoint.clone()),
            "OTEL_SERVICE_NAME" => Some("shop".to_owned()),
            _ => None,
        })
        .start()
        .unwrap();
    record_in(&pipeline, [7]);
    assert!(pipeline.flush(Duration::from_secs(60)).is_complete());
    assert_eq!(ids(&receiver.requests()[0]), ["7"]);
}

#[test]
fn bad_options_are_named_without_their_secrets() {
    let refused = |url: &str| {
        let error = ZipkinExporter::builder().endpoint(url).build().unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refused("zipkin:9411"),
        "endpoint \"zipkin:9411\" is without a scheme (write http://host:port)"
    );
    let secret = refused("http://me:c4nary@zipkin:9411");
    assert!(!secret.contains("c4nary"), "{secret}");
}
