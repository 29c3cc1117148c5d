//! The spans of one trace, and what must hold between them.
//!
//! Owns grouping, order and parentage. It must not know how spans are written as text (see `tree`).

use std::collections::{HashMap, HashSet};

use throughline_core::{SpanId, TraceId};

use crate::options::TreeOptions;
use crate::span::ReceivedSpan;
use crate::tree;

/// All received spans of one trace, ordered by start.
///
/// Spans that start in the same nanosecond are ordered by end, then by arrival: for spans of one thread that is the
/// order in which they ran.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    spans: Vec<ReceivedSpan>,
    /// Names of the spans that links of this trace lead to, as far as they were received at all.
    linked: HashMap<(TraceId, SpanId), String>,
}

impl Trace {
    /// The id of the trace; `None` when nothing of it was received.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        self.spans.first().map(|span| span.trace_id)
    }

    /// Its spans, ordered by start.
    #[must_use]
    pub fn spans(&self) -> &[ReceivedSpan] {
        &self.spans
    }

    /// How many spans were received.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether nothing was received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The earliest span with this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&ReceivedSpan> {
        self.spans.iter().find(|span| span.name == name)
    }

    /// The span with this id.
    #[must_use]
    pub fn span(&self, span_id: SpanId) -> Option<&ReceivedSpan> {
        self.spans.iter().find(|span| span.span_id == span_id)
    }

    /// The children of a span, ordered by start.
    pub fn children(&self, span_id: SpanId) -> impl Iterator<Item = &ReceivedSpan> {
        self.spans
            .iter()
            .filter(move |span| span.parent == Some(span_id))
    }

    /// The spans that begin the trace in this process: those without a parent, and those whose parent is remote and
    /// was not received here.
    #[must_use]
    pub fn roots(&self) -> Vec<&ReceivedSpan> {
        let forest = self.forest();
        self.select(&forest.roots)
    }

    /// The spans whose parent should be here and is not.
    #[must_use]
    pub fn orphans(&self) -> Vec<&ReceivedSpan> {
        let forest = self.forest();
        self.select(&forest.orphans)
    }

    /// The trace as text, for inline snapshots; see [`TreeOptions`] for what is shown.
    ///
    /// ```text
    /// POST /goals [server] {http.route="/goals"} (remote parent)
    /// ├─ place_order {order.id=42} error: out of stock
    /// │     • exception {exception.message="out of stock"}
    /// └─ audit [producer]
    ///       → place_order {reason="retry"}
    /// ```
    #[must_use]
    pub fn tree(&self) -> String {
        self.tree_with(&TreeOptions::new())
    }

    /// The trace as text, with other options.
    #[must_use]
    pub fn tree_with(&self, options: &TreeOptions) -> String {
        tree::draw(self, options)
    }

    /// What is wrong with the trace, one sentence each; empty when it is whole.
    ///
    /// A whole trace has at least one span and at most one without a parent, every parent that is not remote was
    /// received, every span id occurs once, no span is its own ancestor, and none ends before it starts.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        if self.spans.is_empty() {
            return vec!["nothing of the trace was received".to_owned()];
        }
        let mut problems = Vec::new();
        let parentless: Vec<_> = self
            .spans
            .iter()
            .filter(|span| span.parent.is_none())
            .collect();
        if parentless.len() > 1 {
            let names: Vec<_> = parentless.iter().map(|span| span.name.as_str()).collect();
            problems.push(format!(
                "{} spans have no parent: {}",
                names.len(),
                names.join(", ")
            ));
        }
        let forest = self.forest();
        for orphan in self.select(&forest.orphans) {
            problems.push(format!("the parent of `{}` was not received", orphan.name));
        }
        for span in self.select(&forest.circular) {
            problems.push(format!("`{}` is below its own descendant", span.name));
        }
        let mut ids = HashSet::new();
        for span in &self.spans {
            if !ids.insert(span.span_id) {
                problems.push(format!("the id of `{}` occurs twice", span.name));
            }
            if span.end_unix_nano < span.start_unix_nano {
                problems.push(format!("`{}` ends before it starts", span.name));
            }
        }
        problems
    }

    /// Asserts that there are no [`problems`](Self::problems); returns the trace for further calls.
    ///
    /// # Panics
    ///
    /// If there are: with the problems and the tree.
    #[track_caller]
    pub fn assert_complete(&self) -> &Self {
        let problems = self.problems();
        assert!(
            problems.is_empty(),
            "the trace is not complete:\n- {}\n\n{}",
            problems.join("\n- "),
            self.tree(),
        );
        self
    }

    /// One trace out of many spans; cost is one pass over them, and a copy of what belongs to the trace.
    pub(crate) fn of(trace_id: TraceId, all: &[ReceivedSpan]) -> Self {
        let spans = all.iter().filter(|span| span.trace_id == trace_id);
        Self::new(spans.cloned().collect(), &names(all))
    }

    /// All traces, ordered by the start of their first spans.
    pub(crate) fn group(all: &[ReceivedSpan]) -> Vec<Self> {
        let names = names(all);
        let mut traces: HashMap<TraceId, Vec<ReceivedSpan>> = HashMap::new();
        for span in all {
            traces.entry(span.trace_id).or_default().push(span.clone());
        }
        let mut traces: Vec<_> = traces
            .into_values()
            .map(|spans| Self::new(spans, &names))
            .collect();
        traces.sort_by_key(|trace| {
            let first = trace.spans.first();
            first.map(|span| (span.start_unix_nano, span.end_unix_nano, span.trace_id))
        });
        traces
    }

    fn new(mut spans: Vec<ReceivedSpan>, names: &Names<'_>) -> Self {
        spans.sort_by_key(|span| (span.start_unix_nano, span.end_unix_nano));
        let linked = spans
            .iter()
            .flat_map(|span| &span.links)
            .map(|link| (link.trace_id, link.span_id))
            .filter_map(|target| names.get(&target).map(|name| (target, (*name).to_owned())))
            .collect();
        Self { spans, linked }
    }

    /// The name of a linked span, if it was received.
    pub(crate) fn linked_name(&self, trace_id: TraceId, span_id: SpanId) -> Option<&str> {
        self.linked.get(&(trace_id, span_id)).map(String::as_str)
    }

    /// Who is below whom, as positions in [`spans`](Self::spans).
    pub(crate) fn forest(&self) -> Forest {
        let mut position = HashMap::new();
        for (index, span) in self.spans.iter().enumerate() {
            position.entry(span.span_id).or_insert(index);
        }
        let mut forest = Forest {
            children: vec![Vec::new(); self.spans.len()],
            ..Forest::default()
        };
        for (index, span) in self.spans.iter().enumerate() {
            match span.parent.map(|parent| position.get(&parent)) {
                Some(Some(&parent)) => forest.children[parent].push(index),
                Some(None) if !span.has_remote_parent() => forest.orphans.push(index),
                _ => forest.roots.push(index),
            }
        }
        forest.find_circular();
        forest
    }

    fn select(&self, positions: &[usize]) -> Vec<&ReceivedSpan> {
        positions.iter().map(|&index| &self.spans[index]).collect()
    }
}

/// Parentage among the spans of a trace, as positions in [`Trace::spans`], each list ordered by start.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    pub(crate) children: Vec<Vec<usize>>,
    pub(crate) roots: Vec<usize>,
    pub(crate) orphans: Vec<usize>,
    /// One span of each circle of parents: no root and no orphan leads to these.
    pub(crate) circular: Vec<usize>,
}

impl Forest {
    fn find_circular(&mut self) {
        let mut reached = vec![false; self.children.len()];
        let mut below: Vec<usize> = self.roots.iter().chain(&self.orphans).copied().collect();
        let mut candidates = 0..self.children.len();
        loop {
            while let Some(index) = below.pop() {
                if !std::mem::replace(&mut reached[index], true) {
                    below.extend(&self.children[index]);
                }
            }
            match candidates.find(|&index| !reached[index]) {
                Some(index) => {
                    self.circular.push(index);
                    below.push(index);
                }
                None => break,
            }
        }
    }
}

/// The names of all received spans, to say what a link leads to.
type Names<'a> = HashMap<(TraceId, SpanId), &'a str>;

fn names(all: &[ReceivedSpan]) -> Names<'_> {
    let targets: HashSet<_> = all
        .iter()
        .flat_map(|span| &span.links)
        .map(|link| (link.trace_id, link.span_id))
        .collect();
    all.iter()
        .map(|span| ((span.trace_id, span.span_id), span.name.as_str()))
        .filter(|(id, _)| targets.contains(id))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{link, span};

    #[test]
    fn a_whole_trace_has_no_problems() {
        let trace = one(vec![
            span(1, None, "root", 10..40),
            span(2, Some(1), "child", 20..30),
        ]);
        assert_eq!(trace.assert_complete().len(), 2);
        assert_eq!(trace.roots()[0].name, "root");
        assert_eq!(trace.orphans(), Vec::<&ReceivedSpan>::new());
        let root = trace.find("root").expect("the root was received");
        let children: Vec<_> = trace
            .children(root.span_id)
            .map(|span| &span.name)
            .collect();
        assert_eq!(children, ["child"]);
    }

    #[test]
    fn every_problem_is_named() {
        let trace = one(vec![
            span(1, None, "root", 10..40),
            span(2, None, "second root", 10..40),
            span(3, Some(99), "orphan", 10..40),
            span(4, Some(5), "circle a", 10..40),
            span(5, Some(4), "circle b", 10..40),
            span(1, None, "twin", 10..40),
            #[expect(clippy::reversed_empty_ranges, reason = "the mistake under test")]
            span(6, Some(1), "backwards", 40..10),
        ]);
        insta::assert_snapshot!(trace.problems().join("\n"), @r"
        3 spans have no parent: root, second root, twin
        the parent of `orphan` was not received
        `circle a` is below its own descendant
        the id of `twin` occurs twice
        `backwards` ends before it starts
        ");
        assert_eq!(
            Trace::default().problems(),
            ["nothing of the trace was received"]
        );
    }

    #[test]
    #[should_panic(
        expected = "the parent of `orphan` was not received\n\n? missing parent\n└─ orphan"
    )]
    fn an_incomplete_trace_panics_with_its_picture() {
        one(vec![span(3, Some(99), "orphan", 10..40)]).assert_complete();
    }

    #[test]
    fn a_remote_parent_is_not_missing() {
        let mut server = span(1, Some(77), "server", 10..40);
        server.flags = 0x301;
        let mut second = span(2, Some(77), "second", 50..60);
        second.flags = 0x301;
        let trace = one(vec![server, second]);
        assert_eq!(trace.assert_complete().roots().len(), 2);
    }

    #[test]
    fn traces_are_grouped_and_ordered_by_start() {
        let mut late = span(1, None, "late", 50..60);
        late.trace_id = TraceId::from_bytes([9; 16]);
        let mut early = span(2, None, "early", 10..20);
        early.links.push(link(&late));
        let traces = Trace::group(&[late.clone(), early]);
        let names: Vec<_> = traces.iter().map(|trace| &trace.spans[0].name).collect();
        assert_eq!(names, ["early", "late"]);
        assert_eq!(
            traces[0].linked_name(late.trace_id, late.span_id),
            Some("late")
        );
    }

    fn one(spans: Vec<ReceivedSpan>) -> Trace {
        Trace::of(spans[0].trace_id, &spans)
    }
}
