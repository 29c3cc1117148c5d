//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::scenario::{ATTRIBUTES, Axis, Pace, PathName, Sampling, Scenario, Shape, THREADS};
use crate::worker::{Effort, Load};

/// What the program was asked to do.
#[derive(Debug)]
pub(crate) enum Request {
    Help,
    Compare(Comparison),
    Micro(Vec<PathName>),
    /// Be a receiver: how the coordinator starts its other process.
    Receive,
    /// Be a worker for the task in JSON.
    Work(String),
    /// Be a worker for the micro measurement in JSON.
    WorkMicro(String),
}

/// A comparison: which scenarios, how often and how thoroughly.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) rounds: usize,
    pub(crate) effort: Effort,
    pub(crate) load: Load,
    pub(crate) json: Option<PathBuf>,
}

/// Reads the arguments, the program's name first.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Request, lexopt::Error> {
    let mut parser = Parser::from_iter(arguments);
    let mut selection = Selection::default();
    let mut load = Load::default();
    let (mut rounds, mut effort, mut json, mut micro) = (None, Effort::Full, None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("path") => selection.paths = points(&mut parser)?,
            Arg::Long("shape") => selection.shapes = points(&mut parser)?,
            Arg::Long("attributes") => {
                selection.attributes = numbers(&mut parser, &ATTRIBUTES)?;
            }
            Arg::Long("threads") => selection.threads = numbers(&mut parser, &THREADS)?,
            Arg::Long("sampling") => selection.sampling = points(&mut parser)?,
            Arg::Long("pace") => selection.pace = Some(points(&mut parser)?),
            Arg::Long("rounds") => rounds = Some(parser.value()?.parse::<usize>()?.max(1)),
            Arg::Long("spans") => load.spans = Some(parser.value()?.parse()?),
            Arg::Long("rate") => load.rate = Some(parser.value()?.parse()?),
            Arg::Long("json") => json = Some(PathBuf::from(parser.value()?)),
            Arg::Long("quick") => effort = Effort::Quick,
            Arg::Long("micro") => micro = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(Request::Help),
            Arg::Value(value) if value == RECEIVE => return Ok(Request::Receive),
            Arg::Value(value) if value == WORK => {
                return Ok(Request::Work(parser.value()?.string()?));
            }
            Arg::Value(value) if value == WORK_MICRO => {
                return Ok(Request::WorkMicro(parser.value()?.string()?));
            }
            _ => return Err(argument.unexpected()),
        }
    }
    if micro {
        return Ok(Request::Micro(selection.paths));
    }
    let scenarios = selection.scenarios();
    let rounds = rounds.unwrap_or(match effort {
        Effort::Quick => 1,
        // A small selection leaves time for steadier medians.
        Effort::Full if scenarios.len() <= SMALL_SELECTION => 7,
        Effort::Full => 3,
    });
    Ok(Request::Compare(Comparison {
        scenarios,
        rounds,
        effort,
        load,
        json,
    }))
}

/// The chosen points of every axis.
#[derive(Debug)]
struct Selection {
    paths: Vec<PathName>,
    shapes: Vec<Shape>,
    attributes: Vec<usize>,
    threads: Vec<usize>,
    sampling: Vec<Sampling>,
    pace: Option<Vec<Pace>>,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            paths: PathName::ALL.to_vec(),
            shapes: Shape::ALL.to_vec(),
            attributes: ATTRIBUTES.to_vec(),
            threads: THREADS.to_vec(),
            sampling: Sampling::ALL.to_vec(),
            pace: None,
        }
    }
}

impl Selection {
    /// Every combination, the paths innermost, so that those to be compared run close in time.
    ///
    /// Unless asked for, spans that never leave the process are recorded at one pace only.
    fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios = Vec::new();
        for &shape in &self.shapes {
            for &sampling in &self.sampling {
                for &pace in self.pace.as_deref().unwrap_or(Pace::ALL) {
                    let exporting = sampling == Sampling::Sampled;
                    if self.pace.is_none() && !exporting && pace == Pace::Saturation {
                        continue;
                    }
                    for &threads in &self.threads {
                        for &attributes in &self.attributes {
                            scenarios.extend(self.paths.iter().map(|&path| Scenario {
                                path,
                                shape,
                                attributes,
                                threads,
                                sampling,
                                pace,
                            }));
                        }
                    }
                }
            }
        }
        scenarios
    }
}

/// The points of an axis named by an option's value, separated by commas.
fn points<A: Axis>(parser: &mut Parser) -> Result<Vec<A>, lexopt::Error> {
    let value = parser.value()?.string()?;
    let point = |name: &str| {
        A::ALL
            .iter()
            .copied()
            .find(|point| point.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = A::ALL.iter().map(|point| point.name()).collect();
                unknown(name, &names.join(", "))
            })
    };
    value.split(',').map(point).collect()
}

/// The numbers of an option's value, separated by commas, each one of `known`.
fn numbers(parser: &mut Parser, known: &[usize]) -> Result<Vec<usize>, lexopt::Error> {
    let value = parser.value()?.string()?;
    let number = |text: &str| {
        known
            .iter()
            .copied()
            .find(|number| number.to_string() == text)
            .ok_or_else(|| unknown(text, &format!("{known:?}")))
    };
    value.split(',').map(number).collect()
}

fn unknown(name: &str, known: &str) -> lexopt::Error {
    lexopt::Error::Custom(format!("unknown value {name:?}: known are {known}").into())
}

/// First argument of the receiver's process.
pub(crate) const RECEIVE: &str = "receive";
/// First argument of a worker's process, before its task.
pub(crate) const WORK: &str = "work";
/// First argument of a micro measurement's process, before its task.
pub(crate) const WORK_MICRO: &str = "work-micro";

/// Scenarios that are few enough for more rounds.
const SMALL_SELECTION: usize = 84;

pub(crate) const HELP: &str = "\
Throughline beside its peers, on the same spans, against a live OTLP receiver.

Usage: compare [OPTIONS]

Options (several values are separated by commas; without an option, all values):
  --path NAME        throughline, throughline-tracing, throughline-bridged (joined to the context of
                     the OpenTelemetry API), tracing-opentelemetry, opentelemetry, fastrace, emit, floor
  --shape NAME       wide (1 + 9 children), deep (50 nested), async (1 + 9 futures of 4 polls)
  --attributes N     0, 3, 10
  --threads N        1, 2
  --sampling NAME    sampled, unsampled, disabled
  --pace NAME        paced, saturation (without the option, saturation is for sampled spans only)
  --rounds N         how often every scenario runs; the tables show medians over rounds
  --spans N          how many spans a saturating run records (full 60000, quick 30000)
  --rate N           limits saturation to N spans per second over all threads; the receiver then
                     counts spans without decoding their fields
  --quick            one round with fewer bursts
  --json FILE        also write the figures as a JSON array
  --micro            instead: costs of one poll, of unwanted spans, and bytes added to a future
  --help             this text
";

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(arguments: &[&str]) -> Comparison {
        let arguments = ["compare"].iter().chain(arguments).map(OsString::from);
        match parse(arguments).unwrap() {
            Request::Compare(comparison) => comparison,
            other => panic!("not a comparison: {other:?}"),
        }
    }

    #[test]
    fn by_default_only_spans_that_are_sent_saturate() {
        let scenarios = comparison(&[]).scenarios;
        let (paths, conditions) = (8, 3 * 3 * 2);
        assert_eq!(scenarios.len(), paths * conditions * (2 + 1 + 1));
        let saturation = |scenario: &&Scenario| scenario.pace == Pace::Saturation;
        let mut saturating = scenarios.iter().filter(saturation);
        assert!(saturating.all(|scenario| scenario.sampling == Sampling::Sampled));
    }

    #[test]
    fn a_pace_that_is_asked_for_is_for_every_sampling() {
        let asked = ["--pace", "saturation", "--path=emit", "--shape=wide"];
        assert_eq!(comparison(&asked).scenarios.len(), 3 * 3 * 2);
    }

    #[test]
    fn the_paths_of_one_condition_run_next_to_each_other() {
        let scenarios = comparison(&["--path=fastrace,floor", "--threads=1"]).scenarios;
        let two = &scenarios[..2];
        assert_eq!(two[0].path, PathName::Fastrace);
        assert_eq!(
            Scenario {
                path: PathName::Floor,
                ..two[0]
            },
            two[1]
        );
    }

    #[test]
    fn few_scenarios_get_more_rounds() {
        assert_eq!(comparison(&[]).rounds, 3);
        assert_eq!(comparison(&["--shape=wide", "--attributes=3"]).rounds, 7);
        assert_eq!(comparison(&["--quick"]).rounds, 1);
        assert_eq!(comparison(&["--rounds=2", "--quick"]).rounds, 2);
    }
}
