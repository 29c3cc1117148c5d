//! Goals: a service traced from the request to the database and back, in one process.
//!
//! Somebody upstream sends `POST /goals` with a `traceparent`. The handler validates the goal, asks three advisers at
//! the same time, each in a task, how long it will take, and hands it to an actor. The actor stores it in SQLite, on
//! a thread where blocking is allowed, answers, and lets the owner know in a task that nobody waits for. Every
//! function is annotated, every log line carries the ids of its span, and what comes out is one trace:
//!
//! ```text
//! upstream, in another process
//! └─ POST /goals [server]           axum: the middleware `serve`
//!    └─ create_goal                 the handler
//!       ├─ validate
//!       ├─ estimate
//!       │  ├─ ask adviser           a task of a `JoinSet`
//!       │  ├─ ask adviser
//!       │  └─ ask adviser
//!       └─ GoalBook Add             the actor, in its own task: the context came in the envelope
//!          ├─ INSERT goals [client] `spawn_blocking`
//!          │  └─ commit             a span of the `tracing` crate
//!          └─ announce              a task that goes on when the answer is out
//! ```
//!
//! `cargo run --release --bin goals` starts the service and an OTLP receiver, sends requests over HTTP, and checks
//! that every span arrived where it belongs and every log line has the right ids. See `--help` for the rest.
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
mod drive;
mod lines;
mod report;
mod service;
mod store;

use std::env;
use std::error::Error;
use std::future::IntoFuture;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use throughline::Pipeline;
use throughline::testing::OtlpReceiver;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::actor::GoalBook;
use crate::check::Evidence;
use crate::cli::Options;
use crate::drive::Sent;
use crate::lines::Log;
use crate::report::Json;
use crate::store::Store;

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
    let load = runtime.block_on(serve(options))?;
    drop(runtime);

    let shutdown = pipeline.shutdown(Duration::from_secs(10));
    let stats = pipeline.stats();
    let traces = receiver.as_ref().map(OtlpReceiver::traces);
    let lines = log.lines();
    let findings = Evidence {
        sent: &load.sent,
        lines: &lines,
        traces: traces.as_deref(),
        stats: &stats,
        shutdown,
    }
    .examine();

    report::print_load(&load.sent, load.took);
    report::print_sample(&load.sent, &lines, traces.as_deref());
    report::print_summary(&stats, &findings, cost::ns_per_span()?);
    for problem in findings.problems.iter().take(PROBLEMS_SHOWN) {
        eprintln!("wrong: {problem}");
    }
    if options.json {
        Json::new(load.sent.len(), &stats, &findings).print()?;
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

/// The requests that were sent, and how long they took together.
#[derive(Debug)]
struct Load {
    sent: Vec<Sent>,
    took: Duration,
}

/// Runs the service for as long as it is needed; when this returns, all its work is done.
async fn serve(options: &Options) -> Result<Load, Failure> {
    let (book, actor) = GoalBook::start(Store::open()?);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    let (stop, stopped) = oneshot::channel::<()>();
    let service = axum::serve(listener, service::routes(book))
        .with_graceful_shutdown(async {
            // Nothing is ever sent: the sender is dropped.
            let _ = stopped.await;
        })
        .into_future();
    let service = tokio::spawn(service);
    // From here on ctrl-c stops the service rather than the process, also while the load runs.
    let interrupted = options.serve.then(|| tokio::spawn(tokio::signal::ctrl_c()));
    if options.serve {
        println!("serving http://{address}/goals until ctrl-c");
    }

    let started = Instant::now();
    let sent = drive::drive(address, options.requests).await?;
    let took = started.elapsed();
    if let Some(interrupted) = interrupted {
        interrupted.await??;
    }

    drop(stop);
    service.await??;
    actor.await?;
    tracing::info!("stopped");
    Ok(Load { sent, took })
}
