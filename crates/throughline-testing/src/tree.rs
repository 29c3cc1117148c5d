//! Draws a trace as text, the same text for the same work every time.
//!
//! Owns the notation. It must not decide parentage or order (see `trace`), nor what is volatile (see `options`).

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use throughline_core::{SpanKind, Status};

use crate::options::{Rule, TreeOptions};
use crate::span::{ReceivedLink, ReceivedSpan};
use crate::trace::Trace;
use crate::value::Value;

/// Draws the trace, without a line end after the last line.
pub(crate) fn draw(trace: &Trace, options: &TreeOptions) -> String {
    let forest = trace.forest();
    let picture = Picture {
        options,
        trace,
        children: &forest.children,
    };
    let mut drawn = vec![false; trace.len()];
    let mut blocks = picture.blocks(&forest.roots, &mut drawn);
    for siblings in picture.by_parent(&forest.orphans) {
        let below = picture.blocks(&siblings, &mut drawn);
        blocks.push(indent("? missing parent".to_owned(), &[], below));
    }
    for &index in &forest.circular {
        let below = picture.blocks(&[index], &mut drawn);
        blocks.push(indent("? circle of parents".to_owned(), &[], below));
    }
    blocks.concat().join("\n")
}

/// One drawing in progress. A block is the lines of one span and all below it, before indentation.
struct Picture<'a> {
    options: &'a TreeOptions,
    trace: &'a Trace,
    children: &'a [Vec<usize>],
}

impl Picture<'_> {
    /// Groups spans by their parents, in the order of the first of each group.
    fn by_parent(&self, spans: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut group_of = HashMap::new();
        for &index in spans {
            let parent = self.trace.spans()[index].parent;
            let group = *group_of.entry(parent).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        groups
    }

    fn blocks(&self, spans: &[usize], drawn: &mut [bool]) -> Vec<Vec<String>> {
        let mut blocks: Vec<_> = spans
            .iter()
            .filter_map(|&index| self.block(index, drawn))
            .collect();
        if self.options.sorted_by_name {
            blocks.sort();
        }
        blocks
    }

    /// `None` if the span stands in the picture already, which ends the walk along a circle of parents.
    fn block(&self, index: usize, drawn: &mut [bool]) -> Option<Vec<String>> {
        if std::mem::replace(&mut drawn[index], true) {
            return None;
        }
        let span = &self.trace.spans()[index];
        let below = self.blocks(&self.children[index], drawn);
        Some(indent(self.label(span), &self.notes(span), below))
    }

    fn label(&self, span: &ReceivedSpan) -> String {
        let mut label = one_line(&span.name);
        if self.options.ids {
            put(&mut label, format_args!(" #{}", span.span_id));
        }
        if span.kind != SpanKind::Internal {
            put(&mut label, format_args!(" [{}]", span.kind.name()));
        }
        if self.options.durations {
            let duration = Duration::from_nanos(span.duration_ns());
            put(&mut label, format_args!(" {duration:.1?}"));
        }
        self.attributes(&mut label, &span.attributes, span.dropped_attributes);
        let parent_is_here = || span.parent.and_then(|id| self.trace.span(id)).is_some();
        if span.has_remote_parent() && !parent_is_here() {
            label.push_str(" (remote parent)");
        }
        match span.status {
            Status::Unset => {}
            Status::Ok => label.push_str(" ok"),
            Status::Error => label.push_str(" error"),
        }
        if !span.status_message.is_empty() {
            put(
                &mut label,
                format_args!(": {}", one_line(&span.status_message)),
            );
        }
        label
    }

    fn notes(&self, span: &ReceivedSpan) -> Vec<String> {
        let mut notes = Vec::new();
        for event in &span.events {
            let mut note = format!("• {}", one_line(&event.name));
            self.attributes(&mut note, &event.attributes, event.dropped_attributes);
            notes.push(note);
        }
        if span.dropped_events > 0 {
            notes.push(format!("• +{} dropped", span.dropped_events));
        }
        for link in &span.links {
            let mut note = format!("→ {}", self.target(link));
            self.attributes(&mut note, &link.attributes, link.dropped_attributes);
            notes.push(note);
        }
        if span.dropped_links > 0 {
            notes.push(format!("→ +{} dropped", span.dropped_links));
        }
        notes
    }

    fn target(&self, link: &ReceivedLink) -> String {
        let here = self.trace.trace_id() == Some(link.trace_id);
        match (self.trace.linked_name(link.trace_id, link.span_id), here) {
            (Some(name), true) => one_line(name),
            (Some(name), false) => format!("{} (another trace)", one_line(name)),
            (None, true) => "? missing span".to_owned(),
            (None, false) => "another trace".to_owned(),
        }
    }

    fn attributes(&self, out: &mut String, attributes: &[(String, Value)], dropped: u32) {
        let mut parts = Vec::new();
        for (key, value) in attributes {
            match self.options.rule_of(key) {
                Rule::Show => parts.push(format!("{}={value}", one_line(key))),
                Rule::Redact => parts.push(format!("{}=…", one_line(key))),
                Rule::Hide => {}
            }
        }
        if dropped > 0 {
            parts.push(format!("+{dropped} dropped"));
        }
        if !parts.is_empty() {
            put(out, format_args!(" {{{}}}", parts.join(", ")));
        }
    }
}

/// Puts a span's own lines above the blocks of its children.
fn indent(label: String, notes: &[String], below: Vec<Vec<String>>) -> Vec<String> {
    let bar = if below.is_empty() { "   " } else { "│  " };
    let mut lines = vec![label];
    lines.extend(notes.iter().map(|note| format!("{bar}{note}")));
    let count = below.len();
    for (index, block) in below.into_iter().enumerate() {
        let (first, rest) = if index + 1 < count {
            ("├─ ", "│  ")
        } else {
            ("└─ ", "   ")
        };
        for (row, line) in block.into_iter().enumerate() {
            let lead = if row == 0 { first } else { rest };
            lines.push(format!("{lead}{line}"));
        }
    }
    lines
}

/// Escapes control characters, which would break the picture.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use throughline_core::TraceId;

    use super::*;
    use crate::fixture::{link, span};
    use crate::span::ReceivedEvent;

    #[test]
    fn a_trace_shows_structure_values_and_outcome_but_nothing_volatile() {
        insta::assert_snapshot!(order().tree(), @r#"
        POST /orders [server] {http.route="/orders"} (remote parent) ok
        ├─ place_order {order.id=42, +1 dropped} error: out of stock
        │  │  • exception {exception.type="OutOfStock"}
        │  │  • +2 dropped
        │  └─ reserve\n
        └─ audit [producer]
              → place_order {reason="retry"}
              → order placed (another trace)
              → ? missing span
              → another trace
              → +3 dropped
        "#);
    }

    #[test]
    fn options_choose_what_is_shown() {
        let trace = order();
        insta::assert_snapshot!(trace.tree_with(&TreeOptions::new().hide("*").show("order.*").redact("reason")), @r"
        POST /orders [server] (remote parent) ok
        ├─ place_order {order.id=42, +1 dropped} error: out of stock
        │  │  • exception
        │  │  • +2 dropped
        │  └─ reserve\n
        └─ audit [producer]
              → place_order {reason=…}
              → order placed (another trace)
              → ? missing span
              → another trace
              → +3 dropped
        ");
        let everything = trace.tree_with(&TreeOptions::new().show("*").ids().durations());
        assert_eq!(
            everything.lines().next(),
            Some(
                "POST /orders #0000000000000001 [server] 8.0µs \
                 {thread.id=7, http.route=\"/orders\"} (remote parent) ok"
            )
        );
    }

    #[test]
    fn siblings_stand_by_start_or_on_demand_by_name() {
        let trace = one(vec![
            span(4, Some(1), "b", 30..90),
            span(3, Some(1), "c", 30..40),
            span(2, Some(1), "a", 50..60),
            span(1, None, "root", 10..100),
        ]);
        insta::assert_snapshot!(trace.tree(), @r"
        root
        ├─ c
        ├─ b
        └─ a
        ");
        insta::assert_snapshot!(trace.tree_with(&TreeOptions::new().sorted_by_name()), @r"
        root
        ├─ a
        ├─ b
        └─ c
        ");
    }

    #[test]
    fn a_broken_trace_shows_where_it_is_broken() {
        let trace = one(vec![
            span(1, None, "root", 10..100),
            span(2, Some(98), "a", 20..100),
            span(3, Some(99), "b", 30..100),
            span(4, Some(98), "c", 40..100),
            span(5, Some(2), "below a", 40..100),
            span(6, Some(7), "circle a", 50..100),
            span(7, Some(6), "circle b", 60..100),
            span(8, Some(8), "own parent", 70..100),
        ]);
        insta::assert_snapshot!(trace.tree(), @r"
        root
        ? missing parent
        ├─ a
        │  └─ below a
        └─ c
        ? missing parent
        └─ b
        ? circle of parents
        └─ circle a
           └─ circle b
        ? circle of parents
        └─ own parent
        ");
    }

    #[test]
    fn nothing_is_an_empty_picture() {
        assert_eq!(Trace::default().tree(), "");
    }

    fn order() -> Trace {
        let mut root = span(1, Some(77), "POST /orders", 1_000..9_000);
        root.kind = SpanKind::Server;
        root.flags = 0x301;
        root.status = Status::Ok;
        root.attributes = vec![
            pair("thread.id", Value::Int(7)),
            pair("http.route", Value::String("/orders".to_owned())),
        ];
        let mut place = span(2, Some(1), "place_order", 2_000..5_000);
        place.status = Status::Error;
        place.status_message = "out of stock".to_owned();
        place.attributes = vec![pair("order.id", Value::Int(42))];
        place.dropped_attributes = 1;
        place.events.push(ReceivedEvent {
            name: "exception".to_owned(),
            time_unix_nano: 4_000,
            attributes: vec![
                pair("exception.type", Value::String("OutOfStock".to_owned())),
                pair("exception.stacktrace", Value::String("0x1234".to_owned())),
            ],
            dropped_attributes: 0,
        });
        place.dropped_events = 2;
        let reserve = span(3, Some(2), "reserve\n", 3_000..4_000);
        let mut audit = span(4, Some(1), "audit", 6_000..7_000);
        audit.kind = SpanKind::Producer;
        let mut elsewhere = span(5, None, "order placed", 500..600);
        elsewhere.trace_id = TraceId::from_bytes([2; 16]);
        let mut unknown = elsewhere.clone();
        unknown.trace_id = TraceId::from_bytes([3; 16]);
        let mut to_place = link(&place);
        to_place.attributes = vec![pair("reason", Value::String("retry".to_owned()))];
        let missing = link(&span(98, None, "never received", 0..1));
        audit.links = vec![to_place, link(&elsewhere), missing, link(&unknown)];
        audit.dropped_links = 3;
        one(vec![reserve, place, audit, root, elsewhere])
    }

    fn one(spans: Vec<ReceivedSpan>) -> Trace {
        Trace::of(spans[0].trace_id, &spans)
    }

    fn pair(key: &str, value: Value) -> (String, Value) {
        (key.to_owned(), value)
    }
}
