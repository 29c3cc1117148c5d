//! What a response makes of a batch.

use std::time::Duration;

use throughline_testing::Response;

use crate::support::{
    LONG, assert_settled, listen, received_ids, receiver, record_in, to, wait_for_line,
};

#[test]
fn a_refused_batch_is_sent_once_and_counted_by_status() {
    for status in [400, 401, 403, 404, 408, 500, 501, 505] {
        let receiver = receiver();
        let pipeline = to(&receiver).start().unwrap();
        receiver.respond_with([Response::new(status).body("<html>no</html>")]);
        record_in(&pipeline, 0..3);
        let report = pipeline.flush(LONG);
        assert_eq!(
            (report.failed, report.exported),
            (3, 0),
            "{status}: {report}"
        );
        assert_eq!(receiver.requests().len(), 1, "{status}");
        let stats = pipeline.stats();
        assert_settled(&stats);
        assert_eq!(stats.failed.get(&status.to_string()), 3, "{stats}");
    }
}

#[test]
fn a_batch_that_is_too_large_is_sent_in_halves() {
    let receiver = receiver();
    let pipeline = to(&receiver).start().unwrap();
    // The whole and its first half are too large, and of that half the second span.
    let too_large = || Response::new(413);
    receiver.respond_with([too_large(), too_large(), Response::ok(), too_large()]);
    record_in(&pipeline, 0..4);
    let report = pipeline.flush(LONG);
    assert_eq!((report.failed, report.exported), (1, 3), "{report}");
    let requests: Vec<usize> = receiver.requests().iter().map(|one| one.spans).collect();
    assert_eq!(requests, [4, 2, 1, 1, 2]);
    assert_eq!(received_ids(&receiver), [0, 2, 3].into());
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.failed.to_string(), "1 (413: 1)");
}

#[test]
fn a_batch_that_came_at_a_bad_time_is_sent_again() {
    for status in [429, 502, 503, 504] {
        let receiver = receiver();
        let pipeline = to(&receiver).start().unwrap();
        receiver.respond_with([Response::new(status)]);
        record_in(&pipeline, 0..3);
        let report = pipeline.flush(LONG);
        assert_eq!(
            (report.failed, report.exported),
            (0, 3),
            "{status}: {report}"
        );
        assert_eq!(receiver.requests().len(), 2, "{status}");
        assert_settled(&pipeline.stats());
    }
}

#[test]
fn a_request_to_wait_is_honoured() {
    let receiver = receiver();
    let pipeline = to(&receiver).start().unwrap();
    receiver.respond_with([Response::new(503).header("retry-after", "1")]);
    record_in(&pipeline, 0..3);
    assert!(pipeline.flush(LONG).is_complete());
    let requests = receiver.requests();
    let wait = requests[1].received_at - requests[0].received_at;
    assert!(wait >= Duration::from_secs(1), "{wait:?}");
}

#[test]
fn partial_success_counts_what_was_rejected() {
    listen();
    for (rejected, failed) in [(2, 2), (0, 0), (100, 5), (-1, 0)] {
        let receiver = receiver();
        let pipeline = to(&receiver).start().unwrap();
        receiver.respond_with([Response::partial_success(rejected, "too \n old")]);
        record_in(&pipeline, 0..5);
        let report = pipeline.flush(LONG);
        assert_eq!((report.failed, report.exported), (failed, 5 - failed));
        assert_eq!(receiver.requests().len(), 1, "never sent again");
        let stats = pipeline.stats();
        assert_settled(&stats);
        assert_eq!(stats.failed.get("rejected"), failed);
        let line = wait_for_line(&receiver.addr().to_string(), "too \\n old");
        assert!(!line.contains('\n'));
    }
}
