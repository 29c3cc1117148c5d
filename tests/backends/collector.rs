//! Service → Collector → receiver: nothing is lost on the way, and nothing changed.

use throughline::testing::OtlpReceiver;

use crate::agreement::assert_same;
use crate::job::{self, TRANSPORTS};
use throughline_tests::support::server::{Server, free_ports};

#[test]
#[ignore = "builds and starts an OpenTelemetry Collector"]
fn otelcol_hands_on_every_span_unchanged() {
    let behind = OtlpReceiver::start().expect("a free port");
    let [grpc, http] = free_ports();
    let _collector = Server::start(
        "otelcol",
        [("OTLP_GRPC_PORT", grpc), ("OTLP_HTTP_PORT", http)],
        &[("FORWARD_TO", behind.endpoint())],
    );
    for transport in TRANSPORTS {
        behind.clear();
        let sent = job::over_otlp(transport, grpc, http);
        assert_same(&sent, &behind);
        eprintln!("{transport:?}: {} spans are the same", sent.span_count());
    }
}
