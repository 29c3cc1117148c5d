//! Whether everything is as it should be.
//!
//! Owns what is expected and holds three things that know nothing of each other against it: what the load client
//! sent, what the receiver decoded, and what the log says. It prints nothing.

use std::collections::HashMap;

use axum::http::StatusCode;
use throughline::core::{SpanContext, SpanId, SpanKind, TraceId};
use throughline::export::{FlushReport, PipelineStats};
use throughline::testing::{ReceivedSpan, Trace, TreeOptions};

use crate::drive::Sent;
use crate::lines::{Line, Said};

/// What there is to look at, after everything has stopped.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) sent: &'a [Sent],
    pub(crate) lines: &'a [String],
    /// What the receiver decoded; none if the spans went elsewhere.
    pub(crate) traces: Option<&'a [Trace]>,
    pub(crate) stats: &'a PipelineStats,
    pub(crate) shutdown: FlushReport,
}

/// The result.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) spans_received: Option<u64>,
    pub(crate) orphan_spans: Option<u64>,
    pub(crate) lines_in_span: u64,
    pub(crate) lines_with_ids: u64,
    /// What is wrong, one sentence each.
    pub(crate) problems: Vec<String>,
}

impl Evidence<'_> {
    pub(crate) fn examine(&self) -> Findings {
        let mut findings = Findings::default();
        self.check_counts(&mut findings);
        if let Some(traces) = self.traces {
            check_received(traces, self.stats.started, &mut findings);
        }
        let by_id = self.traces.map(|traces| {
            let ids = traces.iter().map(|trace| (trace.trace_id(), trace));
            ids.collect::<HashMap<_, _>>()
        });
        for sent in self.sent {
            check_answer(sent, &mut findings);
            if let Some(traces) = &by_id {
                let trace = traces.get(&Some(sent.caller.trace_id()));
                check_trace(sent, trace.copied(), &mut findings);
            }
        }
        self.check_lines(&mut findings);
        findings
    }

    /// Every span that started was exported to every destination.
    fn check_counts(&self, findings: &mut Findings) {
        let destinations = self.stats.destinations.iter();
        let exported = destinations.map(|one| one.exported).min().unwrap_or(0);
        if exported != self.stats.started || self.stats.unaccounted() != 0 {
            findings.problems.push(self.stats.to_string());
        }
        if !self.shutdown.is_complete() {
            let problem = format!("the shutdown is not complete: {}", self.shutdown);
            findings.problems.push(problem);
        }
    }

    /// Every line in a span has the ids of that span, every other line has none.
    fn check_lines(&self, findings: &mut Findings) {
        let mut truth = Truth::new(self.sent, self.traces);
        for text in self.lines {
            let line: Line = match serde_json::from_str(text) {
                Ok(line) => line,
                Err(error) => {
                    findings
                        .problems
                        .push(format!("not a log line, {error}: {text}"));
                    continue;
                }
            };
            if let Some(logged_by) = &line.said.logged_by {
                findings.lines_in_span += 1;
                match truth.check(&line, logged_by) {
                    Ok(()) => findings.lines_with_ids += 1,
                    Err(problem) => findings.problems.push(format!("{problem}: {text}")),
                }
            } else if line.has_any_id() {
                findings
                    .problems
                    .push(format!("ids outside of all spans: {text}"));
            }
        }
    }
}

/// Every trace is whole, and nothing but a request begins one.
fn check_received(traces: &[Trace], started: u64, findings: &mut Findings) {
    let received: u64 = traces.iter().map(|trace| trace.len() as u64).sum();
    if received != started {
        let problem = format!("{started} spans were started, {received} received");
        findings.problems.push(problem);
    }
    let mut orphans = 0;
    for trace in traces {
        orphans += trace.orphans().len() as u64;
        findings.problems.extend(trace.problems());
        for root in trace.roots() {
            if root.kind != SpanKind::Server {
                orphans += 1;
                findings
                    .problems
                    .push(format!("`{}` has lost its parent", root.name));
            }
        }
    }
    findings.spans_received = Some(received);
    findings.orphan_spans = Some(orphans);
}

/// The service answered as it should.
fn check_answer(sent: &Sent, findings: &mut Findings) {
    let right = if is_refused(sent) {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::CREATED
    };
    if sent.status != right {
        let problem = format!("{:?} was answered with {}", sent.draft.title, sent.status);
        findings.problems.push(problem);
    }
}

/// The trace of a request is below its caller and has all its spans, each below the right one.
fn check_trace(sent: &Sent, trace: Option<&Trace>, findings: &mut Findings) {
    let goal = &sent.draft.title;
    let Some(trace) = trace else {
        let problem = format!("nothing was received of the trace of {goal:?}");
        findings.problems.push(problem);
        return;
    };
    let below_caller = |span: &&ReceivedSpan| span.parent == Some(sent.caller.span_id());
    if !trace.roots().iter().all(below_caller) {
        let problem = format!("the trace of {goal:?} is not below its caller");
        findings.problems.push(problem);
    }
    let expected = if is_refused(sent) { REFUSED } else { CREATED };
    let picture = trace.tree_with(&TreeOptions::new().hide("*").sorted_by_name());
    if picture != expected {
        let problem = format!("the trace of {goal:?} is not as expected:\n{picture}");
        findings.problems.push(problem);
    }
}

fn is_refused(sent: &Sent) -> bool {
    sent.draft.owner.is_empty()
}

/// What the ids on a line must be, by everything but the code that put them there.
struct Truth<'a> {
    /// The trace of each goal, as the load client sent it.
    trace_of: HashMap<&'a str, TraceId>,
    /// What the receiver decoded; none if the spans went elsewhere.
    spans: Option<HashMap<(TraceId, SpanId), &'a ReceivedSpan>>,
    /// Which code wrote lines with these ids, and the other way round: a span is one call of one function.
    place_of: HashMap<(TraceId, SpanId), Place>,
    span_of: HashMap<(TraceId, Place), SpanId>,
}

/// The function and which of its calls.
type Place = (String, Option<String>);

impl<'a> Truth<'a> {
    fn new(sent: &'a [Sent], traces: Option<&'a [Trace]>) -> Self {
        let spans = traces.map(|traces| {
            let spans = traces.iter().flat_map(Trace::spans);
            spans
                .map(|span| ((span.trace_id, span.span_id), span))
                .collect()
        });
        Self {
            trace_of: sent
                .iter()
                .map(|sent| (sent.draft.title.as_str(), sent.caller.trace_id()))
                .collect(),
            spans,
            place_of: HashMap::new(),
            span_of: HashMap::new(),
        }
    }

    fn check(&mut self, line: &Line, logged_by: &str) -> Result<(), &'static str> {
        let (trace_id, span_id) = line.ids().ok_or("no ids")?;
        let Said {
            adviser,
            goal,
            caller,
            ..
        } = &line.said;
        let by_goal = goal
            .as_deref()
            .and_then(|goal| self.trace_of.get(goal))
            .copied();
        let by_caller = caller
            .as_deref()
            .and_then(|text| SpanContext::parse_traceparent(text).ok())
            .map(|caller| caller.trace_id());
        if by_goal
            .or(by_caller)
            .is_some_and(|expected| expected != trace_id)
        {
            return Err("the id of another trace");
        }
        if let Some(spans) = &self.spans {
            let span = spans
                .get(&(trace_id, span_id))
                .ok_or("the ids of no span that was received")?;
            if !is_of(span, logged_by) || text(span, "adviser.name") != adviser.as_deref() {
                return Err("the ids of another span");
            }
        }
        let place = (logged_by.to_owned(), adviser.clone());
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
}

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
    span.attribute(key)
        .and_then(throughline::testing::Value::as_str)
}

/// The trace of a goal that is created, without attributes, siblings ordered by name.
const CREATED: &str = "\
POST /goals [server] (remote parent)
│  • answered
└─ create_goal
   │  • a new goal
   │  • created
   ├─ GoalBook Add
   │  │  • from the mailbox
   │  │  • stored
   │  ├─ INSERT goals [client]
   │  │  │  • inserted
   │  │  └─ commit
   │  │        • committed
   │  └─ announce
   │        • announced
   ├─ estimate
   │  │  • the median
   │  ├─ ask adviser
   │  │     • thinking
   │  │     • decided
   │  ├─ ask adviser
   │  │     • thinking
   │  │     • decided
   │  └─ ask adviser
   │        • thinking
   │        • decided
   └─ validate
         • fine";

/// The trace of a goal that is refused.
const REFUSED: &str = "\
POST /goals [server] (remote parent)
│  • answered
└─ create_goal error: a goal needs an owner
   │  • a new goal
   │  • exception
   └─ validate error: a goal needs an owner
         • nobody wants this
         • exception";

#[cfg(test)]
mod tests {
    use serde_json::json;
    use throughline::core::{Context, TraceFlags};
    use throughline::span;
    use throughline::testing::Capture;

    use super::*;
    use crate::service::Draft;

    #[throughline::test]
    fn a_line_has_the_ids_of_its_span_or_it_does_not(capture: Capture) {
        let sent = [sent("swim", 1), sent("sail", 2)];
        let serve = span!(kind: server, parent: sent[0].caller, "serve");
        let ask = |adviser| span!(parent: serve.context(), "ask", adviser.name = adviser);
        let (optimist, realist) = (ask("optimist"), ask("realist"));
        let [outer, inner, sibling] = [&serve, &optimist, &realist].map(|span| span.context());
        drop((serve, optimist, realist));
        let traces = capture.traces();

        let mut truth = Truth::new(&sent, Some(&traces));
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
        assert_eq!(check(9, "announce"), Ok(()));
    }

    #[throughline::test]
    fn spans_without_their_parents_are_counted(capture: Capture) {
        let open = span!("never received");
        span!(parent: open.context(), "orphan").end();
        span!(parent: sent("swim", 1).caller, kind: server, "request").end();
        span!(parent: None::<Context>, "lost").end();
        let mut findings = Findings::default();
        check_received(&capture.traces(), 4, &mut findings);
        assert_eq!(findings.spans_received, Some(3));
        assert_eq!(findings.orphan_spans, Some(2));
        findings.problems.sort();
        assert_eq!(
            findings.problems,
            [
                "4 spans were started, 3 received",
                "`lost` has lost its parent",
                "the parent of `orphan` was not received",
            ]
        );
    }

    fn sent(goal: &str, number: u8) -> Sent {
        Sent {
            draft: Draft {
                title: goal.to_owned(),
                owner: "ada".to_owned(),
            },
            caller: SpanContext::new(
                TraceId::from_bytes([number; 16]),
                SpanId::from_bytes([number; 8]),
                TraceFlags::SAMPLED,
                true,
            ),
            status: StatusCode::CREATED,
        }
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
