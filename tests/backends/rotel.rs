//! Service → rotel: a second implementation of OTLP, which shares no code with the Collector, counts every span and hands it
//! on unchanged.

use throughline::testing::OtlpReceiver;

use crate::agreement::assert_same;
use crate::job;
use crate::server::{Server, free_ports};
use crate::tee::Tee;

#[test]
#[ignore = "installs and starts rotel"]
fn rotel_counts_every_span_and_hands_it_on_unchanged() {
    let behind = OtlpReceiver::start().expect("a free port");
    let [grpc, http] = free_ports();
    let rotel = Server::start(
        "rotel",
        [("OTLP_GRPC_PORT", grpc), ("OTLP_HTTP_PORT", http)],
        &[("FORWARD_TO", behind.endpoint())],
    );
    let tee = Tee::before(http);
    let count = job::run(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &tee.endpoint()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ]);
    assert_same(tee.sent(), &behind, count);
    assert_eq!(counted(&rotel.log()), count);
}

/// The sum of what rotel says it received: `Received traces. … spans=1019`.
fn counted(log: &str) -> usize {
    let received = log.lines().filter(|line| line.contains("Received traces."));
    received
        .filter_map(|line| line.split_once(" spans=")?.1.trim().parse::<usize>().ok())
        .sum()
}
