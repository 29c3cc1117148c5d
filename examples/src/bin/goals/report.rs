//! What the program prints at its end: for people, and as one line for other programs.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use serde::Serialize;
use throughline::core::TraceId;
use throughline::export::PipelineStats;
use throughline::testing::{Trace, TreeOptions};

use crate::check::Findings;
use crate::cost;
use crate::drive::Sent;
use crate::lines::Line;
use crate::people::{GONE, MOVED, OWNERS};
use crate::stories::{Stories, is_replay};
use crate::system::Ran;

/// Says how long the load took and how it went.
pub(crate) fn print_load(ran: &Ran) {
    let created = ran.sent.iter().filter(|sent| sent.id.is_some()).count();
    println!(
        "{} requests in {:.2} s: {created} goals created, {} refused, {} batches of notifications, {} dead letters",
        ran.sent.len(),
        ran.took.as_secs_f64(),
        ran.sent.len() - created,
        ran.batches,
        ran.dead_letters,
    );
}

/// Shows what became of requests: the log lines of one, and the traces of its story, if they were received here; then
/// what is different where something went wrong; then the replay.
pub(crate) fn print_stories(sent: &[Sent], lines: &[String], traces: Option<&[Trace]>) {
    let usual = |sent: &&Sent| OWNERS.contains(&sent.draft.owner.as_str());
    let Some(sample) = sent.iter().find(usual).or(sent.first()) else {
        return;
    };
    let request = sample.caller.trace_id();
    println!(
        "\nThe log lines of one request, of {} lines in all:\n",
        lines.len()
    );
    for line in lines.iter().filter(|line| is_of(line, request)) {
        println!("{line}");
    }
    let Some(traces) = traces else {
        return;
    };
    let stories = Stories::new(traces);
    println!("\nIts trace, as the receiver decoded it, and those that follow from it:");
    let mut story: Vec<_> = stories.trace(request).into_iter().collect();
    story.extend(stories.followers(request));
    print_linked(&story);
    for (owner, what) in [
        (MOVED, "A projection fails, and is tried again:"),
        (GONE, "A handler fails twice, and leaves a dead letter:"),
    ] {
        let of_owner = |sent: &&Sent| sent.draft.owner == owner;
        if let Some(sent) = sent.iter().find(of_owner) {
            println!("\n{what}");
            print_linked(stories.followers(sent.caller.trace_id()));
        }
    }
    if let Some(page) = traces.iter().find(|trace| is_replay(trace)) {
        println!("\nThe first page of the replay:");
        print_linked(&[page]);
    }
}

/// Says how many events were of no use to whom: they have no spans.
pub(crate) fn print_skipped(ran: &Ran) {
    let [summary, feed] = ran.skipped;
    println!(
        "\nEvents without a span, since they were passed over: {summary} by the summary, {feed} by the feed"
    );
}

/// Draws the traces with numbers, and says which of them a link leads to.
fn print_linked(story: &[&Trace]) {
    let options = HIDDEN
        .iter()
        .fold(TreeOptions::new(), |options, keys| options.hide(keys));
    let options = options.durations();
    for (number, trace) in story.iter().enumerate() {
        let Some(id) = trace.trace_id() else {
            continue;
        };
        println!("\n{}. trace {id}\n", number + 1);
        println!("{}", trace.tree_with(&options));
        let links = trace.spans().iter().flat_map(|span| &span.links);
        let mut to: Vec<_> = links
            .filter_map(|link| {
                let shown = |other: &&Trace| other.trace_id() == Some(link.trace_id);
                story.iter().position(shown)
            })
            .filter(|linked| *linked != number)
            .map(|linked| (linked + 1).to_string())
            .collect();
        to.dedup();
        if !to.is_empty() {
            println!("\nIt is linked to {}.", to.join(" and "));
        }
    }
}

const HIDDEN: [&str; 17] = [
    // The lines stand above; here it is enough that they are events, too.
    "adviser",
    "caller",
    "goal",
    "level",
    "logged_by",
    "stream",
    "target",
    // What the names of the spans say already.
    "actor.type",
    "actor.message.type",
    "db.*",
    "http.request.method",
    "messaging.operation.*",
    "messaging.system",
    "projection.event.type",
    "projection.name",
    "projection.stream.type",
    "url.*",
];

fn is_of(line: &str, trace_id: TraceId) -> bool {
    let line = serde_json::from_str::<Line>(line).ok();
    line.and_then(|line| line.ids())
        .is_some_and(|(id, _)| id == trace_id)
}

/// Sums up: what became of the spans, of the log lines, and what it cost.
pub(crate) fn print_summary(stats: &PipelineStats, findings: &Findings, ns_per_span: Option<f64>) {
    let Findings {
        spans_received,
        orphan_spans,
        lines_in_span,
        lines_with_ids,
        ..
    } = findings;
    println!("\n{stats}");
    match (spans_received, orphan_spans) {
        (Some(received), Some(orphans)) => {
            println!("{received} spans received, {orphans} of them without their parent");
        }
        _ => println!("the spans went where the environment says"),
    }
    println!(
        "{lines_in_span} log lines in spans, {lines_with_ids} of them with the ids of their span"
    );
    let build = if cfg!(debug_assertions) {
        ", in a build without optimisation"
    } else {
        ""
    };
    match ns_per_span {
        Some(ns) => println!(
            "{ns:.0} ns per span with three attributes on the thread that records it: the median of {} rounds of {} \
             spans in a loop, timed in this process just now{build}",
            cost::ROUNDS,
            cost::SPANS,
        ),
        None => println!("the cost of a span could not be measured: some were dropped"),
    }
}

/// The result for other programs.
#[derive(Debug, Serialize)]
pub(crate) struct Json {
    pub(crate) requests: usize,
    /// How many traces of batches there are depends on how the records arrived.
    pub(crate) batches: u64,
    pub(crate) spans_started: u64,
    pub(crate) spans_received: Option<u64>,
    pub(crate) spans_dropped: u64,
    pub(crate) orphan_spans: Option<u64>,
    pub(crate) log_lines_in_span: u64,
    pub(crate) log_lines_with_ids: u64,
}

impl Json {
    pub(crate) fn new(ran: &Ran, stats: &PipelineStats, findings: &Findings) -> Self {
        Self {
            requests: ran.sent.len(),
            batches: ran.batches,
            spans_started: stats.started,
            spans_received: findings.spans_received,
            // Whatever did not arrive, on whichever side of the exporter it was lost.
            spans_dropped: stats.dropped.total() + stats.failed.total(),
            orphan_spans: findings.orphan_spans,
            log_lines_in_span: findings.lines_in_span,
            log_lines_with_ids: findings.lines_with_ids,
        }
    }

    pub(crate) fn print(&self) -> Result<(), serde_json::Error> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}
