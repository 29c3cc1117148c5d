//! Draws the spans of one trace as a tree.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};

use super::decode::{ConsoleEvent, ConsoleSpan};
use crate::text::Line;

/// How much of a name or a value is shown, in characters.
const MAX_CHARS: usize = 120;

/// How deep the tree is drawn; deeper spans are counted.
const MAX_DEPTH: usize = 100;

/// Attributes that say where the code is, which the name says as well.
const HIDDEN_PREFIX: &str = "code.";

/// The statistics of an instrumented future, which are summed up in words.
const POLL_COUNT: &str = "poll_count";
const BUSY: &str = "busy_ns";
const POLL_STATISTICS: [&str; 5] = [
    POLL_COUNT,
    BUSY,
    "idle_ns",
    "longest_poll_ns",
    "schedule_latency_ns",
];

/// Draws spans of the same trace. Spans whose parent is not among them stand at
/// the left.
pub(super) fn draw(mut spans: Vec<ConsoleSpan>) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = draw_into(&mut spans, &mut out);
    out
}

struct Tree<'a> {
    spans: &'a [ConsoleSpan],
    children: HashMap<[u8; 8], Vec<usize>>,
    drawn: Vec<bool>,
    start_nanos: u64,
}

fn draw_into(spans: &mut [ConsoleSpan], out: &mut String) -> fmt::Result {
    let Some(first) = spans.first() else {
        return Ok(());
    };
    let trace_id = u128::from_be_bytes(first.trace_id);
    spans.sort_by_key(|span| (span.start_nanos, span.end_nanos));
    let start_nanos = spans.iter().map(|span| span.start_nanos).min().unwrap_or(0);
    let end_nanos = spans.iter().map(|span| span.end_nanos).max().unwrap_or(0);
    let ids: HashSet<[u8; 8]> = spans.iter().map(|span| span.id).collect();

    let mut children: HashMap<[u8; 8], Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        if ids.contains(&span.parent) {
            children.entry(span.parent).or_default().push(index);
        } else {
            roots.push(index);
        }
    }
    let count = spans.len();
    let continued = if spans.iter().any(ConsoleSpan::begins_trace) {
        ""
    } else {
        " (continued)"
    };
    writeln!(
        out,
        "trace {trace_id:032x}{continued}: {count} {} in {}",
        if count == 1 { "span" } else { "spans" },
        Nanos(end_nanos.saturating_sub(start_nanos)),
    )?;
    let mut tree = Tree {
        spans,
        children,
        drawn: vec![false; count],
        start_nanos,
    };
    for (position, &index) in roots.iter().enumerate() {
        tree.span(index, "", position + 1 == roots.len(), 0, out)?;
    }
    let hidden = tree.drawn.iter().filter(|drawn| !**drawn).count();
    if hidden > 0 {
        writeln!(
            out,
            "   … and {hidden} more, nested too deeply or in a circle"
        )?;
    }
    out.write_char('\n')
}

impl Tree<'_> {
    fn span(
        &mut self,
        index: usize,
        indent: &str,
        last: bool,
        depth: usize,
        out: &mut String,
    ) -> fmt::Result {
        if depth == MAX_DEPTH || std::mem::replace(&mut self.drawn[index], true) {
            return Ok(());
        }
        let span = &self.spans[index];
        let branch = if last { "└─" } else { "├─" };
        write!(out, "{indent}{branch} ")?;
        self.headline(span, out)?;

        let children = self.children.remove(&span.id).unwrap_or_default();
        let indent = format!("{indent}{}", if last { "   " } else { "│  " });
        let rail = if children.is_empty() { "   " } else { "│  " };
        for event in &span.events {
            write!(out, "{indent}{rail}")?;
            headline_of_event(event, span.start_nanos, out)?;
        }
        for (position, &child) in children.iter().enumerate() {
            let last = position + 1 == children.len();
            self.span(child, &indent, last, depth + 1, out)?;
        }
        Ok(())
    }

    /// One line: name, duration, when it began, and what is special about it.
    fn headline(&self, span: &ConsoleSpan, out: &mut String) -> fmt::Result {
        let duration = span.end_nanos.saturating_sub(span.start_nanos);
        write!(
            out,
            "{} {}",
            Line::new(&span.name, MAX_CHARS),
            Nanos(duration)
        )?;
        let offset = span.start_nanos.saturating_sub(self.start_nanos);
        if offset > 0 {
            write!(out, " at +{}", Nanos(offset))?;
        }
        if let Some(kind) = kind(span.kind) {
            write!(out, " [{kind}]")?;
        }
        if span.has_remote_parent() {
            out.write_str(" [remote parent]")?;
        }
        if span.links > 0 {
            write!(out, " [{} linked]", span.links)?;
        }
        poll_statistics(span, out)?;
        if span.is_error {
            out.write_str(" ERROR")?;
            if !span.message.is_empty() {
                write!(out, " {}", Line::new(&span.message, MAX_CHARS))?;
            }
        }
        attributes(&span.attributes, out)
    }
}

fn headline_of_event(event: &ConsoleEvent, start_nanos: u64, out: &mut String) -> fmt::Result {
    let offset = Nanos(event.nanos.saturating_sub(start_nanos));
    write!(out, "• {} +{offset}", Line::new(&event.name, MAX_CHARS))?;
    attributes(&event.attributes, out)
}

fn poll_statistics(span: &ConsoleSpan, out: &mut String) -> fmt::Result {
    let number = |key| {
        let found = span.attributes.iter().find(|(name, _)| name == key);
        found.and_then(|(_, value)| value.parse::<u64>().ok())
    };
    match (number(POLL_COUNT), number(BUSY)) {
        (Some(1), Some(busy)) => write!(out, " [busy {} in 1 poll]", Nanos(busy)),
        (Some(polls), Some(busy)) => write!(out, " [busy {} in {polls} polls]", Nanos(busy)),
        _ => Ok(()),
    }
}

/// Ends the line with the attributes that are worth their place.
fn attributes(attributes: &[(String, String)], out: &mut String) -> fmt::Result {
    let shown = attributes.iter().filter(|(key, _)| {
        !key.starts_with(HIDDEN_PREFIX) && !POLL_STATISTICS.contains(&key.as_str())
    });
    for (key, value) in shown {
        let (key, value) = (Line::new(key, MAX_CHARS), Line::new(value, MAX_CHARS));
        write!(out, " {key}={value}")?;
    }
    out.write_char('\n')
}

fn kind(number: u64) -> Option<&'static str> {
    match number {
        2 => Some("server"),
        3 => Some("client"),
        4 => Some("producer"),
        5 => Some("consumer"),
        _ => None,
    }
}

/// Shows a duration with three digits and the unit that suits it.
struct Nanos(u64);

impl fmt::Display for Nanos {
    #[expect(
        clippy::cast_precision_loss,
        reason = "three digits are shown of what is lost after fifteen"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0 as f64;
        let (value, unit) = match self.0 {
            0..1_000 => return write!(f, "{} ns", self.0),
            1_000..1_000_000 => (nanos / 1e3, "µs"),
            1_000_000..1_000_000_000 => (nanos / 1e6, "ms"),
            _ => (nanos / 1e9, "s"),
        };
        let digits = match value {
            ..10.0 => 2,
            ..100.0 => 1,
            _ => 0,
        };
        write!(f, "{value:.digits$} {unit}")
    }
}
