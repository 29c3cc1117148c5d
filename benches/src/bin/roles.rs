//! What a role costs its application: nanoseconds per message beside the same program without instrumentation.
//!
//! `cargo run --release -p throughline-benches --bin roles` prints a table of the CPU time of the thread that sends and
//! handles, `-- --json FILE` writes it too. The rounds of the columns alternate, so that the machine's moods meet all of
//! them.
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]
#![forbid(unsafe_code)]

use std::fs;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::PathBuf;

use lexopt::{Arg, ValueExt};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use throughline::channel::mpsc;
use throughline::core::{Recorder, RecorderConfig, Sampler};
use throughline::{FutureExt, actor, span};
use tokio::runtime::Runtime;

/// One row of the table, and of the file.
#[derive(Serialize)]
struct Row {
    host: &'static str,
    untraced_ns: f64,
    unsampled_ns: f64,
    traced_ns: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let json = arguments()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let rows = [tokio_actor(&runtime)];
    println!("CPU ns per message, median of {ROUNDS} rounds of {MESSAGES} messages");
    println!("host          untraced  unsampled    traced   more unsampled  more traced");
    for row in &rows {
        let Row {
            host,
            untraced_ns,
            unsampled_ns,
            traced_ns,
        } = row;
        println!(
            "{host:<12} {untraced_ns:>9.1} {unsampled_ns:>10.1} {traced_ns:>9.1} {:>+16.1} {:>+12.1}",
            unsampled_ns - untraced_ns,
            traced_ns - untraced_ns
        );
    }
    if let Some(path) = json {
        fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    Ok(())
}

fn arguments() -> Result<Option<PathBuf>, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let mut json = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("json") => json = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(json)
}

/// What a message asks for.
struct Add(u64);

/// The actor as it is without instrumentation.
struct Bare(u64);

impl Bare {
    async fn handle(&mut self, message: Add) {
        self.0 = black_box(self.0 + message.0);
    }
}

/// The same with the attribute.
struct Traced(u64);

#[actor]
impl Traced {
    async fn handle(&mut self, message: Add) {
        self.0 = black_box(self.0 + message.0);
    }
}

/// Tell and handle, on plain Tokio.
fn tokio_actor(runtime: &Runtime) -> Row {
    let recorder = |sampler| {
        let mut config = RecorderConfig::default();
        config.sampler = sampler;
        Recorder::start(config)
    };
    let [on, off] = [Sampler::always_on(), Sampler::always_off()].map(recorder);
    let mut samples = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        samples[0].push(runtime.block_on(bare()));
        for (recorder, samples) in [&off, &on].into_iter().zip(&mut samples[1..]) {
            samples.push(runtime.block_on(traced(recorder)));
            // Emptied outside of the measurement: whoever exports is another thread.
            recorder.drain(|_| ControlFlow::Continue(()));
        }
    }
    let [untraced_ns, unsampled_ns, traced_ns] = samples.map(median);
    Row {
        host: "tokio",
        untraced_ns,
        unsampled_ns,
        traced_ns,
    }
}

async fn bare() -> f64 {
    let (tx, mut rx) = tokio::sync::mpsc::channel(MAILBOX);
    let mut actor = Bare(0);
    let start = thread_cpu();
    for _ in 0..MESSAGES / MAILBOX {
        for number in 0..MAILBOX as u64 {
            if tx.send(Add(number)).await.is_err() {
                break;
            }
        }
        for _ in 0..MAILBOX {
            if let Some(message) = rx.recv().await {
                actor.handle(message).await;
            }
        }
    }
    per_message(start)
}

async fn traced(recorder: &Recorder) -> f64 {
    let (tx, mut rx) = mpsc::named("actor", MAILBOX);
    let mut actor = Traced(0);
    let mut nanos = 0.0;
    for _ in 0..MESSAGES / MAILBOX {
        let request = span!(parent: recorder.context(), "request");
        let part = async {
            let start = thread_cpu();
            for number in 0..MAILBOX as u64 {
                if tx.send(Add(number)).await.is_err() {
                    break;
                }
            }
            per_message(start)
        };
        nanos += part.in_span(request).await;
        let start = thread_cpu();
        for _ in 0..MAILBOX {
            if let Some(delivery) = rx.recv().await {
                delivery
                    .handle(async |message| actor.handle(message).await)
                    .await;
            }
        }
        nanos += per_message(start);
    }
    nanos
}

fn per_message(start: u64) -> f64 {
    (thread_cpu() - start) as f64 / MESSAGES as f64
}

fn thread_cpu() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

const ROUNDS: usize = 101;
const MESSAGES: usize = 1_024;
/// Messages that are sent before the first is handled.
const MAILBOX: usize = 64;
