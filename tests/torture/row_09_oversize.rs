//! What is too large for the other side, or for anybody.

use throughline::export::Protocol;
use throughline::span;
use throughline::testing::{Oracle, Response};
use throughline_tests::support::{inv, load};

use crate::support::{LONG, Row, receiver, to};

/// What OTLP lets a request have.
const REQUEST_LIMIT: usize = 64 << 20;

#[test]
fn row_09_what_is_too_large_takes_nothing_with_it() {
    let row = Row::alone(
        9,
        "spans of 5 and 70 MiB, receiver that takes 64 KiB or 4 MiB (413, RESOURCE_EXHAUSTED)",
        "batch split; only spans over the limit lost, 0 collateral; never sends > 64 MiB",
    );
    let mut lost = 0;
    let mut largest = 0;
    let mut spans = 0;
    for (protocol, limit) in [
        (Protocol::HttpProtobuf, 64 << 10),
        (Protocol::HttpProtobuf, 4 << 20),
        (Protocol::Grpc, 4 << 20),
    ] {
        let receiver = receiver();
        receiver.respond_by(move |request| {
            (request.body().len() > limit).then(|| match protocol {
                Protocol::Grpc => Response::grpc(8, "too large"),
                _ => Response::new(413).body("too large"),
            })
        });
        let pipeline = to(&receiver.endpoint())
            .protocol(protocol)
            .start()
            .expect("a pipeline starts");
        let oracle = Oracle::new();
        oracle.issue(load::record_in(&pipeline, 3000));
        let large = {
            let _here = pipeline.context().attach();
            [5 << 20, 70 << 20].map(|bytes| {
                let span = span!("large", payload = "x".repeat(bytes).as_str());
                let id = load::id_of(&span);
                span.end();
                id
            })
        };
        oracle.issue(large);
        oracle.issue(load::record_in(&pipeline, 3000));
        let report = pipeline.flush(LONG);
        assert!(!report.timed_out, "{report}");
        let stats = inv::settle(&pipeline, LONG).expect("the pipeline comes to rest");
        inv::hold(&oracle, &receiver, &stats);
        assert_eq!(stats.exported, 6000, "limit {limit}: 0 collateral: {stats}");
        assert_eq!(stats.failed.total() + stats.dropped.total(), 2, "{stats}");
        let seen = receiver
            .requests()
            .iter()
            .map(|request| request.body().len())
            .max();
        largest = largest.max(seen.unwrap_or(0));
        spans += stats.exported;
        lost += 2;
    }
    assert!(largest <= REQUEST_LIMIT, "{largest} bytes in a request");
    row.holds(format!(
        "{spans} spans delivered in parts, {lost} too large lost and counted, largest request {:.1} MiB",
        largest as f64 / f64::from(1 << 20)
    ));
}
