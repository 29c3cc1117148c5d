//! A collector that is not there, and comes back.

use std::time::Duration;

use throughline_export::Pipeline;
use throughline_testing::{Absent, OtlpReceiver, Response};

use crate::support::{
    LONG, assert_settled, lines_about, listen, received_ids, receiver, record_in, to,
    wait_for_line, wait_for_stats,
};

#[test]
fn an_absent_collector_is_one_line_and_its_return_another() {
    listen();
    let absent = Absent::start().unwrap();
    let pipeline = Pipeline::builder()
        .endpoint(&absent.endpoint())
        .schedule_delay(Duration::from_millis(1))
        .export_timeout(LONG)
        .start()
        .unwrap();
    record_in(&pipeline, 0..10);
    let address = absent.addr();
    let subject = address.to_string();
    let line = wait_for_line(&subject, "failed");
    let expected = format!(
        "export to http://{address}/v1/traces failed (connection refused). Spans are kept in memory ("
    );
    assert!(line.starts_with(&expected), "{line}");

    // Nothing more is said while it goes on failing.
    for _ in 0..3 {
        assert!(!pipeline.flush(Duration::from_millis(10)).is_complete());
    }
    assert_eq!(lines_about(&subject).len(), 1);

    let receiver = absent.arrive().unwrap();
    assert!(receiver.wait_for_spans(10, LONG));
    let line = wait_for_line(&subject, "works again");
    assert!(line.ends_with("; no span was lost meanwhile"), "{line}");
    record_in(&pipeline, 10..20);
    assert!(pipeline.flush(LONG).is_complete());
    assert_settled(&pipeline.stats());
    assert_eq!(received_ids(&receiver), (0..20).collect());
    assert_eq!(lines_about(&subject).len(), 2);
}

#[test]
fn a_collector_that_stays_away_costs_its_batches_only() {
    listen();
    let absent = Absent::start().unwrap();
    let pipeline = Pipeline::builder()
        .endpoint(&absent.endpoint())
        .export_timeout(Duration::from_millis(50))
        .start()
        .unwrap();
    record_in(&pipeline, 0..10);
    let report = pipeline.flush(LONG);
    assert_eq!((report.failed, report.exported), (10, 0), "{report}");
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.failed.get("connect"), 10, "{stats}");
}

#[test]
fn a_connection_that_was_closed_is_made_anew() {
    let first = receiver();
    let address = first.addr();
    let pipeline = to(&first).start().unwrap();
    record_in(&pipeline, 0..5);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(received_ids(&first).len(), 5);
    drop(first);
    let second = OtlpReceiver::start_at(address).expect("the port is free again");
    record_in(&pipeline, 5..10);
    assert!(pipeline.flush(LONG).is_complete());
    assert_eq!(received_ids(&second), (5..10).collect());
}

#[test]
fn a_lost_answer_sends_the_batch_again() {
    let receiver = receiver();
    let pipeline = to(&receiver).start().unwrap();
    receiver.respond_with([Response::drop_connection(), Response::drop_connection()]);
    record_in(&pipeline, 0..5);
    assert!(pipeline.flush(LONG).is_complete());
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    // A retry sends the same bytes.
    assert!(
        requests
            .windows(2)
            .all(|pair| pair[0].body() == pair[1].body())
    );
    assert_settled(&pipeline.stats());
}

#[test]
fn drops_for_want_of_room_are_said() {
    listen();
    let exporter = crate::support::Gated::default();
    let pipeline = Pipeline::builder()
        .exporter(exporter.clone())
        .max_memory_bytes(128 << 10)
        .schedule_delay(Duration::from_millis(1))
        .start()
        .unwrap();
    record_in(&pipeline, 0..5_000);
    wait_for_line("64 KiB of memory are full", "dropped");
    exporter.open();
    let stats = wait_for_stats(&pipeline, |stats| stats.queued + stats.in_flight == 0);
    assert_settled(&stats);
}
