//! What tracing every request costs an axum service at saturation: throughput and latency beside the same service
//! without spans.
//!
//! `cargo run --release -p throughline-benches --bin http` prints a table, `-- --json FILE` writes it too, with the
//! figures of each round. It takes somewhat less than two minutes, and needs [`wrk`](https://github.com/wg/wrk), which
//! Debian has as a package. `-- --rounds N` and `-- --seconds N` change how long it takes.
//!
//! The service (`service`) takes orders, `POST /orders`: it parses JSON, looks prices up in a map, has a task reserve
//! the goods over a channel, lets other requests run meanwhile, and answers with JSON. Its variants are
//!
//! | variant | spans | exported by |
//! |---|---|---|
//! | `untraced`, `untraced-again` | none | |
//! | `untraced-middleware` | none, but a layer that counts stands where the server span has its own | |
//! | `throughline` | `#[traced]` | Throughline |
//! | `throughline-tracing` | those of `tracing` and `tower-http`, through `TraceLayer` | Throughline |
//! | `tracing-opentelemetry` | the same, through `tracing-opentelemetry` | the OpenTelemetry SDK, by its batch processor with the defaults |
//!
//! A request names its caller in the header `traceparent`, another one each time, and is six spans that continue the
//! caller's trace:
//!
//! ```text
//! wrk
//! └─ POST /orders [server]
//!    └─ place_order
//!       ├─ validate
//!       ├─ price
//!       ├─ reserve
//!       └─ confirm
//! ```
//!
//! Each variant is a process of its own (`server`), with the runtime of `#[tokio::main]`, and so is the OTLP receiver,
//! which counts spans without decoding their fields. `wrk` keeps 64 connections busy from one thread (`load`): there is
//! always a next request. All of them share the cores of the machine, so that what the processes of the others spend is
//! missing from the service. After a round of each that only warms up, the rounds of the variants alternate, and begin with
//! another one each time. What the table shows:
//!
//! - **requests/s**, **p50**, **p99**: the medians over rounds of what `wrk` says. It corrects latencies for
//!   requests that it could not send while it waited for an answer.
//! - **× untraced**: the medians of the ratios to `untraced` in the same round. The row `untraced-again` shows what the machine adds or takes by itself.
//! - **CPU**: CPU time per request of the service's process, in microseconds, up to the end of a flush after the round. It
//!   is what remains of the difference when the machine has cores to spare.
//! - **received of offered**: spans at the receiver of those that requests began, all rounds together.
//!
//! `-- --check` measures nothing and needs no `wrk`: it sends each variant some requests, and fails where the answers
//! differ, or where the receiver did not get the spans above with their attributes.
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]
#![forbid(unsafe_code)]

mod check; // what the variants have in common, proven
mod load; // wrk
mod native; // the routes with `#[traced]`
mod report; // rounds, ratios, the table
mod server; // a variant in a process of its own
mod service; // what a request is and does
mod through_tracing; // the routes with `#[tracing::instrument]`
mod untraced; // the routes without spans

use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, ValueExt};
use throughline_benches::{RECEIVE, serve};

use server::{SERVE, Task};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    match Request::parse()? {
        Request::Measure(effort, json) => {
            // Opened first: minutes of measuring must not end with a file that cannot be written.
            let json = json.map(File::create).transpose()?;
            let table = report::measure(&effort)?;
            table.print();
            if let Some(file) = json {
                serde_json::to_writer_pretty(file, &table)?;
            }
        }
        Request::Check => {
            check::run()?;
            println!("every variant answers the same, and its spans arrive");
        }
        Request::Receive => serve()?,
        Request::Serve(task) => server::run(task)?,
    }
    Ok(())
}

/// What the command line asks for.
enum Request {
    Measure(Effort, Option<PathBuf>),
    Check,
    /// Be the receiver.
    Receive,
    /// Be a variant of the service.
    Serve(Task),
}

/// How long it is measured.
struct Effort {
    rounds: usize,
    /// Of each variant in each round.
    duration: Duration,
}

impl Request {
    fn parse() -> std::result::Result<Self, lexopt::Error> {
        let mut parser = lexopt::Parser::from_env();
        let (mut rounds, mut seconds, mut json) = (8, 2, None);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("rounds") => rounds = parser.value()?.parse::<usize>()?.max(1),
                Arg::Long("seconds") => seconds = parser.value()?.parse::<u64>()?.max(1),
                Arg::Long("json") => json = Some(parser.value()?.into()),
                Arg::Long("check") => return Ok(Self::Check),
                Arg::Value(value) if value == RECEIVE => return Ok(Self::Receive),
                Arg::Value(value) if value == SERVE => {
                    let task = parser
                        .value()?
                        .parse_with(|task| serde_json::from_str(task))?;
                    return Ok(Self::Serve(task));
                }
                other => return Err(other.unexpected()),
            }
        }
        let duration = Duration::from_secs(seconds);
        Ok(Self::Measure(Effort { rounds, duration }, json))
    }
}
