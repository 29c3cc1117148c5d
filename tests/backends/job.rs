//! The main job, as a child process that is told by environment variables where its spans go.

use std::process::{Command, Stdio};

use serde_json::Value;
use throughline::testing::OtlpReceiver;

use crate::http;

const REQUESTS: u64 = 200;
/// Of 50 requests, 45 goals are created, with 18 spans each, and 5 refused, with 3. Two goals are tried again with 2 more
/// spans, two become dead letters with 5 more. The replay is one span.
const SPANS: u64 = REQUESTS / 50 * (45 * 18 + 5 * 3 + 2 * 2 + 2 * 5) + 1;
/// A batch has a span and that of its commit. How many there are depends on how the records arrive.
const SPANS_PER_BATCH: u64 = 2;

/// Everything that a receiver here can take.
const FEATURES: &str =
    "throughline/file throughline/grpc throughline/gzip throughline/json throughline/zipkin";

/// A way for OTLP to travel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transport {
    protocol: &'static str,
    compression: &'static str,
}

/// All ways that a receiver of OTLP takes. The first is the default.
pub(crate) const TRANSPORTS: [Transport; 5] = [
    Transport::new("http/protobuf", "none"),
    Transport::new("http/protobuf", "gzip"),
    Transport::new("http/json", "none"),
    Transport::new("grpc", "none"),
    Transport::new("grpc", "gzip"),
];

impl Transport {
    const fn new(protocol: &'static str, compression: &'static str) -> Self {
        Self {
            protocol,
            compression,
        }
    }
}

/// Sends the spans over OTLP to a server on 127.0.0.1, and returns them.
pub(crate) fn over_otlp(transport: Transport, grpc: u16, http: u16) -> OtlpReceiver {
    let port = if transport.protocol == "grpc" {
        grpc
    } else {
        http
    };
    let endpoint = format!("http://127.0.0.1:{port}");
    run(&[
        ("OTEL_TRACES_EXPORTER", "otlp,otlp/stdout"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", transport.protocol),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", transport.compression),
    ])
}

/// Runs it, and returns the spans, which it prints too. It says that all arrived.
pub(crate) fn run(environment: &[(&str, &str)]) -> OtlpReceiver {
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["run", "--quiet", "--offline", "-p", "throughline-examples"])
        .args(["--features", FEATURES])
        .args(["--bin", "goals", "--", "--json", "--requests"])
        .arg(REQUESTS.to_string())
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    let output = command.envs(environment.iter().copied()).output();
    let output = output.expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{text}");
    let result: Value = serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error} in {text}"));
    let batches = result["batches"].as_u64().expect("it counts them");
    let spans = SPANS + batches * SPANS_PER_BATCH;
    assert_eq!(result["spans_started"], spans, "{result}");
    assert_eq!(result["spans_dropped"], 0, "{result}");

    let sent = OtlpReceiver::start().expect("a free port");
    for line in text.lines() {
        if line.starts_with("{\"resourceSpans\"") {
            http::post_json(&sent, serde_json::from_str(line).expect("JSON"));
        }
    }
    assert_eq!(sent.span_count() as u64, spans);
    sent
}
