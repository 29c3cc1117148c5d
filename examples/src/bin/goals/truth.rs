//! What the ids on a log line must be, by everything but the code that put them there.

use std::collections::HashMap;

use throughline::core::{SpanContext, SpanId, TraceId};
use throughline::testing::{ReceivedSpan, Value};

use crate::drive::Sent;
use crate::lines::{Line, Said};
use crate::stories::Stories;

/// Holds one line after the other against what was sent, what was received, and the lines before.
pub(crate) struct Truth<'a> {
    /// The trace of the request for each goal: by its title, as the load client sent it, and by the name of its stream,
    /// as the service answered.
    request_of: HashMap<String, TraceId>,
    /// What the receiver decoded; none if the spans went elsewhere.
    stories: Option<&'a Stories<'a>>,
    /// Which code wrote lines with these ids, and the other way round: a span is one call of one function.
    place_of: HashMap<(TraceId, SpanId), Place>,
    span_of: HashMap<(TraceId, Place), SpanId>,
}

/// The function, and which of its calls: for which adviser, for which request.
type Place = (String, Option<String>, Option<TraceId>);

impl<'a> Truth<'a> {
    pub(crate) fn new(sent: &[Sent], stories: Option<&'a Stories<'a>>) -> Self {
        let titles = sent.iter().map(|sent| (sent.draft.title.clone(), sent));
        let streams = sent
            .iter()
            .filter_map(|sent| Some((format!("goal-{}", sent.id?), sent)));
        let known = titles.chain(streams);
        Self {
            request_of: known
                .map(|(name, sent)| (name, sent.caller.trace_id()))
                .collect(),
            stories,
            place_of: HashMap::new(),
            span_of: HashMap::new(),
        }
    }

    pub(crate) fn check(&mut self, line: &Line, logged_by: &str) -> Result<(), &'static str> {
        let (trace_id, span_id) = line.ids().ok_or("no ids")?;
        let request = self.request(&line.said);
        if let Some(stories) = self.stories {
            let span = stories
                .span(trace_id, span_id)
                .ok_or("the ids of no span that was received")?;
            let adviser = line.said.adviser.as_deref();
            if !is_of(span, logged_by) || text(span, "adviser.name") != adviser {
                return Err("the ids of another span");
            }
            let origins = stories.trace(trace_id).map(|trace| stories.origins(trace));
            let follows = |request| origins.is_some_and(|origins| origins.contains(&request));
            if request.is_some_and(|request| !follows(request)) {
                return Err("the id of another trace");
            }
        } else if !LATER.contains(&logged_by) && request.is_some_and(|id| id != trace_id) {
            return Err("the id of another trace");
        }
        let place = (logged_by.to_owned(), line.said.adviser.clone(), request);
        let of_place = self
            .span_of
            .entry((trace_id, place.clone()))
            .or_insert(span_id);
        let of_span = self
            .place_of
            .entry((trace_id, span_id))
            .or_insert_with(|| place.clone());
        if *of_place != span_id || *of_span != place {
            return Err("the id of another span");
        }
        Ok(())
    }

    /// The trace of the request that a line is about.
    fn request(&self, said: &Said) -> Option<TraceId> {
        let name = said.goal.as_deref().or(said.stream.as_deref());
        let by_caller = || {
            let caller = SpanContext::parse_traceparent(said.caller.as_deref()?).ok()?;
            Some(caller.trace_id())
        };
        name.and_then(|name| self.request_of.get(name))
            .copied()
            .or_else(by_caller)
    }
}

/// The functions that run in traces which follow from the request's. Which ones these are is known only where the spans
/// are received.
const LATER: [&str; 4] = ["deliver", "find", "on_added", "tell"];

/// Whether a span is that of a function, or a `tracing` span of that name.
fn is_of(span: &ReceivedSpan, logged_by: &str) -> bool {
    match text(span, "code.function.name") {
        Some(path) => path
            .strip_suffix(logged_by)
            .is_some_and(|module| module.ends_with("::")),
        None => span.name == logged_by,
    }
}

fn text<'a>(span: &'a ReceivedSpan, key: &str) -> Option<&'a str> {
    span.attribute(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use throughline::core::{Context, TraceFlags};
    use throughline::span;
    use throughline::testing::Capture;

    use super::*;
    use crate::check::tests::sent;

    #[throughline::test]
    fn a_line_has_the_ids_of_its_span_or_it_does_not(capture: Capture) {
        let sent = [sent("swim", 1), sent("sail", 2)];
        let serve = span!(kind: server, parent: sent[0].caller, "serve");
        let ask = |adviser| span!(parent: serve.context(), "ask", adviser.name = adviser);
        let (optimist, realist) = (ask("optimist"), ask("realist"));
        // It comes later, in a trace that is linked.
        let links = [optimist.context().span_context()];
        let deliver = span!(parent: None::<Context>, links: links, "deliver");
        let [outer, inner, sibling, later] =
            [&serve, &optimist, &realist, &deliver].map(|span| span.context());
        drop((serve, optimist, realist, deliver));
        let traces = capture.traces();
        let stories = Stories::new(&traces);

        let mut truth = Truth::new(&sent, Some(&stories));
        let mut check = |line| truth.check(&line, line.said.logged_by.as_deref().unwrap_or(""));
        let caller = sent[0].caller.to_traceparent();
        let answered = |context| {
            line(
                context,
                json!({"logged_by": "serve", "caller": caller.as_str()}),
            )
        };
        let asked = |context, goal| {
            line(
                context,
                json!({"logged_by": "ask", "adviser": "optimist", "goal": goal}),
            )
        };
        let delivered = |stream| line(&later, json!({"logged_by": "deliver", "stream": stream}));
        assert_eq!(check(answered(&outer)), Ok(()));
        assert_eq!(check(asked(&inner, "swim")), Ok(()));
        assert_eq!(check(asked(&outer, "swim")), Err("the ids of another span"));
        assert_eq!(
            check(asked(&sibling, "swim")),
            Err("the ids of another span")
        );
        assert_eq!(check(asked(&inner, "sail")), Err("the id of another trace"));
        let unknown = Context::from(sent[0].caller);
        assert_eq!(
            check(asked(&unknown, "swim")),
            Err("the ids of no span that was received")
        );
        assert_eq!(check(asked(&Context::default(), "swim")), Err("no ids"));
        assert_eq!(check(delivered("goal-1")), Ok(()));
        assert_eq!(check(delivered("goal-2")), Err("the id of another trace"));
    }

    #[test]
    fn without_the_spans_a_function_has_one_id_per_request() {
        let sent = [sent("swim", 1)];
        let mut truth = Truth::new(&sent, None);
        let mut check = |context: u8, logged_by: &str| {
            let at = SpanContext::new(
                sent[0].caller.trace_id(),
                SpanId::from_bytes([context; 8]),
                TraceFlags::SAMPLED,
                false,
            );
            let said = json!({"logged_by": logged_by, "goal": "swim"});
            truth.check(&line(&Context::from(at), said), logged_by)
        };
        assert_eq!(check(7, "estimate"), Ok(()));
        assert_eq!(check(7, "estimate"), Ok(()));
        assert_eq!(check(8, "estimate"), Err("the id of another span"));
        assert_eq!(check(7, "validate"), Err("the id of another span"));
        assert_eq!(check(9, "create_goal"), Ok(()));
    }

    /// A line with the ids of a context, if it has any.
    fn line(context: &Context, mut said: serde_json::Value) -> Line {
        let span = context.span_context();
        if span.is_valid() {
            said["trace_id"] = json!(span.trace_id().to_string());
            said["span_id"] = json!(span.span_id().to_string());
            said["trace_flags"] = json!("01");
        }
        serde_json::from_value(said).expect("the members of a line")
    }
}
