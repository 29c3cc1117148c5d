//! Service → rotel → receiver: a second implementation of OTLP, which shares no code with the Collector, counts every
//! span and hands it on unchanged.

use throughline::testing::OtlpReceiver;

use crate::agreement::assert_same;
use crate::job::{self, TRANSPORTS};
use throughline_tests::support::server::{Server, free_ports};

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
    let mut total = 0;
    for transport in TRANSPORTS {
        behind.clear();
        let sent = job::over_otlp(transport, grpc, http);
        assert_same(&sent, &behind);
        total += sent.span_count();
        assert_eq!(counted(&rotel.log()), total, "{transport:?}");
        eprintln!("{transport:?}: {} spans are the same", sent.span_count());
    }
}

/// The sum of what rotel says it received: `Received traces. … spans=1019`.
fn counted(log: &str) -> usize {
    let received = log.lines().filter(|line| line.contains("Received traces."));
    received
        .filter_map(|line| line.split_once(" spans=")?.1.trim().parse::<usize>().ok())
        .sum()
}
