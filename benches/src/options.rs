//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::scenario::{
    ATTRIBUTES, Axis, Fault, Pace, PathName, Sampling, Scenario, Shape, THREADS, Transport,
};
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
            Arg::Long("transport") => selection.transports = Some(points(&mut parser)?),
            Arg::Long("fault") => selection.faults = points(&mut parser)?,
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
    transports: Option<Vec<Transport>>,
    faults: Vec<Fault>,
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
            transports: None,
            faults: vec![Fault::Healthy],
        }
    }
}

impl Selection {
    /// Every combination, the paths innermost, so that those to be compared run close in time.
    fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios = Vec::new();
        for &shape in &self.shapes {
            for &sampling in &self.sampling {
                for &pace in self.pace.as_deref().unwrap_or(Pace::ALL) {
                    for &threads in &self.threads {
                        for &attributes in &self.attributes {
                            for &transport in self.transports.as_deref().unwrap_or(Transport::ALL) {
                                for &fault in &self.faults {
                                    let under = |&path| Scenario {
                                        path,
                                        shape,
                                        attributes,
                                        threads,
                                        sampling,
                                        pace,
                                        transport,
                                        fault,
                                    };
                                    let all = self.paths.iter().map(under);
                                    scenarios.extend(all.filter(|scenario| self.wants(scenario)));
                                }
                            }
                        }
                    }
                }
            }
        }
        scenarios
    }

    /// Unless asked for, spans that never leave the process are recorded at one pace only, and transports are compared
    /// under one condition. What never leaves has no transport and meets no fault, and faults are those of HTTP.
    fn wants(&self, scenario: &Scenario) -> bool {
        let exporting = scenario.sampling == Sampling::Sampled;
        let usual = (scenario.shape, scenario.pace) == (Shape::Wide, Pace::Paced)
            && (scenario.attributes, scenario.threads) == (3, 1);
        let plain = (scenario.transport, scenario.fault) == (Transport::Http, Fault::Healthy);
        let by_pace = exporting || self.pace.is_some() || scenario.pace == Pace::Paced;
        let by_transport =
            scenario.transport == Transport::Http || self.transports.is_some() || usual;
        let has_receiver = exporting && scenario.path != PathName::Floor;
        let has_fault = scenario.fault == Fault::Healthy || scenario.transport == Transport::Http;
        by_pace && by_transport && has_fault && (plain || has_receiver)
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
pub const RECEIVE: &str = "receive";
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
  --transport NAME   http, http-gzip, grpc (without the option, the last two for paced wide spans with 3
                     attributes on one thread)
  --fault NAME       healthy, absent, black-hole, slow, 503: the receiver (without the option, healthy)
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
        let over_other_transports = 2 * (paths - 1);
        assert_eq!(
            scenarios.len(),
            paths * conditions * (2 + 1 + 1) + over_other_transports
        );
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
    fn a_receiver_fails_for_those_who_send_to_it_over_http() {
        let asked = [
            "--fault=healthy,absent,503",
            "--path=throughline,floor",
            "--shape=deep",
            "--attributes=3",
            "--threads=1",
            "--pace=paced",
            "--transport=http,grpc",
        ];
        let scenarios = comparison(&asked).scenarios;
        let count = |path, fault| {
            let of = |scenario: &&Scenario| (scenario.path, scenario.fault) == (path, fault);
            scenarios.iter().filter(of).count()
        };
        // Once over gRPC and once for each sampling over HTTP.
        assert_eq!(count(PathName::Throughline, Fault::Healthy), 4);
        assert_eq!(count(PathName::Throughline, Fault::Absent), 1);
        assert_eq!(count(PathName::Throughline, Fault::Unavailable), 1);
        assert_eq!(count(PathName::Floor, Fault::Healthy), 3);
        assert_eq!(count(PathName::Floor, Fault::Absent), 0);
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
