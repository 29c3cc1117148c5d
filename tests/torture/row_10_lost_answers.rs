//! The request came through, and the answer did not.

use std::time::Duration;

use throughline::testing::{Fault, Oracle, Response, TcpProxy};
use throughline_tests::support::{inv, load};

use crate::support::{LONG, Row, receiver, size, to};

const BATCH: u64 = 50;

#[test]
fn row_10_a_lost_answer_costs_duplicates_and_nothing_else() {
    let row = Row::start(
        10,
        "proxy resets after the request and before the response; 200 with a truncated body",
        "every id arrives; duplicates <= spans in flight at the cuts",
    );
    let cuts = size(3, 8, 100);
    let receiver = receiver();
    let proxy = TcpProxy::start(receiver.addr()).expect("a proxy starts");
    let pipeline = to(&proxy.endpoint())
        .max_batch_spans(BATCH)
        .start()
        .expect("a pipeline starts");
    let oracle = Oracle::new();
    let mut cut_off = 0;
    for _ in 0..cuts {
        let before = receiver.requests().len();
        proxy.set(Fault::CutAnswers);
        oracle.issue(load::record_in(&pipeline, BATCH * 2));
        let _ = pipeline.flush(Duration::from_millis(20));
        assert!(receiver.wait_for_requests(before + 1, LONG));
        // What was answered until now was answered in vain.
        cut_off += (receiver.requests().len() - before + 1) as u64 * BATCH;
        proxy.set(Fault::None);
        assert!(pipeline.flush(LONG).is_complete());
    }
    let stats = pipeline.stats();
    let verdict = inv::hold_with_lost_answers(&oracle, &receiver, &stats, cut_off);
    assert_eq!(
        (verdict.accepted, stats.exported),
        (verdict.issued, verdict.issued)
    );
    assert!(
        verdict.repeated > 0,
        "the cuts were between acceptance and answer"
    );

    // A status that came stands, whatever became of the rest.
    receiver.respond_with([Response::partial_success(0, "half of this").cut_body()]);
    let sent = receiver.requests().len();
    oracle.issue(load::record_in(&pipeline, BATCH));
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(
        receiver.requests().len(),
        sent + 1,
        "a truncated success is a success"
    );
    row.holds(format!(
        "{cuts} cuts, {} spans: {} received, {} of at most {cut_off} repeated; truncated 200 not repeated",
        verdict.issued, verdict.accepted, verdict.repeated
    ));
}
