//! Processes to do something to, and what they say.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use throughline::core::SpanId;
use throughline::testing::{Oracle, SpanCounts};

/// A `torture-child` that runs.
pub(crate) struct ChildProcess {
    child: Child,
    output: BufReader<ChildStdout>,
}

/// What a child said until its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// The lines that are not ids.
    pub(crate) lines: Vec<String>,
}

/// The command of a child that exports to `endpoint`.
pub(crate) fn child(endpoint: &str, arguments: &[&str]) -> Command {
    wrapped(&[], endpoint, arguments)
}

/// The same under another program, such as `taskset -c 0`.
pub(crate) fn wrapped(wrapper: &[&str], endpoint: &str, arguments: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_torture-child");
    let mut command = match wrapper {
        [] => Command::new(program),
        [wrapper, options @ ..] => {
            let mut command = Command::new(wrapper);
            command.args(options).arg(program);
            command
        }
    };
    command
        .args(arguments)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

impl ChildProcess {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the child starts");
        let output = child.stdout.take().expect("its output is piped");
        Self {
            child,
            output: BufReader::new(output),
        }
    }

    pub(crate) fn signal(&self, signal: i32) {
        let sent = Command::new("kill")
            .args([format!("-{signal}"), self.child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "signal {signal}");
    }

    /// Reads the ids that the child issues until it says a certain line.
    pub(crate) fn wait_for(&mut self, line: &str, oracle: &Oracle) {
        let mut said = String::new();
        loop {
            said.clear();
            let read = self.output.read_line(&mut said).expect("UTF-8");
            assert!(read > 0, "the child ended before it said {line:?}");
            if said.trim_end() == line {
                return;
            }
            issue(&said, oracle);
        }
    }

    /// Reads what the child says until its end.
    pub(crate) fn wait(mut self, oracle: &Oracle) -> Ended {
        let mut lines = Vec::new();
        for line in (&mut self.output).lines() {
            let line = line.expect("UTF-8");
            if !issue(&line, oracle) {
                lines.push(line);
            }
        }
        let status = self.child.wait().expect("the child is ours");
        Ended { status, lines }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // Already over, as a rule.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The rest of the line that begins with a word.
    pub(crate) fn said(&self, word: &str) -> Option<&str> {
        self.lines
            .iter()
            .find_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
    }

    /// A number that the child said after a word.
    #[track_caller]
    pub(crate) fn number(&self, word: &str) -> u64 {
        let said = self.said(word).and_then(|said| said.parse().ok());
        said.unwrap_or_else(|| panic!("no number for {word:?}: {self:?}"))
    }

    /// The counts that the child said last.
    #[track_caller]
    pub(crate) fn counts(&self) -> SpanCounts {
        SpanCounts {
            started: self.number("started"),
            exported: self.number("exported"),
            lost: self.number("lost"),
        }
    }
}

/// Whether the line is an id, which the oracle knows from then on.
fn issue(line: &str, oracle: &Oracle) -> bool {
    let id = line
        .strip_prefix("id ")
        .and_then(|id| u64::from_str_radix(id.trim_end(), 16).ok());
    oracle.issue(id.map(|id| SpanId::from_bytes(id.to_be_bytes())));
    id.is_some()
}
