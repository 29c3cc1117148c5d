//! The export makes no spans and no log records.

use throughline::testing::{Oracle, Response};

use crate::child_process::{ChildProcess, child};
use crate::support::{Row, receiver};

#[test]
fn row_23_the_export_is_invisible_to_what_it_exports() {
    let row = Row::start(
        23,
        "tracing and log at TRACE with the bridge on, name lookup, failing receiver, log after shutdown",
        "0 spans and 0 records caused by the export",
    );
    let receiver = receiver();
    let port = receiver.addr().port();
    receiver.respond_with([
        Response::new(503),
        Response::reset(),
        Response::new(400),
        Response::garbage("what?\r\n\r\n"),
    ]);
    // A name, so that the lookup has its thread.
    let command = child(&format!("http://localhost:{port}"), &["feedback"]);
    let oracle = Oracle::new();
    let ended = ChildProcess::start(command).wait(&oracle);
    assert!(ended.status.success(), "{ended:?}");
    let verdict = oracle.compare(&receiver);
    assert_eq!(verdict.check(ended.counts()), Ok(()), "{ended:?}");
    let foreign_records = ended.number("foreign_records");
    assert_eq!(foreign_records, 0, "{ended:?}");
    assert!(
        ended.number("own_records") > 0,
        "the bridge and the layer work: {ended:?}"
    );
    assert!(receiver.requests().len() > 4, "the failures have been");
    row.holds(format!(
        "{} own spans and {} own records: {} spans at the receiver and in its counts, {foreign_records} foreign records",
        verdict.issued,
        ended.number("own_records"),
        ended.counts().started
    ));
}
