//! Starts the processes of a comparison: one receiver, and one worker after the other.

use std::io::{self, IsTerminal, Write};
use std::process::Stdio;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::companion::{Companion, this_program};
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

/// The receiver, in a process of its own.
#[derive(Debug)]
pub struct Receiver {
    process: Companion,
    addresses: Addresses,
}

impl Receiver {
    /// Starts the process and waits until it listens. The program is to call [`serve`](crate::serve) when its first
    /// argument is [`RECEIVE`].
    ///
    /// # Errors
    ///
    /// The process cannot be started.
    pub fn start() -> io::Result<Self> {
        let (process, addresses) = Companion::start(&[RECEIVE])?;
        Ok(Self { process, addresses })
    }

    /// Where the worker of `run` exports to. Spans of a run whose name begins with [`COUNT_ONLY`] are counted without
    /// decoding them.
    pub fn target(&self, run: String) -> Target {
        Target {
            addresses: self.addresses,
            run,
        }
    }

    /// What came for `run` so far; the receiver then forgets it.
    ///
    /// # Errors
    ///
    /// The process has ended.
    pub fn received(&mut self, run: &str) -> io::Result<Received> {
        self.process.ask(run)
    }
}

/// Runs one worker process with `task` and reads its answer.
pub(crate) fn work<A: DeserializeOwned>(kind: &str, task: &impl Serialize) -> io::Result<A> {
    let mut command = this_program()?;
    command.arg(kind).arg(serde_json::to_string(task)?);
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
