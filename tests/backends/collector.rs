//! Service → Collector → receiver: nothing is lost on the way, and nothing changed.

use throughline::testing::OtlpReceiver;

use crate::agreement::assert_same;
use crate::job;
use crate::server::{Server, free_ports};
use crate::tee::Tee;

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
    for (protocol, port) in [("http/protobuf", http), ("grpc", grpc)] {
        behind.clear();
        let tee = Tee::before(port);
        let count = job::run(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &tee.endpoint()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ]);
        assert_same(tee.sent(), &behind, count);
    }
}
