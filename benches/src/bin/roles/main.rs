//! What a role costs its application: nanoseconds per message beside the same program without instrumentation.
//!
//! `cargo run --release -p throughline-benches --bin roles` prints a table, `-- --json FILE` writes it too. The rounds
//! of the columns alternate, so that the machine's moods meet all of them, and a row has their medians. The columns are
//! the bare program, the same with the instrumentation and a sampler that takes nothing, and with one that takes all.
//!
//! | host | a message is | measured |
//! |---|---|---|
//! | `tokio` | a tell over a channel, and its handler | CPU time of the thread that sends and handles |
//! | `kameo` | the same, by `tell_traced` and `#[actor]` | the same |
//! | `rdkafka` | a record sent, fetched and handled on librdkafka's mock cluster | elapsed time at saturation |
//! | `cqrs-es-replay` | an event of a replay | CPU time of the thread that reads and handles |
//!
//! librdkafka has threads of its own, so that the time of one thread says little about it. Who exports is another
//! thread, and its time is in the row of `rdkafka` alone. Beneath the rows stand figures to compare them with: the same
//! while metrics are on, without those who drain the measurements; kameo's own `tracing` spans, exported by the
//! OpenTelemetry SDK; what a header costs rdkafka, and what is left of the difference where few records are on their
//! way; a replay whose query is traced, too.
//!
//! `-- --check-times` measures no cost: it compares the wait and the processing time that spans tell with the caller's
//! own clock, prints how far they are apart, and fails where they are too far.
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
