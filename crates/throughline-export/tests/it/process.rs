//! What takes a process of its own: the tests here start this executable again,
//! with one of the children below as its only test.

use std::process::Command;

use throughline_export::Pipeline;

use crate::support::{LONG, open_span, record};

/// Set for the children, which do nothing otherwise.
const CHILD: &str = "THROUGHLINE_TEST_CHILD";

pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs one test as a child, under a shell command that may prepare the ground, and
/// returns what it wrote to standard output.
pub(crate) fn run(child: &str, shell: &str, variables: &[(&str, &str)]) -> String {
    let executable = std::env::current_exe().unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(executable)
        .args(["--exact", child, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "{stdout}\n{stderr}");
    stdout
}

#[test]
fn the_console_shows_a_tree() {
    let stdout = run(
        "process::child_that_draws",
        "",
        &[("OTEL_TRACES_EXPORTER", "console")],
    );
    // The harness has begun the line with the name of the test.
    let start = stdout.find("trace ").unwrap();
    let picture: Vec<&str> = stdout[start..].lines().take(3).collect();
    assert!(picture[0].contains(": 2 spans in "), "{stdout}");
    assert!(picture[1].starts_with("└─ work "), "{stdout}");
    assert!(picture[2].starts_with("   └─ work "), "{stdout}");
    assert!(picture[2].ends_with(" id=7"), "{stdout}");
}

#[test]
fn child_that_draws() {
    if is_child() {
        let pipeline = Pipeline::builder().env().start_global().unwrap();
        open_span().in_scope(|| record([7]));
        assert!(pipeline.shutdown(LONG).is_complete());
        assert_eq!(pipeline.stats().exported, 2);
    }
}

#[test]
fn no_file_descriptors_is_an_error() {
    run("process::child_without_files", "ulimit -n 4;", &[]);
}

#[test]
fn child_without_files() {
    if is_child() {
        let error = Pipeline::builder().start().map(drop).unwrap_err();
        assert!(error.is_out_of_resources(), "{error}");
        let message = error.to_string();
        assert!(message.starts_with("the export thread could not be started: "));
    }
}
