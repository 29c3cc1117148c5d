//! Starts the processes of a comparison: one receiver, and one worker after the other.

use std::env;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::measurement::{Measured, Received, Row};
use crate::options::{Comparison, RECEIVE, WORK};
use crate::receiver::COUNT_ONLY;
use crate::scenario::{Fault, Pace, PathName, Sampling, Scenario};
use crate::shapes;
use crate::target::{Addresses, Target};
use crate::worker::Task;

/// Runs every scenario in every round and returns one row for each, in the scenarios' order.
///
/// A round visits all scenarios before the next one begins, so that a slow minute of the machine
/// falls on one round of many scenarios and the median forgets it.
pub(crate) fn compare(comparison: &Comparison) -> io::Result<Vec<Row>> {
    let mut receiver = Receiver::start()?;
    let scenarios = &comparison.scenarios;
    let mut results = vec![Vec::with_capacity(comparison.rounds); scenarios.len()];
    let mut progress = Progress::new(scenarios.len() * comparison.rounds);
    // A given rate is to be limited by the library, not by the receiver.
    let count_only = comparison.load.rate.is_some();
    for round in 0..comparison.rounds {
        for (index, &scenario) in scenarios.iter().enumerate() {
            progress.step(&scenario)?;
            let kind = if count_only { COUNT_ONLY } else { "run-" };
            let run = format!("{kind}{round}-{index}");
            let measured: Measured = work(
                WORK,
                &Task {
                    scenario,
                    target: receiver.target(run.clone()),
                    effort: comparison.effort,
                    load: comparison.load,
                },
            )?;
            let received = receiver.received(&run)?;
            if !count_only {
                warn_of_unequal_work(&scenario, &measured, &received)?;
            }
            results[index].push((measured, received));
        }
    }
    progress.end()?;
    let row = |(&scenario, rounds): (&Scenario, &Vec<_>)| Row::new(scenario, rounds);
    Ok(scenarios.iter().zip(&results).map(row).collect())
}

/// The receiver's process and the conversation with it.
#[derive(Debug)]
pub(crate) struct Receiver {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    addresses: Addresses,
}

impl Receiver {
    /// Starts the process and waits until it listens.
    pub(crate) fn start() -> io::Result<Self> {
        let mut process = Command::new(this_program()?)
            .arg(RECEIVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let questions = process.stdin.take();
        let mut answers = BufReader::new(process.stdout.take().ok_or_else(no_pipe)?);
        let addresses = read_line(&mut answers)?;
        Ok(Self {
            process,
            questions,
            answers,
            addresses,
        })
    }

    /// Where the worker of `run` exports to.
    pub(crate) fn target(&self, run: String) -> Target {
        Target {
            addresses: self.addresses,
            run,
        }
    }

    /// What came for `run` so far; the receiver then forgets it.
    pub(crate) fn received(&mut self, run: &str) -> io::Result<Received> {
        let questions = self.questions.as_mut().ok_or_else(no_pipe)?;
        writeln!(questions, "{run}")?;
        questions.flush()?;
        read_line(&mut self.answers)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // The end of its input ends the receiver; there is nobody left to tell if it does not.
        self.questions = None;
        let _ = self.process.wait();
    }
}

/// Runs one worker process with `task` and reads its answer.
pub(crate) fn work<A: DeserializeOwned>(kind: &str, task: &impl Serialize) -> io::Result<A> {
    let mut command = Command::new(this_program()?);
    command.arg(kind).arg(serde_json::to_string(task)?);
    // The user's own OpenTelemetry settings would change some libraries and not others.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "a worker ended with {}",
            output.status
        )));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A path that records less than the others would win unfairly: says so if the receiver saw another
/// number of roots or attributes than the scenario has.
fn warn_of_unequal_work(
    scenario: &Scenario,
    measured: &Measured,
    received: &Received,
) -> io::Result<()> {
    let arriving = scenario.sampling == Sampling::Sampled && scenario.fault == Fault::Healthy;
    if !arriving || scenario.path == PathName::Floor {
        return Ok(());
    }
    let name = scenario.path;
    if scenario.pace == Pace::Paced && received.spans != measured.offered {
        let lost = measured.offered.saturating_sub(received.spans);
        warn(&format!(
            "{name} lost {lost} of {} paced spans",
            measured.offered
        ))?;
    }
    if received.attributes != received.spans * scenario.attributes as u64 {
        warn(&format!(
            "{name} did not record {} attributes",
            scenario.attributes
        ))?;
    }
    let complete = received.spans == measured.offered;
    if complete && received.roots * shapes::spans_per_trace(scenario.shape) != received.spans {
        warn(&format!(
            "{name} recorded {} roots in {} spans",
            received.roots, received.spans
        ))?;
    }
    Ok(())
}

fn warn(message: &str) -> io::Result<()> {
    writeln!(io::stderr(), "\nwarning: {message}")
}

fn read_line<A: DeserializeOwned>(answers: &mut impl BufRead) -> io::Result<A> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// This program. The link still leads to it when a build has replaced the file during a long run.
fn this_program() -> io::Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() {
        Ok(link.to_owned())
    } else {
        env::current_exe()
    }
}

fn no_pipe() -> io::Error {
    io::Error::other("the receiver's process has no pipe")
}

/// The line that shows how far a long comparison is, on a terminal only.
#[derive(Debug)]
struct Progress {
    done: usize,
    all: usize,
    shown: bool,
}

impl Progress {
    fn new(all: usize) -> Self {
        Self {
            done: 0,
            all,
            shown: io::stderr().is_terminal(),
        }
    }

    fn step(&mut self, scenario: &Scenario) -> io::Result<()> {
        self.done += 1;
        if !self.shown {
            return Ok(());
        }
        let (done, all) = (self.done, self.all);
        let mut err = io::stderr().lock();
        write!(err, "\r\x1b[K[{done}/{all}] {scenario}")?;
        err.flush()
    }

    fn end(&self) -> io::Result<()> {
        if self.shown {
            write!(io::stderr(), "\r\x1b[K")?;
        }
        Ok(())
    }
}
