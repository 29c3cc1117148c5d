//! What a role costs its application: nanoseconds per message beside the same program without instrumentation.
//!
//! `cargo run --release -p throughline-benches --bin roles` prints a table, `-- --json FILE` writes it too. The rounds of
//! the columns alternate, so that the machine's moods meet all of them, and a row has their medians. The first columns
//! are the bare program, the same with the instrumentation and a sampler that takes nothing, and with one that takes all.
//!
//! | host | what is measured |
//! |---|---|
//! | `tokio` | a tell and its handler: CPU time of the one thread that sends and handles |
//! | `kameo` | the same, by `tell_traced` and `#[actor]`; beneath it kameo's own `tracing` spans, exported by the OpenTelemetry SDK |
//! | `rdkafka` | a record sent, fetched and handled on librdkafka's mock cluster: elapsed time with as many records on their way as fit. librdkafka has threads of its own, so that the time of one thread says little |
//! | `cqrs-es-replay` | one event of a replay: CPU time of the one thread; beneath it a replay of a query that is traced outside of replays |
//!
//! Who exports is another thread, and its time is in the row of `rdkafka` alone.
//!
//! `-- --check-times` measures no cost: it compares the wait and the processing time that spans tell with the caller's own
//! clock, prints how far they are apart, and fails where they are too far.
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]
#![forbid(unsafe_code)]

mod check_times; // what spans tell of time, beside a clock of one's own
mod cqrs_es; // the replay
mod kameo; // tells to an actor
mod measure; // rounds, medians, recorders
mod rdkafka; // records on a mock cluster
mod tokio; // tells over a channel

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, ValueExt};

use measure::{Result, Row};

fn main() -> Result<ExitCode> {
    let options = Options::parse()?;
    if options.check_times {
        return check_times::run();
    }
    let rows = [
        tokio::measure()?,
        kameo::measure()?,
        rdkafka::measure()?,
        cqrs_es::measure()?,
    ];
    Row::print_head();
    for row in &rows {
        row.print();
    }
    if let Some(path) = options.json {
        fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the command line asks for.
#[derive(Default)]
struct Options {
    json: Option<PathBuf>,
    check_times: bool,
}

impl Options {
    fn parse() -> std::result::Result<Self, lexopt::Error> {
        let mut parser = lexopt::Parser::from_env();
        let mut options = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("json") => options.json = Some(parser.value()?.parse()?),
                Arg::Long("check-times") => options.check_times = true,
                other => return Err(other.unexpected()),
            }
        }
        Ok(options)
    }
}
