//! Which traces tell the story of one request: its own, and those that follow from it by their links.
//!
//! Owns how links are followed. What a story should look like is `picture`'s.

use std::collections::HashMap;

use throughline::core::{SpanId, SpanKind, TraceId};
use throughline::testing::{ReceivedSpan, Trace};

/// All traces, by what they follow from.
#[derive(Debug)]
pub(crate) struct Stories<'a> {
    traces: &'a [Trace],
    by_id: HashMap<TraceId, &'a Trace>,
    /// The requests that each trace follows from; a request follows from itself.
    origins: HashMap<TraceId, Vec<TraceId>>,
    /// The traces that follow from each request, ordered by start.
    followers: HashMap<TraceId, Vec<&'a Trace>>,
}

impl<'a> Stories<'a> {
    pub(crate) fn new(traces: &'a [Trace]) -> Self {
        let ids = traces
            .iter()
            .filter_map(|trace| Some((trace.trace_id()?, trace)));
        let mut stories = Self {
            traces,
            by_id: ids.collect(),
            origins: HashMap::new(),
            followers: HashMap::new(),
        };
        for trace in traces {
            let origins = stories.follow(trace, 0);
            for origin in &origins {
                if Some(*origin) != trace.trace_id() {
                    stories.followers.entry(*origin).or_default().push(trace);
                }
            }
            stories
                .origins
                .extend(trace.trace_id().map(|id| (id, origins)));
        }
        stories
    }

    /// All of them.
    pub(crate) const fn traces(&self) -> &'a [Trace] {
        self.traces
    }

    pub(crate) fn trace(&self, id: TraceId) -> Option<&'a Trace> {
        self.by_id.get(&id).copied()
    }

    /// The span that a link leads to, or that a log line is in.
    pub(crate) fn span(&self, trace: TraceId, span: SpanId) -> Option<&'a ReceivedSpan> {
        self.trace(trace)?.span(span)
    }

    /// The requests that a trace follows from; none if it is nobody's.
    pub(crate) fn origins(&self, trace: &Trace) -> &[TraceId] {
        let origins = trace.trace_id().and_then(|id| self.origins.get(&id));
        origins.map_or(&[], Vec::as_slice)
    }

    /// The traces that follow from a request, without its own.
    pub(crate) fn followers(&self, request: TraceId) -> &[&'a Trace] {
        self.followers.get(&request).map_or(&[], Vec::as_slice)
    }

    /// A trace follows from the first span that its root links, and a batch from all of them. Other links are to earlier
    /// attempts.
    fn follow(&self, trace: &Trace, links: usize) -> Vec<TraceId> {
        let Some(&root) = trace.roots().first() else {
            return Vec::new();
        };
        if root.kind == SpanKind::Server {
            return trace.trace_id().into_iter().collect();
        }
        if links == MOST_LINKS {
            return Vec::new();
        }
        let senders = if is_batch(trace) {
            &root.links[..]
        } else {
            root.links.get(..1).unwrap_or_default()
        };
        let sent_in = senders.iter().filter_map(|link| self.trace(link.trace_id));
        sent_in
            .flat_map(|trace| self.follow(trace, links + 1))
            .collect()
    }
}

/// From a dead letter to its request there are four; more would be a circle.
const MOST_LINKS: usize = 8;

/// Whether several records are handled in it.
pub(crate) fn is_batch(trace: &Trace) -> bool {
    let root = trace.roots().into_iter().next();
    root.is_some_and(|root| root.attribute("messaging.batch.message_count").is_some())
}

/// Whether it is a page of events that are handled once more.
pub(crate) fn is_replay(trace: &Trace) -> bool {
    let root = trace.roots().into_iter().next();
    root.is_some_and(|root| root.attribute("projection.replay").is_some())
}

#[cfg(test)]
mod tests {
    use throughline::core::Context;
    use throughline::span;
    use throughline::testing::Capture;

    use super::*;

    #[throughline::test]
    fn a_batch_is_everybodys_and_an_attempt_is_the_first_senders(capture: Capture) {
        let here = |span: &throughline::Span| span.context().span_context();
        let requests = ["swim", "sail"].map(|_| span!(kind: server, "POST /goals"));
        let links = requests.each_ref().map(here);
        let batch = span!(parent: None::<Context>, links: links, "process", messaging.batch.message_count = 2);
        let links = [links[1], here(&batch)];
        let attempt = span!(parent: None::<Context>, links: links, "process");
        let [swim, sail] = requests.each_ref().map(|span| here(span).trace_id());
        let [batch_id, attempt_id] = [&batch, &attempt].map(|span| here(span).trace_id());
        drop((requests, batch, attempt));
        let traces = capture.traces();
        let stories = Stories::new(&traces);
        let of = |id| stories.trace(id).expect("it was captured");
        assert!(is_batch(of(batch_id)) && !is_batch(of(attempt_id)));
        assert_eq!(stories.origins(of(batch_id)), [swim, sail]);
        assert_eq!(stories.origins(of(attempt_id)), [sail]);
        assert_eq!(stories.followers(swim).len(), 1);
        assert_eq!(stories.followers(sail).len(), 2);
    }
}
