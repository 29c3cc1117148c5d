//! The example `goals`, run as its users run it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use throughline::testing::OtlpReceiver;

#[test]
fn every_span_and_every_log_line_is_right() {
    let output = goals(&["--requests", "50", "--json"]).output();
    let result = result_of(&output.expect("cargo runs"));
    assert_eq!(result["requests"], 50);
    // Eleven spans of each goal that is created, three of each tenth, which is refused.
    assert_eq!(result["spans_started"], 45 * 11 + 5 * 3);
    assert_eq!(result["spans_received"], result["spans_started"]);
    assert_eq!(result["spans_dropped"], 0);
    assert_eq!(result["orphan_spans"], 0);
    assert_eq!(result["log_lines_in_span"], 45 * 16 + 5 * 3);
    assert_eq!(result["log_lines_with_ids"], result["log_lines_in_span"]);
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
    assert_eq!(result["spans_started"], 11);
    assert_eq!(result["spans_received"], 11);
    assert_eq!(result["log_lines_with_ids"], 16);
}

/// The command that the README gives, in this profile and without this process's telemetry settings.
fn goals(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args([
            "run",
            "--quiet",
            "--offline",
            "-p",
            "throughline-examples",
            "--bin",
            "goals",
            "--",
        ])
        .args(arguments)
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command
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
