//! A success that is none for some of the spans.

use throughline::export::Protocol;
use throughline::testing::{Oracle, Response};
use throughline_tests::support::load;

use crate::support::{LONG, Row, lines_about, receiver, to};

const BATCH: u64 = 10;

#[test]
fn row_07_partial_success_is_counted_and_not_retried() {
    let row = Row::start(
        7,
        "200 with rejected = n, 0 with a message, more than the batch, negative",
        "0 retries; rejected += min(n, batch); one warning per interval",
    );
    let mut measured = Vec::new();
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        measured.push(over(protocol));
    }
    row.holds(measured.join("; "));
}

fn over(protocol: Protocol) -> String {
    let receiver = receiver();
    let pipeline = to(&receiver.endpoint())
        .protocol(protocol)
        .start()
        .expect("a pipeline starts");
    let oracle = Oracle::new();
    let cells = [
        (3, 3),
        (10, 10),
        (0, 0),
        (1000, 10),
        (i64::MAX, 10),
        (-1, 0),
        (i64::MIN, 0),
    ];
    for (index, (said, rejected)) in cells.into_iter().enumerate() {
        receiver.respond_with([Response::partial_success(said, "too old")]);
        oracle.issue(load::record_in(&pipeline, BATCH));
        let report = pipeline.flush(LONG);
        assert_eq!(
            (report.failed, report.exported),
            (rejected, BATCH - rejected),
            "{said}"
        );
        assert_eq!(
            receiver.requests().len(),
            index + 1,
            "{said} is not retried"
        );
    }
    let stats = pipeline.stats();
    assert_eq!(
        (stats.unaccounted(), stats.failed.get("rejected")),
        (0, 33),
        "{stats}"
    );
    assert_eq!(stats.failed.total(), 33, "{stats}");
    // The receiver cannot say which spans it means, so it keeps all.
    assert_eq!(oracle.compare(&receiver).accepted, stats.started);
    let lines = lines_about(&receiver.addr().to_string());
    assert_eq!(lines.len(), 1, "{lines:?}");
    format!(
        "{protocol:?}: {} cells, {} rejected counted, 0 retries, {} warning",
        cells.len(),
        stats.failed.get("rejected"),
        lines.len()
    )
}
