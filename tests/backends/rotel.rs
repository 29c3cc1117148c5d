//! Service → rotel: a second implementation of OTLP, which shares no code with the Collector, counts every span.

use crate::job;
use crate::server::{Server, free_ports};

#[test]
#[ignore = "installs and starts rotel"]
fn rotel_counts_every_span() {
    let [grpc, http] = free_ports();
    let ports = [("OTLP_GRPC_PORT", grpc), ("OTLP_HTTP_PORT", http)];
    let mut rotel = Server::start("rotel", ports, &[]);
    let endpoint = format!("http://127.0.0.1:{http}");
    let count = job::run(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ]);
    rotel.wait_until("every span is counted", |log| counted(log) >= count);
    assert_eq!(counted(&rotel.log()), count);
}

/// The sum of what rotel says it received: `Received traces. … spans=1019`.
fn counted(log: &str) -> usize {
    let received = log.lines().filter(|line| line.contains("Received traces."));
    received
        .filter_map(|line| line.split_once(" spans=")?.1.trim().parse::<usize>().ok())
        .sum()
}
