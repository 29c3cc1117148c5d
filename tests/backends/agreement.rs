//! Whether a server holds what was sent to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use throughline::core::{SpanId, TraceId};
use throughline::testing::{OtlpReceiver, ReceivedSpan, Value};

/// How long spans may take through a server.
const ARRIVAL: Duration = Duration::from_secs(30);

/// Every span of one receiver is in the other once, with the same value in every field, and every trace is whole.
pub(crate) fn assert_same(sent: &OtlpReceiver, held: &OtlpReceiver) {
    assert_same_after(sent, held, |_| {});
}

/// The same for Jaeger, which puts attributes and events in an order of its own, and adds its remarks to the spans that
/// it shows.
pub(crate) fn assert_same_in_jaeger(sent: &OtlpReceiver, held: &OtlpReceiver) {
    assert_same_after(sent, held, |span| {
        span.attributes.retain(|(key, _)| key != JAEGERS_REMARKS);
        sort(&mut span.attributes);
        sort(Arc::make_mut(&mut span.resource).as_mut_slice());
        for event in &mut span.events {
            sort(&mut event.attributes);
        }
        span.events
            .sort_by_cached_key(|event| (event.time_unix_nano, event.name.clone()));
        for link in &mut span.links {
            sort(&mut link.attributes);
        }
    });
}

const JAEGERS_REMARKS: &str = "@jaeger@warnings";

fn sort(attributes: &mut [(String, Value)]) {
    attributes.sort_by(|(one, _), (other, _)| one.cmp(other));
}

fn assert_same_after(
    sent: &OtlpReceiver,
    held: &OtlpReceiver,
    prepare: impl Fn(&mut ReceivedSpan),
) {
    let count = sent.span_count();
    let arrived = held.wait_for_spans(count, ARRIVAL);
    assert!(arrived, "{} of {count} spans", held.span_count());
    assert_eq!(held.span_count(), count);
    let [sent, held_by_id] = [sent, held].map(|receiver| by_id(receiver, &prepare));
    let differs = |(id, span): &(&_, &ReceivedSpan)| held_by_id.get(*id) != Some(*span);
    let differences: Vec<_> = sent.iter().filter(differs).collect();
    if let Some((id, span)) = differences.first() {
        panic!(
            "{} of {count} spans differ; the first:\nsent: {span:#?}\nheld: {:#?}",
            differences.len(),
            held_by_id.get(*id),
        );
    }
    for trace in held.traces() {
        trace.assert_complete();
    }
}

/// The spans by their ids, each of which occurs once.
fn by_id(
    receiver: &OtlpReceiver,
    prepare: &impl Fn(&mut ReceivedSpan),
) -> HashMap<(TraceId, SpanId), ReceivedSpan> {
    let mut spans = receiver.spans();
    let count = spans.len();
    spans.iter_mut().for_each(prepare);
    let by_id: HashMap<_, _> = spans
        .into_iter()
        .map(|span| ((span.trace_id, span.span_id), span))
        .collect();
    assert_eq!(by_id.len(), count, "ids occur twice");
    by_id
}
