//! What the options and variables do to requests.

use std::collections::HashMap;

use throughline_core::Context;
use throughline_export::Pipeline;

use crate::support::{
    LONG, assert_settled, listen, open_span, receiver, record, record_in, resource_text, to,
    wait_for_line,
};

#[test]
fn everything_from_the_environment() {
    listen();
    let receiver = receiver();
    let variables = HashMap::from([
        ("OTEL_SERVICE_NAME", "cart".to_owned()),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=no,team=a%20b".to_owned(),
        ),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=c4nary%21".to_owned()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "smoke".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "60000".to_owned()),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2".to_owned()),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1".to_owned()),
        ("OTEL_BSP_EXPORT_TIMEOUT", "unique-bad-value".to_owned()),
    ]);
    let pipeline = Pipeline::builder()
        .env_from(|name| variables.get(name).cloned())
        .start()
        .unwrap();
    wait_for_line("unique-bad-value", "OTEL_BSP_EXPORT_TIMEOUT");
    wait_for_line("\"smoke\"", "OTEL_EXPORTER_OTLP_PROTOCOL");
    {
        let _here = pipeline.context().attach();
        record(0..3);
        let mut span = open_span();
        span.set_attribute("id", 3);
        span.set_attribute("second", "too many");
        span.end();
    }
    assert!(pipeline.flush(LONG).is_complete());
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.path, "/v1/traces");
        assert_eq!(request.header("api-key"), Some("c4nary!"));
    }
    let text = |key| resource_text(&receiver, key);
    assert_eq!(text("service.name").as_deref(), Some("cart"));
    assert_eq!(text("team").as_deref(), Some("a b"));
    assert!(
        receiver
            .spans()
            .iter()
            .all(|span| span.attribute("second").is_none())
    );
}

#[test]
fn explicit_options_win_over_the_environment() {
    let receiver = receiver();
    let pipeline = Pipeline::builder()
        .service_name("from code")
        .traces_endpoint(&receiver.traces_endpoint())
        .header("x-who", "code")
        .env_from(|name| {
            let value = match name {
                "OTEL_SERVICE_NAME" => "from env",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" => "http://127.0.0.1:1/nowhere",
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS" => "x-who=env,x-more=env",
                _ => return None,
            };
            Some(value.to_owned())
        })
        .start()
        .unwrap();
    record_in(&pipeline, 0..1);
    assert!(pipeline.flush(LONG).is_complete());
    let request = &receiver.requests()[0];
    assert_eq!(request.header("x-who"), Some("code"));
    assert_eq!(request.header("x-more"), Some("env"));
    assert_eq!(
        resource_text(&receiver, "service.name").as_deref(),
        Some("from code")
    );
}

#[test]
fn disabled_means_that_nothing_is_recorded() {
    let pipeline = Pipeline::builder()
        .env_from(|name| (name == "OTEL_SDK_DISABLED").then(|| "true".to_owned()))
        .start()
        .unwrap();
    assert!(pipeline.recorder().is_none());
    assert_eq!(pipeline.context(), Context::default());
    assert!(pipeline.flush(LONG).is_complete());
    assert!(pipeline.shutdown(LONG).is_complete());
    assert_eq!(pipeline.stats(), Default::default());
}

#[test]
fn without_an_exporter_spans_have_a_context_and_are_counted() {
    let pipeline = Pipeline::builder()
        .env_from(|name| (name == "OTEL_TRACES_EXPORTER").then(|| "none".to_owned()))
        .start()
        .unwrap();
    {
        let _here = pipeline.context().attach();
        let span = open_span();
        assert!(span.context().span_context().is_sampled());
        span.end();
    }
    assert!(pipeline.flush(LONG).is_complete());
    assert!(pipeline.shutdown(LONG).is_complete());
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.dropped.to_string(), "1 (no_exporter: 1)");
}

/// The only test of this process that takes the process-wide place.
#[test]
fn one_pipeline_is_process_wide() {
    let receiver = receiver();
    let pipeline = to(&receiver).start_global().unwrap();
    let error = to(&receiver).start_global().map(drop).unwrap_err();
    assert!(error.is_already_installed(), "{error}");
    record(0..5);
    assert!(pipeline.shutdown(LONG).is_complete());
    assert_eq!(receiver.span_count(), 5);

    let next = to(&receiver).start_global().unwrap();
    record(5..10);
    drop(next);
    assert_eq!(receiver.span_count(), 10);
}
