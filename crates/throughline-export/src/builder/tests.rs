//! Which options are refused, and what a builder shows of itself.

use super::*;

fn refused(builder: PipelineBuilder) -> StartError {
    builder.start().map(drop).unwrap_err()
}

#[cfg(not(feature = "tls"))]
#[test]
fn tls_is_refused_and_not_downgraded() {
    let error = refused(Pipeline::builder().endpoint("https://collector:4318"));
    assert!(error.is_unsupported(), "{error}");
    assert_eq!(
        error.to_string(),
        "endpoint \"https://collector:4318/v1/traces\" needs tls: build with the feature `tls`"
    );
    let error =
        refused(Pipeline::builder().env_from(|name| {
            (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "https://h".to_owned())
        }));
    assert!(error.is_unsupported(), "{error}");
}

#[test]
fn invalid_options_are_named_with_their_value() {
    for (builder, expected) in [
        (
            Pipeline::builder().endpoint("collector:4318"),
            "endpoint \"collector:4318\" is without a scheme (write http://host:port)",
        ),
        (
            Pipeline::builder().traces_endpoint("http://me:c4nary@h"),
            "traces_endpoint is a url with user information (set an authorization header \
             instead)",
        ),
        (
            Pipeline::builder().header("x", "c4nary\n"),
            "header \"x\" has a value with characters that no http header may hold",
        ),
        (
            Pipeline::builder().max_memory_bytes(1000),
            "max_memory_bytes is 1000; give at least 65536",
        ),
        (
            Pipeline::builder().max_batch_spans(0),
            "max_batch_spans is 0; give at least 1",
        ),
        (
            Pipeline::builder().max_queue_spans(0),
            "max_queue_spans is 0; give at least 1",
        ),
        (
            Pipeline::builder().max_batch_bytes(0),
            "max_batch_bytes is 0; give at least 1",
        ),
    ] {
        let error = refused(builder);
        assert!(error.is_invalid_option());
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn the_builder_shows_no_header_value() {
    let builder = Pipeline::builder()
        .header("authorization", "c4nary")
        .env_from(|name| (name == "OTEL_EXPORTER_OTLP_HEADERS").then(|| "a=c4nary".to_owned()));
    let shown = format!("{builder:?}");
    assert!(
        shown.contains("authorization") && !shown.contains("c4nary"),
        "{shown}"
    );
}

#[test]
fn the_service_name_has_one_owner() {
    let encoded =
        |settings: &Settings| String::from_utf8_lossy(&resource(settings).encode()).into_owned();
    let mut settings = Settings {
        attributes: vec![("service.name".into(), "from-attributes".into())],
        ..Settings::default()
    };
    assert!(encoded(&settings).contains("from-attributes"));
    settings.service_name = Some("from-name".into());
    let both = encoded(&settings);
    assert!(both.contains("from-name") && !both.contains("from-attributes"));
}
