//! Whether a server holds what was sent to it.

use std::collections::HashMap;
use std::time::Duration;

use throughline::core::{SpanId, TraceId};
use throughline::testing::{OtlpReceiver, ReceivedSpan};

/// How long spans may take through a server.
const ARRIVAL: Duration = Duration::from_secs(30);

/// Waits until `receiver` has `count` spans or more.
pub(crate) fn wait_for(receiver: &OtlpReceiver, count: usize) {
    let arrived = receiver.wait_for_spans(count, ARRIVAL);
    assert!(arrived, "{} of {count} spans", receiver.span_count());
}

/// Every span of one receiver is in the other once, with the same value in every field, and every trace is whole.
pub(crate) fn assert_same(sent: &OtlpReceiver, held: &OtlpReceiver, count: usize) {
    wait_for(sent, count);
    wait_for(held, count);
    assert_eq!((sent.span_count(), held.span_count()), (count, count));
    let held_by_id = by_id(held);
    let mut differences = Vec::new();
    for (id, span) in by_id(sent) {
        match held_by_id.get(&id) {
            None => differences.push(format!("missing: {span:#?}")),
            Some(held) if *held != span => {
                differences.push(format!("sent: {span:#?}\nheld: {held:#?}"));
            }
            Some(_) => {}
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {count} spans differ; the first:\n{}",
        differences.len(),
        differences[0]
    );
    for trace in held.traces() {
        trace.assert_complete();
    }
}

/// The spans by their ids, each of which occurs once.
fn by_id(receiver: &OtlpReceiver) -> HashMap<(TraceId, SpanId), ReceivedSpan> {
    let spans = receiver.spans();
    let count = spans.len();
    let by_id: HashMap<_, _> = spans
        .into_iter()
        .map(|span| ((span.trace_id, span.span_id), span))
        .collect();
    assert_eq!(by_id.len(), count, "ids occur twice");
    by_id
}
