//! Every status decides about the retry as the tables of OTLP say.

use std::thread;
use std::time::Duration;

use throughline::export::Protocol;
use throughline::testing::{Oracle, OtlpReceiver, Response};
use throughline_tests::support::{inv, load};

use crate::support::{LONG, Row, receiver, to};

/// Bodies as they come from collectors, proxies and strangers.
const BODIES: [&[u8]; 3] = [
    b"",
    b"<html><body><h1>Service Unavailable</h1></body></html>",
    b"\x08\x0e\x12\x04busy",
];

#[test]
fn row_04_every_http_status_is_retried_or_not_as_specified() {
    let row = Row::start(
        4,
        "HTTP 100-999 with empty, HTML and Status bodies",
        "retry decision as specified in 100 % of cells; not retryable: exactly 1 request; counted by error.type",
    );
    // Each retried cell waits for a backoff; side by side they do so together.
    let lanes: u16 = 16;
    let totals = thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes)
            .map(|lane| scope.spawn(move || statuses((100..1000).filter(|s| s % lanes == lane))))
            .collect();
        let totals = lanes
            .into_iter()
            .map(|lane| lane.join().expect("every cell is right"));
        totals.reduce(|sum, lane| [0, 1, 2, 3].map(|index| sum[index] + lane[index]))
    });
    let [cells, retried, failed, exported] = totals.expect("some lanes");
    row.holds(format!(
        "{cells} of {cells} cells: {retried} retried, {failed} failed at once, each under its own type, \
         {exported} exported"
    ));
}

/// How many cells there are, and how many of them were retried, failed and exported.
fn statuses(statuses: impl Iterator<Item = u16>) -> [u64; 4] {
    let receiver = receiver();
    let pipeline = to(&receiver.endpoint()).start().expect("a pipeline starts");
    let oracle = Oracle::new();
    let (mut cells, mut retried) = (0, 0);
    for status in statuses {
        let body = BODIES[usize::from(status) % BODIES.len()];
        let response = match status {
            100..200 => Response::garbage(format!("HTTP/1.1 {status} Informational\r\n\r\n")),
            _ => Response::new(status).body(body),
        };
        oracle.issue(load::record_in(&pipeline, 1));
        let outcome = cell(&pipeline, &receiver, response, &status.to_string());
        let expected = match status {
            // An informational answer announces another, which does not come: the connection is closed without one.
            100 | 102..200 => Outcome::Retried,
            200..300 => Outcome::Exported,
            429 | 502 | 503 | 504 => Outcome::Retried,
            _ => Outcome::Failed,
        };
        assert_eq!(outcome, expected, "status {status}");
        cells += 1;
        retried += u64::from(expected == Outcome::Retried);
    }
    let stats = pipeline.stats();
    inv::hold(&oracle, &receiver, &stats);
    assert_eq!(stats.failed.total(), stats.failed.iter().count() as u64);
    [cells, retried, stats.failed.total(), stats.exported]
}

#[test]
fn row_04_every_grpc_code_is_retried_or_not_as_specified() {
    let row = Row::start(
        4,
        "gRPC codes 0-16 and undefined ones, with and without RetryInfo",
        "retry decision as specified in 100 % of cells; not retryable: exactly 1 call",
    );
    let codes: Vec<u32> = (0..=16).chain([17, 42, 999]).collect();
    let cells: Vec<(u32, bool)> = codes
        .iter()
        .flat_map(|&code| [(code, false), (code, true)])
        .collect();
    let outcomes = thread::scope(|scope| {
        let cells: Vec<_> = cells
            .iter()
            .map(|&(code, has_retry_info)| scope.spawn(move || grpc_cell(code, has_retry_info)))
            .collect();
        let outcomes = cells
            .into_iter()
            .map(|cell| cell.join().expect("the cell is right"));
        outcomes.collect::<Vec<_>>()
    });
    let retried = outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Retried)
        .count();
    let failed = outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Failed)
        .count();
    row.holds(format!(
        "{} of {} cells: {retried} retried, {failed} failed at once, {} exported",
        outcomes.len(),
        cells.len(),
        outcomes.len() - retried - failed
    ));
}

fn grpc_cell(code: u32, has_retry_info: bool) -> Outcome {
    let receiver = receiver();
    let pipeline = to(&receiver.endpoint())
        .protocol(Protocol::Grpc)
        .start()
        .expect("a pipeline starts");
    let oracle = Oracle::new();
    oracle.issue(load::record_in(&pipeline, 1));
    let response = Response::grpc(code, "said so");
    receiver.respond_with([match has_retry_info {
        true => response.retry_info(Duration::from_millis(300)),
        false => response,
    }]);
    let report = pipeline.flush(LONG);
    assert!(!report.timed_out, "code {code}: {report}");
    let outcome = match (receiver.requests().len(), report.exported, report.failed) {
        (1, 1, 0) => Outcome::Exported,
        (2, 1, 0) => Outcome::Retried,
        (1, 0, 1) => Outcome::Failed,
        other => panic!("code {code}: (calls, exported, failed) = {other:?}"),
    };
    let expected = match code {
        0 => Outcome::Exported,
        1 | 4 | 10 | 11 | 14 | 15 => Outcome::Retried,
        // With RetryInfo the other side is busy, without it the batch is too large.
        8 if has_retry_info => Outcome::Retried,
        _ => Outcome::Failed,
    };
    assert_eq!(outcome, expected, "code {code}, RetryInfo {has_retry_info}");
    if expected == Outcome::Retried && has_retry_info {
        let requests = receiver.requests();
        let waited = requests[1].received_at - requests[0].received_at;
        assert!(
            waited >= Duration::from_millis(300),
            "code {code}: {waited:?}"
        );
    }
    inv::hold(&oracle, &receiver, &pipeline.stats());
    outcome
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// One request, counted as exported.
    Exported,
    /// Two requests, the second of which was accepted.
    Retried,
    /// One request, counted as failed under the status.
    Failed,
}

/// Sends what is recorded against one scripted answer, after which all is well.
fn cell(
    pipeline: &throughline::Pipeline,
    receiver: &OtlpReceiver,
    response: Response,
    error_type: &str,
) -> Outcome {
    let (before, sent) = (pipeline.stats(), receiver.requests().len());
    receiver.respond_with([response]);
    let report = pipeline.flush(LONG);
    assert!(!report.timed_out, "{error_type}: {report}");
    let stats = pipeline.stats();
    let exported = stats.exported - before.exported;
    let failed = stats.failed.get(error_type) - before.failed.get(error_type);
    match (receiver.requests().len() - sent, exported, failed) {
        (1, 1, 0) => Outcome::Exported,
        (2, 1, 0) => Outcome::Retried,
        (1, 0, 1) => Outcome::Failed,
        other => panic!("{error_type}: (requests, exported, failed) = {other:?}: {stats}"),
    }
}
