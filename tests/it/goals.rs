//! The example `goals`, run as its users run it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use throughline::testing::OtlpReceiver;

use crate::support::example;

#[test]
fn every_span_and_every_log_line_is_right() {
    let output = goals(&["--requests", "50", "--json"]).output();
    let result = result_of(&output.expect("cargo runs"));
    assert_eq!(result["requests"], 50);
    // How many batches there are depends on how the records arrive; each has a span and that of its commit.
    let batches = result["batches"].as_u64().expect("it counts them");
    assert!((45 / 5..=45).contains(&batches), "{batches}");
    let (created, refused) = (45 * 18, 5 * 3);
    let (tried_again, dead_letters, replay) = (2 * 2, 2 * 5, 1);
    let spans = created + refused + tried_again + dead_letters + replay;
    assert_eq!(result["spans_started"], spans + 2 * batches);
    assert_eq!(result["spans_received"], result["spans_started"]);
    assert_eq!(result["spans_dropped"], 0);
    assert_eq!(result["orphan_spans"], 0);
    let (created, refused, tried_again, dead_letters) = (45 * 18, 5 * 3, 2, 2 * 2);
    let lines = created + refused + tried_again + dead_letters;
    assert_eq!(result["log_lines_in_span"], lines);
    assert_eq!(result["log_lines_with_ids"], result["log_lines_in_span"]);
}

#[test]
fn it_draws_the_story_of_a_request_and_what_goes_wrong() {
    let output = goals(&["--requests", "50"]).output().expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let (_, usual) = text.split_once("that follow from it:").expect("a story");
    let (usual, failing) = usual.split_once("A projection fails").expect("another");
    let (failing, dead) = failing.split_once("A handler fails").expect("a third");
    let (dead, replay) = dead.split_once("The first page").expect("the replay");
    insta::assert_snapshot!(outline(usual), @r"
    POST /goals [server]
    process goals [consumer]
    project goal_feed GoalAdded
    project goal_summary GoalAdded
    3 linked
    ");
    insta::assert_snapshot!(outline(failing), @r"
    process goals [consumer]
    project goal_feed GoalAdded
    project goal_feed GoalAdded
    project goal_summary GoalAdded
    2 linked
    ");
    insta::assert_snapshot!(outline(dead), @r"
    process goals [consumer]
    process goals [consumer]
    process goals.dead [consumer]
    project goal_feed GoalAdded
    project goal_summary GoalAdded
    3 linked
    ");
    insta::assert_snapshot!(outline(replay), @r"
    project goal_summary
    0 linked
    ");
}

/// The roots of the traces that are drawn, and how many of them are linked to another one that is: in the order of names,
/// since two projections of one event are independent.
fn outline(text: &str) -> String {
    let is_root = |line: &&str| {
        ["POST", "project", "process"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let linked = text
        .lines()
        .filter(|line| line.starts_with("It is linked to "));
    let is_time = |word: &str| word.starts_with(char::is_numeric) && word.ends_with('s');
    let name = |line: &str| {
        let words = line.split(' ').take_while(|word| !is_time(word));
        words.collect::<Vec<_>>().join(" ")
    };
    let mut names: Vec<_> = text.lines().filter(is_root).map(name).collect();
    names.sort();
    format!("{}\n{} linked", names.join("\n"), linked.count())
}

#[test]
fn the_environment_says_where_the_spans_go() {
    let receiver = OtlpReceiver::start().expect("a free port");
    let output = goals(&["--requests", "10", "--json"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint())
        .output();
    let result = result_of(&output.expect("cargo runs"));
    assert_eq!(result["spans_started"], receiver.span_count());
    assert_eq!(result["spans_received"], Value::Null);
    assert_eq!(result["orphan_spans"], Value::Null);
    assert_eq!(result["log_lines_with_ids"], result["log_lines_in_span"]);
    for trace in receiver.traces() {
        trace.assert_complete();
    }
}

#[cfg(unix)]
#[test]
fn it_serves_until_it_is_interrupted() {
    let mut service = goals(&["--requests", "0", "--serve", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("cargo runs");
    let mut output = BufReader::new(service.stdout.take().expect("a pipe"));
    let address = loop {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).expect("text"), 0, "no address");
        if let Some(rest) = line.strip_prefix("serving http://") {
            break rest.split('/').next().expect("a host").to_owned();
        }
    };
    let answer = post(&address, r#"{"title": "Sail", "owner": "ada"}"#);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let pid = service.id().to_string();
    let interrupted = Command::new("kill").args(["-INT", &pid]).status();
    assert!(interrupted.expect("there is a `kill`").success());

    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    assert!(service.wait().expect("it was started").success(), "{rest}");
    let result = last_line(&rest);
    // Its own, a batch of it alone, and the replay.
    assert_eq!(result["spans_started"], 18 + 2 + 1);
    assert_eq!(result["spans_received"], 18 + 2 + 1);
    assert_eq!(result["log_lines_with_ids"], 18);
}

fn goals(arguments: &[&str]) -> Command {
    example("goals", arguments)
}

fn result_of(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{text}");
    last_line(&text)
}

fn last_line(text: &str) -> Value {
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

fn post(address: &str, body: &str) -> String {
    let mut connection = TcpStream::connect(address).expect("it listens");
    write!(
        connection,
        "POST /goals HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    )
    .expect("it reads");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("it answers");
    answer
}
