use std::collections::BTreeSet;
use std::process::{Command, Output};

use throughline_core::{Filter, set_filter};
use throughline_testing::Capture;
use throughline_tracing::{LogIds, Logging, init_subscriber};
use tracing::{debug, info, info_span};

use crate::support::{native, use_global};

#[test]
fn where_there_is_a_subscriber_it_stays() {
    use_global();
    assert!(!init_subscriber());
    let error = Logging::from_env().install().expect_err("there is one");
    assert_eq!(
        error.to_string(),
        "the process has a global `tracing` subscriber already; add `TraceLayer` to that one"
    );
}

#[test]
fn by_default_lines_are_text_on_standard_error_from_level_info_on() {
    let output = run(&[]);
    insta::assert_snapshot!(shown(&output.stderr), @r"
    <time>  INFO it::subscriber: hello outside
    <time>  INFO span{id=7}: it::subscriber: hello inside amount=3 trace_id=<trace> span_id=<span> trace_flags=01
    <time>  INFO span{id=7}: legacy: legacy record trace_id=<trace> span_id=<span> trace_flags=01
    <time>  INFO span{id=7}: it::subscriber: hello native trace_id=<trace> span_id=<span> trace_flags=01
    ");
    assert_eq!(shown(&output.stdout), "");
}

#[test]
fn the_environment_chooses_the_format_and_the_filter() {
    let output = run(&[
        ("THROUGHLINE_LOG_FORMAT", "JSON"),
        ("RUST_LOG", "it=debug,legacy=off"),
        ("THROUGHLINE_FILTER", "debug,h2=off"),
    ]);
    insta::assert_snapshot!(shown(&output.stderr), @r#"
    {"timestamp":"<time>","level":"INFO","fields":{"message":"hello outside"},"target":"it::subscriber"}
    {"timestamp":"<time>","level":"INFO","fields":{"message":"hello inside","amount":3},"target":"it::subscriber","span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}],"trace_id":"<trace>","span_id":"<span>","trace_flags":"01"}
    {"timestamp":"<time>","level":"DEBUG","fields":{"message":"hello debug"},"target":"it::subscriber","span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}],"trace_id":"<trace>","span_id":"<span>","trace_flags":"01"}
    {"timestamp":"<time>","level":"INFO","fields":{"message":"hello native"},"target":"it::subscriber","span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}],"trace_id":"<trace>","span_id":"<span>","trace_flags":"01"}
    "#);
}

#[test]
fn what_the_environment_says_wrong_is_named() {
    let output = run(&[
        ("THROUGHLINE_LOG_FORMAT", "xml"),
        ("RUST_LOG", "it=loud=very"),
        ("THROUGHLINE_FILTER", "loud"),
    ]);
    let stderr = shown(&output.stderr);
    let diagnostics: BTreeSet<&str> = stderr
        .lines()
        .filter(|line| line.starts_with("throughline: "))
        .collect();
    insta::assert_snapshot!(Vec::from_iter(diagnostics).join("\n"), @r#"
    throughline: RUST_LOG "it=loud=very" is not used, "info" is: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5
    throughline: THROUGHLINE_FILTER "loud" is not used: filter level "loud" is not one of off, error, warn, info, debug, trace
    throughline: THROUGHLINE_LOG_FORMAT "xml" is neither "text" nor "json"; text is used
    "#);
    assert!(stderr.contains("hello"), "{stderr}");
}

#[test]
fn options_choose_what_the_environment_does_not() {
    let output = run(&[("OPTIONS", "1")]);
    insta::assert_snapshot!(shown(&output.stdout), @r#"
    {"timestamp":"<time>","level":"INFO","fields":{"message":"hello outside"},"target":"it::subscriber"}
    {"timestamp":"<time>","level":"INFO","fields":{"message":"hello inside","amount":3},"target":"it::subscriber","span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}],"logging.googleapis.com/trace":"projects/shop/traces/<trace>","logging.googleapis.com/spanId":"<span>","logging.googleapis.com/trace_sampled":true}
    {"timestamp":"<time>","level":"INFO","fields":{"message":"hello native"},"target":"it::subscriber","span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}],"logging.googleapis.com/trace":"projects/shop/traces/<trace>","logging.googleapis.com/spanId":"<span>","logging.googleapis.com/trace_sampled":true}
    "#);
    assert_eq!(shown(&output.stderr), "");
}

/// Runs [`child`] in a process of its own.
fn run(environment: &[(&str, &str)]) -> Output {
    let this = std::env::current_exe().expect("the test runs");
    let mut command = Command::new(this);
    command.args([
        "subscriber::child",
        "--exact",
        "--ignored",
        "--nocapture",
        "--quiet",
    ]);
    for name in [
        "RUST_LOG",
        "THROUGHLINE_FILTER",
        "THROUGHLINE_LOG_FORMAT",
        "NO_COLOR",
        "OPTIONS",
    ] {
        command.env_remove(name);
    }
    let output = command
        .envs(environment.iter().copied())
        .output()
        .expect("the test runs again");
    assert!(output.status.success(), "{output:?}");
    output
}

/// What was logged, without times, ids and what the test harness says.
fn shown(output: &[u8]) -> String {
    let text = String::from_utf8(output.to_vec()).expect("lines are UTF-8");
    let is_logged = |line: &&str| {
        ["hello", "legacy", "throughline: "]
            .iter()
            .any(|part| line.contains(part))
    };
    let lines: Vec<String> = text
        .lines()
        .filter(is_logged)
        .map(without_times_and_ids)
        .collect();
    lines.join("\n")
}

fn without_times_and_ids(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(|character: char| character.is_ascii_hexdigit()) {
        let len = rest[at..]
            .find(|character: char| !character.is_ascii_hexdigit())
            .unwrap_or(rest.len() - at);
        shown.push_str(&rest[..at]);
        shown.push_str(match len {
            32 => "<trace>",
            16 => "<span>",
            _ => &rest[at..at + len],
        });
        rest = &rest[at + len..];
    }
    shown.push_str(rest);
    match shown.find("Z ").or_else(|| shown.find("Z\"")) {
        Some(end) => format!(
            "{}<time>{}",
            &shown[..shown.find("20").unwrap_or(0)],
            &shown[end + 1..]
        ),
        None => shown,
    }
}

#[test]
#[ignore = "it needs a process of its own; other tests start it"]
fn child() {
    let logging = Logging::from_env();
    if std::env::var_os("OPTIONS").is_some() {
        let ids = LogIds::gcp_in_project("shop");
        let logging = logging
            .with_stdout(true)
            .with_json(true)
            .with_ids(ids)
            .with_filter("it=info");
        logging
            .with_event_locations(true)
            .with_error_events_as_status(true)
            .install()
            .expect("there is none yet");
    } else {
        logging.install().expect("there is none yet");
    }
    assert!(!init_subscriber());

    let capture = Capture::start();
    {
        let _here = capture.attach();
        info!("hello outside");
        let _span = info_span!("span", id = 7).entered();
        info!(amount = 3, "hello inside");
        debug!("hello debug");
        log::info!(target: "legacy", "legacy record");
        let _native = native().enter();
        info!("hello native");
    }
    let trace = &capture.traces()[0];
    let filter = std::env::var("THROUGHLINE_FILTER").unwrap_or_default();
    let traces_debug = filter.contains("debug");
    assert_eq!(
        trace.find("span").map(|span| span.events.len()),
        Some(if traces_debug { 3 } else { 2 }),
        "traces have their own filter"
    );

    // What nobody wants is not even made: no line and no trace.
    set_filter("trace,unwanted=off".parse().expect("valid"));
    let is_made = || !tracing::debug_span!(target: "unwanted", "span").is_disabled();
    assert!(!is_made());
    set_filter(Filter::default());
    assert_eq!(is_made(), traces_debug);
}
