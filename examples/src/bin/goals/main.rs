//! Goals: a service traced from the request to the notification, in one process.
//!
//! Somebody upstream sends `POST /goals` with a `traceparent`. The handler validates the goal, asks three advisers at
//! the same time, each in a task, how long it will take, and asks an actor to add it. The actor runs a command of
//! cqrs-es, whose events go to SQLite on a thread where blocking is allowed. Every function is annotated, every log line
//! carries the ids of its span, and what comes out is one trace:
//!
//! ```text
//! upstream, in another process
//! └─ POST /goals [server]           axum: the layer `spans`
//!    └─ create_goal                 the handler
//!       ├─ validate
//!       ├─ estimate
//!       │  ├─ ask adviser           a task of a `JoinSet`
//!       │  ├─ ask adviser
//!       │  └─ ask adviser
//!       └─ GoalBook Add             the actor, in its own task: the context came with the message
//!          └─ execute goal          the command
//!             ├─ SELECT events [client]  `spawn_blocking`
//!             └─ INSERT events [client]
//!                └─ commit          a span of the `tracing` crate
//! ```
//!
//! What follows from it comes later, and is in traces of its own, each linked to what it follows from:
//!
//! ```text
//! project goal_summary GoalAdded    → execute goal: a query of cqrs-es, dispatched within the command
//! project goal_feed GoalAdded       → execute goal: a task that reads the events along, with the stored context
//! ├─ find address                   for one owner this fails the first time: then there are two such traces, linked
//! ├─ send goals [producer]          Kafka: the context is in the headers of the record
//! └─ INSERT offsets [client]
//! process goals [consumer]          → send goals: a batch, with a link for each record
//! ├─ deliver [client]               the notification, for each record
//! └─ commit goals [client]
//! process goals [consumer]          → send goals, → process goals: the second attempt at one that came back
//! ├─ deliver [client]
//! └─ send goals.dead [producer]     given up
//! process goals.dead [consumer]     → send goals.dead: the dead letter is read
//! └─ commit goals.dead [client]
//! ```
//!
//! At the end the summary is built once more from the stored events: one span for each page of that replay.
//!
//! `cargo run --release --bin goals` starts all of this, a Kafka of librdkafka's and an OTLP receiver, sends requests
//! over HTTP, and checks that every span arrived where it belongs, every link leads to the right one, and every log line
//! has the right ids. See `--help` for the rest.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the help, the address and the mistakes"
)]

mod actor;
mod check;
mod cli;
mod cost;
mod dead_letters;
mod drive;
mod feed;
mod goal;
mod kafka;
mod lines;
mod notifier;
mod people;
mod picture;
mod report;
mod service;
mod store;
mod stories;
mod summary;
mod system;
mod truth;

use std::env;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use throughline::Pipeline;
use throughline::testing::OtlpReceiver;

use crate::check::Evidence;
use crate::cli::Options;
use crate::lines::Log;
use crate::report::Json;

fn main() -> ExitCode {
    let result = match Options::parse() {
        Ok(Some(options)) => run(&options),
        Ok(None) => {
            print!("{}", cli::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("goals: {error}");
            ExitCode::from(2)
        }
    }
}

type Failure = Box<dyn Error + Send + Sync>;

/// Everything from the start of the pipeline to the report.
fn run(options: &Options) -> Result<ExitCode, Failure> {
    let receiver = own_receiver()?;
    let pipeline = match &receiver {
        Some(receiver) => Pipeline::builder()
            .service_name("goals")
            .endpoint(&receiver.endpoint()),
        // Weaker than `OTEL_SERVICE_NAME`.
        None => Pipeline::builder()
            .resource_attribute("service.name", "goals")
            .env(),
    }
    .start_global()?;
    let log = Log::new(options.serve);
    log.install()?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ran = runtime.block_on(system::run(options))?;
    drop(runtime);

    let shutdown = pipeline.shutdown(Duration::from_secs(10));
    let stats = pipeline.stats();
    let traces = receiver.as_ref().map(OtlpReceiver::traces);
    let lines = log.lines();
    let findings = Evidence {
        ran: &ran,
        lines: &lines,
        traces: traces.as_deref(),
        stats: &stats,
        shutdown,
    }
    .examine();

    report::print_load(&ran);
    report::print_stories(&ran.sent, &lines, traces.as_deref());
    report::print_skipped(&ran);
    report::print_summary(&stats, &findings, cost::ns_per_span()?);
    for problem in findings.problems.iter().take(PROBLEMS_SHOWN) {
        eprintln!("wrong: {problem}");
    }
    if options.json {
        Json::new(&ran, &stats, &findings).print()?;
    }
    Ok(if findings.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        eprintln!("{} things are wrong", findings.problems.len());
        ExitCode::FAILURE
    })
}

/// One mistake makes many lines wrong; the first few tell what it is.
const PROBLEMS_SHOWN: usize = 10;

/// A receiver in this process, unless the environment says where the spans go.
fn own_receiver() -> io::Result<Option<OtlpReceiver>> {
    let said = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if DESTINATIONS.into_iter().any(said) {
        return Ok(None);
    }
    OtlpReceiver::start().map(Some)
}

const DESTINATIONS: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
];
