use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use proptest::prelude::*;
use throughline_testing::Capture;
use throughline_tracing::{LayerExt, LogIds, TraceLayer, VisibleFields};
use tracing::{info, info_span};
use tracing_subscriber::fmt::{self as fmt_layer, MakeWriter};
use tracing_subscriber::layer::{Layer, Layered, SubscriberExt};
use tracing_subscriber::{Registry, fmt::format};

use crate::support::{Output, under};

/// Clears the screen, sets the title, writes the clipboard, rings, goes back, uses the 8-bit control sequence
/// introducer, deletes, hides what follows.
const HOSTILE: &str = "a\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}]52;c;ZXZpbA==\u{7}\u{8}\r\u{9b}31m\u{7f}\u{0}\u{1b}[31mb\u{1b}[8mc";

/// The same, visibly.
const VISIBLE: &str = r"a\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}]52;c;ZXZpbA==\u{7}\u{8}\r\u{9b}31m\u{7f}\u{0}\u{1b}[31mb\u{1b}[8mc";

type Below = Layered<TraceLayer, Registry>;

/// What `layer` writes while `f` runs.
fn written<L>(layer: impl FnOnce(Output) -> L, f: impl FnOnce()) -> String
where
    L: Layer<Below> + Send + Sync + 'static,
{
    let output = Output::default();
    let subscriber = tracing_subscriber::registry()
        .with(TraceLayer::new())
        .with(layer(output.clone()));
    let capture = Capture::start();
    under(subscriber, || {
        let _here = capture.attach();
        f();
    });
    output.text()
}

fn text(
    output: &Output,
) -> fmt_layer::Layer<
    Below,
    format::DefaultFields,
    format::Format<format::Full, ()>,
    impl for<'a> MakeWriter<'a> + use<>,
> {
    fmt_layer::Layer::default()
        .with_writer(output.writer())
        .without_time()
}

fn hostile_events() {
    let _span = info_span!("span", in_span = %HOSTILE, quoted = HOSTILE).entered();
    let error = Hostile;
    info!(shown = %HOSTILE, debugged = ?Hostile, quoted = HOSTILE, "message {HOSTILE}");
    info!(error = &error as &(dyn Error + 'static), "{}", HOSTILE);
    info!(message = HOSTILE);
    log_forgery();
}

fn log_forgery() {
    info!(user = %"x\n INFO forged: line", "first\n INFO forged: line");
}

fn controls(text: &str) -> Vec<char> {
    text.chars()
        .filter(|character| character.is_control() && !matches!(character, '\n'))
        .collect()
}

#[test]
fn text_without_colours_has_no_control_characters() {
    for format in ["full", "compact", "pretty"] {
        let out = match format {
            "full" => written(
                |output| text(&output).with_ansi(false).with_trace_ids(),
                hostile_events,
            ),
            "compact" => written(
                |output| text(&output).compact().with_ansi(false).with_trace_ids(),
                hostile_events,
            ),
            _ => written(
                |output| text(&output).pretty().with_ansi(false).with_trace_ids(),
                hostile_events,
            ),
        };
        assert_eq!(controls(&out), [], "{format}: {out:?}");
        assert!(out.contains(VISIBLE), "{format}: {out}");
        assert!(
            !out.lines().any(|line| line.starts_with(" INFO forged")),
            "{format}: {out}"
        );
    }
}

#[test]
fn an_event_is_one_line() {
    let out = written(
        |output| {
            text(&output)
                .with_ansi(false)
                .with_target(false)
                .with_trace_ids()
        },
        log_forgery,
    );
    assert_eq!(
        out,
        " INFO first\\n INFO forged: line user=x\\n INFO forged: line\n"
    );
    let keeping = |output: Output| {
        let layer = text(&output)
            .with_ansi(false)
            .with_target(false)
            .with_trace_ids();
        layer.map_event_format(|format| format.keep_newlines(true))
    };
    assert_eq!(
        written(keeping, log_forgery),
        " INFO first\n INFO forged: line user=x\n INFO forged: line\n"
    );
}

#[test]
fn with_colours_only_those_of_the_format_are_left() {
    let coloured = |output: Output| {
        text(&output)
            .with_ansi(true)
            .map_fmt_fields(VisibleFields::new)
            .with_trace_ids()
    };
    let out = written(coloured, hostile_events);
    assert!(out.contains("\u{1b}[32m INFO\u{1b}[0m"), "{out:?}");
    assert!(out.contains(VISIBLE), "{out:?}");
    assert!(!out.contains("\u{1b}[31m"), "{out:?}");
    assert!(
        controls(&out)
            .iter()
            .all(|character| *character == '\u{1b}'),
        "{out:?}"
    );
}

#[test]
fn fields_of_spans_that_were_formatted_by_others_bring_colours_at_most() {
    let coloured = |output: Output| text(&output).with_ansi(true).with_trace_ids();
    let out = written(coloured, hostile_events);
    assert!(
        controls(&out)
            .iter()
            .all(|character| *character == '\u{1b}'),
        "{out:?}"
    );
    let sequences = out.split('\u{1b}').skip(1);
    for sequence in sequences {
        let end = sequence.find(|character: char| !matches!(character, '[' | '0'..='9' | ';'));
        assert_eq!(
            end.map(|end| &sequence[end..=end]),
            Some("m"),
            "{sequence:?}"
        );
        assert_ne!(&sequence[..3], "[8m");
    }
}

#[test]
fn who_asks_for_everything_gets_it() {
    let raw = |output: Output| {
        text(&output)
            .with_ansi(true)
            .with_ansi_sanitization(false)
            .with_trace_ids()
    };
    let out = written(raw, || info!(value = %"\u{1b}[31mred\nline", "raw"));
    assert!(out.contains("\u{1b}[31mred\nline"), "{out:?}");
}

#[test]
fn json_has_no_control_characters_either() {
    let out = written(
        |output| text(&output).json().with_trace_ids(),
        hostile_events,
    );
    assert_eq!(controls(&out), []);
    for line in out.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("valid JSON");
        assert!(line["trace_id"].is_string());
        assert_eq!(line["span"]["quoted"], HOSTILE);
    }
}

#[test]
fn a_field_cannot_pretend_to_be_an_id() {
    let flat = |output: Output| {
        text(&output)
            .json()
            .flatten_event(true)
            .with_trace_ids_as(LogIds::otel())
    };
    let out = written(flat, || {
        info!(
            trace_id = "forged",
            span_id = 5,
            "outside of a span it is just a field"
        );
        let _span = info_span!("span").entered();
        info!(trace_id = "forged", span_id = ?Some(","), other = "{\"trace_id\":\"forged\"}", "inside");
    });
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].contains(r#""trace_id":"forged""#));
    assert_eq!(
        lines[1].matches(r#""trace_id":"#).count(),
        1,
        "{}",
        lines[1]
    );
    assert_eq!(lines[1].matches(r#""span_id":"#).count(), 1, "{}", lines[1]);
    let inside: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(lines[1]).expect("valid JSON");
    assert_ne!(inside["trace_id"], "forged");
    assert_eq!(inside["other"], "{\"trace_id\":\"forged\"}");
    assert_eq!(inside["message"], "inside");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn json_stays_json(message in any::<String>(), text_value in any::<String>(), shown in "\\PC*|[\\x00-\\x1f\"\\\\{}\\[\\],:]*", number in any::<f64>(), flat in any::<bool>(), is_in_span in any::<bool>()) {
        let event = || {
            let span = info_span!("span", text_value, shown = %shown).entered();
            if is_in_span {
                info!(trace_id = %shown, number, text_value, shown = %shown, "{message}");
            }
            drop(span);
            info!(number, text_value, span_id = %shown, "{message}");
        };
        let layer = |output: Output| text(&output).json().flatten_event(flat).with_trace_ids_as(LogIds::datadog());
        let out = written(layer, event);
        prop_assert_eq!(out.lines().count(), 1 + usize::from(is_in_span));
        for (index, line) in out.lines().enumerate() {
            let line: serde_json::Value = serde_json::from_str(line).expect(line);
            let fields = if flat { &line } else { &line["fields"] };
            prop_assert_eq!(&fields["message"], &message);
            prop_assert_eq!(&fields["text_value"], &text_value);
            let is_inside = is_in_span && index == 0;
            prop_assert_eq!(line["dd.trace_id"].is_string(), is_inside);
            if is_inside {
                prop_assert_eq!(line["trace_id"].as_str().map(str::len), Some(32));
            }
        }
    }

    #[test]
    fn a_line_of_text_stays_one_line(message in any::<String>(), shown in any::<String>()) {
        let event = || {
            let _span = info_span!("span", shown = %shown).entered();
            info!(shown = %shown, "{message}");
        };
        let out = written(|output| text(&output).with_ansi(false).with_trace_ids(), event);
        prop_assert!(out.ends_with('\n'));
        prop_assert!(out[..out.len() - 1].chars().all(|character| !character.is_control() || character == '\t'));
        prop_assert!(out.contains(" trace_id="));
    }
}

struct Hostile;

impl fmt::Debug for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HOSTILE)
    }
}

impl fmt::Display for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HOSTILE)
    }
}

impl Error for Hostile {}
