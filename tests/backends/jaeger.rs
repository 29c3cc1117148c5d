//! Service → Jaeger: its query API tells every span as it was sent.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value;
use throughline::testing::OtlpReceiver;

use crate::agreement::{assert_same_in_jaeger, wait_for};
use crate::server::{Server, free_ports};
use crate::tee::Tee;
use crate::{http, job};

#[test]
#[ignore = "builds and starts Jaeger"]
fn jaeger_holds_every_span_unchanged() {
    let [grpc, http, query, query_grpc] = free_ports();
    let mut jaeger = Server::start(
        "jaeger",
        [
            ("OTLP_GRPC_PORT", grpc),
            ("OTLP_HTTP_PORT", http),
            ("QUERY_PORT", query),
            ("QUERY_GRPC_PORT", query_grpc),
        ],
        &[],
    );
    let tee = Tee::before(http);
    let count = job::run(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &tee.endpoint()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ]);
    wait_for(tee.sent(), count);
    let found = || {
        http::get(&format!(
            "http://127.0.0.1:{query}/api/traces?service=goals&limit=1000"
        ))
    };
    jaeger.wait_until("every trace is found", |_| {
        traces_of(&found().1) == tee.sent().traces().len()
    });
    assert_same_in_jaeger(tee.sent(), &held(query, tee.sent()), count);
}

/// How many traces an answer of the search holds.
fn traces_of(answer: &str) -> usize {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    answer["data"].as_array().map_or(0, Vec::len)
}

/// Every trace that was sent, as the query API tells it, which is OTLP in JSON.
fn held(query: u16, sent: &OtlpReceiver) -> OtlpReceiver {
    let held = OtlpReceiver::start().expect("a free port");
    for trace in sent.traces() {
        let id = trace.trace_id().expect("a trace has spans");
        let (status, answer) = http::get(&format!("http://127.0.0.1:{query}/api/v3/traces/{id}"));
        assert_eq!(status, 200, "{answer}");
        let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
        let request: ExportTraceServiceRequest =
            serde_json::from_value(answer["result"].take()).expect("OTLP");
        let (status, answer) = http::post_otlp(&held.traces_endpoint(), request.encode_to_vec());
        assert_eq!(status, 200, "{answer}");
    }
    held
}
