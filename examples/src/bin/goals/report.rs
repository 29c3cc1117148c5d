//! What the program prints at its end: for people, and as one line for other programs.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use std::time::Duration;

use axum::http::StatusCode;
use serde::Serialize;
use throughline::core::TraceId;
use throughline::export::PipelineStats;
use throughline::testing::{Trace, TreeOptions};

use crate::check::Findings;
use crate::cost;
use crate::drive::Sent;
use crate::lines::Line;

/// Says how long the load took and how it went.
pub(crate) fn print_load(sent: &[Sent], took: Duration) {
    let created = sent
        .iter()
        .filter(|sent| sent.status == StatusCode::CREATED);
    let created = created.count();
    println!(
        "{} requests in {:.2} s: {created} goals created, {} refused",
        sent.len(),
        took.as_secs_f64(),
        sent.len() - created,
    );
}

/// Shows one request: its log lines, and its trace if it was received here.
pub(crate) fn print_sample(sent: &[Sent], lines: &[String], traces: Option<&[Trace]>) {
    let created = sent.iter().find(|sent| sent.status == StatusCode::CREATED);
    let Some(sample) = created.or(sent.first()) else {
        return;
    };
    let trace_id = sample.caller.trace_id();
    println!(
        "\nThe log lines of one request, of {} lines in all:\n",
        lines.len()
    );
    for line in lines.iter().filter(|line| is_of(line, trace_id)) {
        println!("{line}");
    }
    let trace_with_id = |trace: &&Trace| trace.trace_id() == Some(trace_id);
    if let Some(trace) = traces.and_then(|traces| traces.iter().find(trace_with_id)) {
        // The lines stand above; here it is enough that they are events, too.
        let of_lines = ["adviser", "caller", "goal", "level", "logged_by", "target"];
        let options = of_lines
            .into_iter()
            .fold(TreeOptions::new().durations(), TreeOptions::hide);
        println!("\nIts trace {trace_id}, as the receiver decoded it:\n");
        println!("{}", trace.tree_with(&options.durations()));
    }
}

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
    pub(crate) spans_started: u64,
    pub(crate) spans_received: Option<u64>,
    pub(crate) spans_dropped: u64,
    pub(crate) orphan_spans: Option<u64>,
    pub(crate) log_lines_in_span: u64,
    pub(crate) log_lines_with_ids: u64,
}

impl Json {
    pub(crate) fn new(requests: usize, stats: &PipelineStats, findings: &Findings) -> Self {
        Self {
            requests,
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
