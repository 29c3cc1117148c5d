//! Service → Jaeger: its query API tells every span as it was sent.

use throughline::testing::OtlpReceiver;

use crate::agreement::assert_same_in_jaeger;
use crate::http;
use crate::job::{self, TRANSPORTS};
use throughline_tests::support::server::{Server, free_ports};

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
    let api = format!("http://127.0.0.1:{query}/api");
    let mut traces = 0;
    for transport in TRANSPORTS {
        let sent = job::over_otlp(transport, grpc, http);
        traces += sent.traces().len();
        let search = format!("{api}/traces?service=goals&limit=10000");
        jaeger.wait_until("every trace is found", |_| {
            http::get_json(&search)["data"]
                .as_array()
                .map_or(0, Vec::len)
                == traces
        });
        assert_same_in_jaeger(&sent, &held(&api, &sent));
        eprintln!("{transport:?}: {} spans are the same", sent.span_count());
    }
}

/// Every trace that was sent, as the query API tells it, which is OTLP in JSON.
fn held(api: &str, sent: &OtlpReceiver) -> OtlpReceiver {
    let held = OtlpReceiver::start().expect("a free port");
    for trace in sent.traces() {
        let id = trace.trace_id().expect("a trace has spans");
        let mut answer = http::get_json(&format!("{api}/v3/traces/{id}"));
        http::post_json(&held, answer["result"].take());
    }
    held
}
