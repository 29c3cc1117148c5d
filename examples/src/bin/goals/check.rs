//! Whether everything is as it should be.
//!
//! Owns what is expected and holds three things that know nothing of each other against it: what the load client
//! sent, what the receiver decoded, and what the log says. It prints nothing.

use axum::http::StatusCode;
use throughline::core::TraceId;
use throughline::export::{FlushReport, PipelineStats};
use throughline::testing::{ReceivedSpan, Trace, Value};

use crate::drive::Sent;
use crate::lines::Line;
use crate::notifier::MOST;
use crate::picture;
use crate::stories::{Stories, is_batch, is_replay};
use crate::system::Ran;
use crate::truth::Truth;

/// What there is to look at, after everything has stopped.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) ran: &'a Ran,
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
        for sent in &self.ran.sent {
            check_answer(sent, &mut findings);
        }
        let stories = self.traces.map(Stories::new);
        if let Some(stories) = &stories {
            check_received(stories, self.stats.started, &mut findings);
            for sent in &self.ran.sent {
                check_story(sent, stories, &mut findings);
            }
            self.check_batches(stories, &mut findings);
            self.check_replay(stories, &mut findings);
        }
        self.check_lines(stories.as_ref(), &mut findings);
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
        if !self.ran.replay_agrees {
            let problem = "the replay led to another summary".to_owned();
            findings.problems.push(problem);
        }
    }

    /// Every batch has a link for each of its records, and handles them all.
    fn check_batches(&self, stories: &Stories<'_>, findings: &mut Findings) {
        let mut batches = 0;
        for batch in stories.traces().iter().filter(|trace| is_batch(trace)) {
            batches += 1;
            let origins = stories.origins(batch);
            let owner_of = |origin: &TraceId| {
                let sent = self.ran.sent.iter();
                let mut sent = sent.filter(|sent| sent.caller.trace_id() == *origin);
                sent.next().map(|sent| sent.draft.owner.as_str())
            };
            let owners: Option<Vec<_>> = origins.iter().map(owner_of).collect();
            let Some(owners) = owners else {
                // Somebody else's goals are among them.
                continue;
            };
            let picture = picture::of(batch);
            if owners.len() > MOST || picture != picture::of_batch(&owners) {
                let problem = format!("a batch is not as expected:\n{picture}");
                findings.problems.push(problem);
            }
        }
        if batches != self.ran.batches {
            let problem = format!("{batches} traces of {} batches", self.ran.batches);
            findings.problems.push(problem);
        }
    }

    /// Every event was replayed once, in pages, and made no other span.
    fn check_replay(&self, stories: &Stories<'_>, findings: &mut Findings) {
        let named = |name: &str| {
            let traces = stories.traces().iter();
            let roots = traces.filter(|trace| trace.roots().iter().any(|root| root.name == name));
            roots.count() as u64
        };
        // Each goal leaves one event that is projected, and one that is passed over, by both.
        let goals = named("project goal_summary GoalAdded");
        let mut replayed = 0;
        for page in stories.traces().iter().filter(|trace| is_replay(trace)) {
            let picture = picture::of(page);
            if picture != picture::REPLAY {
                let problem = format!("a page of the replay is not as expected:\n{picture}");
                findings.problems.push(problem);
            }
            let events = |span: &ReceivedSpan| match span.attribute("projection.page.events") {
                Some(Value::Int(events)) => *events,
                _ => 0,
            };
            replayed += page.spans().iter().map(events).sum::<i64>();
        }
        let counts = [
            ("passed over by the summary", self.ran.skipped[0], goals),
            ("passed over by the feed", self.ran.skipped[1], goals),
            ("replayed", u64::try_from(replayed).unwrap_or(0), 2 * goals),
            (
                "dead letters",
                self.ran.dead_letters,
                named("process goals.dead"),
            ),
        ];
        for (what, count, expected) in counts {
            if count != expected {
                let problem = format!("{what}: {count}, and not {expected}");
                findings.problems.push(problem);
            }
        }
    }

    /// Every line in a span has the ids of that span, every other line has none.
    fn check_lines(&self, stories: Option<&Stories<'_>>, findings: &mut Findings) {
        let mut truth = Truth::new(&self.ran.sent, stories);
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

/// Every trace is whole, begins with a request or follows from one, or is a page of the replay. Every link leads to a
/// span that was received.
fn check_received(stories: &Stories<'_>, started: u64, findings: &mut Findings) {
    let traces = stories.traces();
    let received: u64 = traces.iter().map(|trace| trace.len() as u64).sum();
    if received != started {
        let problem = format!("{started} spans were started, {received} received");
        findings.problems.push(problem);
    }
    let mut orphans = 0;
    for trace in traces {
        orphans += trace.orphans().len() as u64;
        findings.problems.extend(trace.problems());
        if stories.origins(trace).is_empty() && !is_replay(trace) {
            for root in trace.roots() {
                orphans += 1;
                findings
                    .problems
                    .push(format!("`{}` has lost its parent", root.name));
            }
        }
        for span in trace.spans() {
            for link in &span.links {
                if stories.span(link.trace_id, link.span_id).is_none() {
                    findings
                        .problems
                        .push(format!("a link of `{}` leads nowhere", span.name));
                }
            }
        }
    }
    findings.spans_received = Some(received);
    findings.orphan_spans = Some(orphans);
}

/// The service answered as it should.
fn check_answer(sent: &Sent, findings: &mut Findings) {
    let refused = sent.draft.owner.is_empty();
    let right = if refused {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::CREATED
    };
    if sent.status != right || sent.id.is_none() != refused {
        let problem = format!("{:?} was answered with {}", sent.draft.title, sent.status);
        findings.problems.push(problem);
    }
}

/// The trace of a request is below its caller and has all its spans, each below the right one, and so have those that
/// follow from it.
fn check_story(sent: &Sent, stories: &Stories<'_>, findings: &mut Findings) {
    let goal = &sent.draft.title;
    let owner = &sent.draft.owner;
    let Some(trace) = stories.trace(sent.caller.trace_id()) else {
        let problem = format!("nothing was received of the trace of {goal:?}");
        findings.problems.push(problem);
        return;
    };
    let below_caller = |span: &&ReceivedSpan| span.parent == Some(sent.caller.span_id());
    if !trace.roots().iter().all(below_caller) {
        let problem = format!("the trace of {goal:?} is not below its caller");
        findings.problems.push(problem);
    }
    let picture = picture::of(trace);
    if picture != picture::of_request(owner) {
        let problem = format!("the trace of {goal:?} is not as expected:\n{picture}");
        findings.problems.push(problem);
    }
    let (batches, others): (Vec<_>, Vec<_>) = stories
        .followers(sent.caller.trace_id())
        .iter()
        .partition(|trace| is_batch(trace));
    let expected = picture::of_followers(owner);
    if batches.len() != usize::from(!expected.is_empty()) {
        let problem = format!("{goal:?} was in {} batches", batches.len());
        findings.problems.push(problem);
    }
    let mut pictures: Vec<_> = others.into_iter().map(picture::of).collect();
    pictures.sort_unstable();
    if pictures != expected {
        let pictures = pictures.join("\n");
        let problem = format!("what follows from {goal:?} is not as expected:\n{pictures}");
        findings.problems.push(problem);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use throughline::core::{Context, SpanContext, SpanId, TraceFlags, TraceId};
    use throughline::span;
    use throughline::testing::Capture;

    use super::*;
    use crate::service::Draft;

    #[throughline::test]
    fn spans_without_their_parents_are_counted(capture: Capture) {
        let open = span!("never received");
        span!(parent: open.context(), "orphan").end();
        span!(parent: sent("swim", 1).caller, kind: server, "request").end();
        span!(parent: None::<Context>, "lost").end();
        let links = [open.context().span_context()];
        span!(parent: None::<Context>, links: links, "astray").end();
        let mut findings = Findings::default();
        let traces = capture.traces();
        check_received(&Stories::new(&traces), 5, &mut findings);
        assert_eq!(findings.spans_received, Some(4));
        assert_eq!(findings.orphan_spans, Some(3));
        findings.problems.sort();
        assert_eq!(
            findings.problems,
            [
                "5 spans were started, 4 received",
                "`astray` has lost its parent",
                "`lost` has lost its parent",
                "a link of `astray` leads nowhere",
                "the parent of `orphan` was not received",
            ]
        );
    }

    pub(crate) fn sent(goal: &str, number: u8) -> Sent {
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
            id: Some(number.into()),
        }
    }
}
