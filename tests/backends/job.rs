//! The main job, as a child process that is told by environment variables where its spans go.

use std::process::{Command, Stdio};

use serde_json::Value;

const REQUESTS: usize = 200;
/// Eleven spans of each goal that is created, three of each tenth, which is refused.
const SPANS: usize = REQUESTS / 10 * (9 * 11 + 3);

/// Everything that a receiver here can take.
const FEATURES: &str =
    "throughline/file throughline/grpc throughline/gzip throughline/json throughline/zipkin";

/// Runs it and returns how many spans it exported, which are all that it started.
pub(crate) fn run(environment: &[(&str, &str)]) -> usize {
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
    assert_eq!(result["spans_started"], SPANS, "{result}");
    assert_eq!(result["spans_dropped"], 0, "{result}");
    SPANS
}
