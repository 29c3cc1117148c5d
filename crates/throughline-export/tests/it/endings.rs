//! What arrives when the process ends: the table of the crate's documentation, measured.
//!
//! The tests here start this executable again, once for each way to end.

use std::future::pending;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Instant;
use std::{env, panic, process, thread};

use throughline_export::{Batch, ExportFuture, Pipeline, SpanExporter};

use crate::support::{LONG, receiver, record_in};

const SPANS: u64 = 100;

/// Tells a child in which way it ends.
const WAY: &str = "THROUGHLINE_TEST_WAY";
const ENDPOINT: &str = "THROUGHLINE_TEST_ENDPOINT";

/// A way to end, and the signal that it waits for.
type Way = (&'static str, Option<&'static str>);

/// The rows of the table: the words, and the ways that they speak of.
const TABLE: &[(&str, &[Way])] = &[
    (
        "when `main` returns, which holds the pipeline",
        &[("return", None)],
    ),
    ("by a panic that unwinds to there", &[("panic", None)]),
    (
        "after a panic hook that calls [`Pipeline::shutdown`]",
        &[("hook", None)],
    ),
    (
        "by `SIGTERM`, after `Pipeline::shutdown_on_signals` (feature `signals`)",
        &[("helped", Some("TERM"))],
    ),
    (
        "by `SIGINT`, after `Pipeline::shutdown_on_signals` (feature `signals`)",
        &[("helped", Some("INT"))],
    ),
    (
        "when `main` returns, and the pipeline is in a static",
        &[("static", None)],
    ),
    ("by `std::process::exit`", &[("exit", None)]),
    (
        "by `std::process::abort`, or a panic where panics abort",
        &[("abort", None), ("panic-abort", None)],
    ),
    (
        // Not by SIGINT, which a shell that starts the tests in the background makes them ignore.
        "by `SIGTERM` or `SIGINT` without a handler",
        &[("wait", Some("TERM"))],
    ),
    ("by `SIGKILL`", &[("wait", Some("KILL"))]),
];

#[test]
fn the_table_of_endings_is_what_happens() {
    let mut measured = Vec::new();
    for (words, ways) in TABLE {
        let counts: Vec<usize> = ways
            .iter()
            .map(|(way, signal)| end(way, *signal).0)
            .collect();
        assert!(
            counts.iter().all(|count| *count == counts[0]),
            "{words}: {counts:?}"
        );
        measured.push(format!("//! | {words} | {} |", counts[0]));
    }
    let documentation = include_str!("../../src/lib.rs");
    let documented: Vec<&str> = documentation
        .lines()
        .skip_while(|line| !line.starts_with("//! | the process ends |"))
        .skip(2)
        .take_while(|line| line.starts_with("//! |"))
        .collect();
    assert_eq!(documented, measured);
}

#[cfg(unix)]
#[test]
fn a_process_that_is_helped_still_ends_by_the_signal() {
    use std::os::unix::process::ExitStatusExt;

    for (signal, number) in [("TERM", 15), ("INT", 2)] {
        let (received, status) = end("helped", Some(signal));
        assert_eq!((received, status.signal()), (100, Some(number)));
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_waits_for_nobody() {
    use std::os::unix::process::ExitStatusExt;

    let receiver = receiver();
    let mut child = spawn("helped-twice", &receiver.endpoint());
    let mut lines = lines_of(&mut child);
    assert!(lines.any(|line| line.ends_with("ready")));
    send("TERM", &child);
    assert!(lines.any(|line| line.ends_with("exporting")));
    let start = Instant::now();
    send("TERM", &child);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert!(start.elapsed() < LONG / 2);
}

/// Ends a child in this way; says how many spans arrived.
fn end(way: &str, signal: Option<&str>) -> (usize, ExitStatus) {
    let receiver = receiver();
    let mut child = spawn(way, &receiver.endpoint());
    // Kept, so that the child can go on writing.
    let mut lines = lines_of(&mut child);
    if let Some(signal) = signal {
        assert!(lines.any(|line| line.ends_with("ready")), "{way}");
        send(signal, &child);
    }
    let status = child.wait().unwrap();
    (receiver.span_count(), status)
}

fn spawn(way: &str, endpoint: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "endings::child_that_ends", "--nocapture"])
        .arg("--test-threads=1")
        .env(WAY, way)
        .env(ENDPOINT, endpoint)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn lines_of(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.lines().map(|line| line.unwrap())
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill")
        .args([format!("-{signal}"), child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn child_that_ends() {
    static PIPELINE: OnceLock<Pipeline> = OnceLock::new();
    let (Ok(way), Ok(endpoint)) = (env::var(WAY), env::var(ENDPOINT)) else {
        return;
    };
    let pipeline = Pipeline::builder()
        .endpoint(&endpoint)
        .schedule_delay(LONG)
        .start()
        .unwrap();
    record_in(&pipeline, 0..SPANS);
    match way.as_str() {
        "return" => {}
        "panic" => panic!("as the test wants it"),
        "hook" => {
            panic::set_hook(Box::new(move |_| {
                let _ = pipeline.shutdown(LONG);
                process::abort();
            }));
            panic!("as the test wants it");
        }
        "panic-abort" => {
            panic::set_hook(Box::new(|_| process::abort()));
            panic!("as the test wants it");
        }
        "helped" => {
            pipeline.shutdown_on_signals(LONG).unwrap();
            wait_for_a_signal();
        }
        "helped-twice" => {
            let stuck = Pipeline::builder().exporter(Stuck).start().unwrap();
            stuck.shutdown_on_signals(LONG).unwrap();
            record_in(&stuck, 0..SPANS);
            wait_for_a_signal();
        }
        "static" => {
            let _ = PIPELINE.set(pipeline);
        }
        "exit" => process::exit(0),
        "abort" => process::abort(),
        "wait" => wait_for_a_signal(),
        other => panic!("no such way: {other}"),
    }
}

/// Never done.
struct Stuck;

impl SpanExporter for Stuck {
    fn export(&mut self, _: Batch) -> ExportFuture<'_> {
        say("exporting");
        Box::pin(pending())
    }
}

#[expect(clippy::print_stdout, reason = "the parent listens there")]
fn say(line: &str) {
    println!("{line}");
}

fn wait_for_a_signal() {
    say("ready");
    loop {
        thread::park();
    }
}
