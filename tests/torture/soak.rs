//! Minutes or hours under random faults: `cargo run --release -p throughline-tests --bin soak -- --minutes 10`.
//!
//! Four threads record, at 10 % and at 100 % of the rate by turns, into one pipeline over HTTP and one over gRPC with
//! gzip. Between the pipelines and the receiver stands a proxy that stalls, drops, resets, slices and cuts answers;
//! the receiver itself delays, refuses and resets. Each minute it prints what the process holds and what the pipelines
//! count, and it ends with an error if a span is missing, foreign, or somewhere twice without a lost answer.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::env;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use throughline::Pipeline;
use throughline::export::{Compression, Protocol};
use throughline::testing::{Fault, Oracle, OtlpReceiver, TcpProxy};
use throughline_tests::support::{faults, inv, load, process};

const THREADS: u64 = 4;
/// Spans per second of all threads of one pipeline, at full load.
const RATE: u64 = 4_000;
const MINUTE: Duration = Duration::from_secs(60);
const DRAIN: Duration = Duration::from_secs(120);

/// One pipeline with all that stands behind it.
struct Line {
    name: &'static str,
    pipeline: Pipeline,
    proxy: TcpProxy,
    receiver: OtlpReceiver,
    oracle: Oracle,
    /// Spans of the batches whose answers may have been lost, at most.
    unanswered: AtomicU64,
}

fn main() -> ExitCode {
    let (minutes, seed) = match arguments() {
        Ok(arguments) => arguments,
        Err(usage) => {
            println!("{usage}");
            return ExitCode::FAILURE;
        }
    };
    println!("seed {seed}");
    println!(
        "| minute | RSS MiB | descriptors | threads | started | exported | failed | dropped | waiting | unaccounted |"
    );
    println!("|--|--|--|--|--|--|--|--|--|--|");
    let lines = [
        Line::start("http", Protocol::HttpProtobuf, Compression::None, seed),
        Line::start("grpc", Protocol::Grpc, Compression::Gzip, seed + 1),
    ];
    let (stop, full) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        for line in &lines {
            for _ in 0..THREADS {
                let (stop, full) = (&stop, &full);
                scope.spawn(move || line.record(stop, full));
            }
            scope.spawn(|| line.break_things(&stop, seed));
        }
        let start = Instant::now();
        for minute in 1..=minutes {
            full.store(minute % 2 == 0, Ordering::Relaxed);
            thread::sleep((MINUTE * minute).saturating_sub(start.elapsed()));
            report(&minute.to_string(), &lines);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let wrong: Vec<String> = lines
        .iter()
        .filter_map(|line| line.finish().err())
        .collect();
    report("end", &lines);
    for wrong in &wrong {
        println!("{wrong}");
    }
    if wrong.is_empty() {
        println!("INV holds by id");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn arguments() -> Result<(u32, u64), &'static str> {
    const USAGE: &str = "usage: soak [--minutes N] [--seed N]";
    let (mut minutes, mut seed) = (10, 1);
    let mut arguments = env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match option.as_str() {
            "--minutes" => minutes = value.parse().map_err(|_| USAGE)?,
            "--seed" => seed = value.parse().map_err(|_| USAGE)?,
            _ => return Err(USAGE),
        }
    }
    Ok((minutes, seed))
}

fn report(when: &str, lines: &[Line]) {
    let mut sums = [0; 5];
    let mut unaccounted = 0;
    for line in lines {
        let stats = line.pipeline.stats();
        let parts = [
            stats.started,
            stats.exported,
            stats.failed.total(),
            stats.dropped.total(),
            stats.queued + stats.in_flight,
        ];
        sums.iter_mut()
            .zip(parts)
            .for_each(|(sum, part)| *sum += part);
        // While it runs, spans that are just being recorded are on neither side.
        unaccounted += stats.unaccounted() - stats.live.cast_signed();
    }
    let [started, exported, failed, dropped, waiting] = sums;
    println!(
        "| {when} | {:.1} | {} | {} | {started} | {exported} | {failed} | {dropped} | {waiting} | {unaccounted} |",
        process::rss_bytes() as f64 / f64::from(1 << 20),
        process::descriptors(),
        process::threads(),
    );
}

impl Line {
    fn start(name: &'static str, protocol: Protocol, compression: Compression, seed: u64) -> Self {
        let receiver = OtlpReceiver::start().expect("a receiver starts");
        receiver.keep_ids_only();
        receiver.respond_by(faults::unreliable(seed, 20));
        let proxy = TcpProxy::start(receiver.addr()).expect("a proxy starts");
        let pipeline = Pipeline::builder()
            .endpoint(&proxy.endpoint())
            .protocol(protocol)
            .compression(compression)
            .schedule_delay(Duration::from_millis(200))
            .max_batch_spans(BATCH)
            .max_memory_bytes(8 << 20)
            .timeout(Duration::from_secs(2))
            .start()
            .expect("a pipeline starts");
        Self {
            name,
            pipeline,
            proxy,
            receiver,
            oracle: Oracle::new(),
            unanswered: AtomicU64::new(0),
        }
    }

    fn record(&self, stop: &AtomicBool, full: &AtomicBool) {
        let _here = self.pipeline.context().attach();
        while !stop.load(Ordering::Relaxed) {
            let share = if full.load(Ordering::Relaxed) { 1 } else { 10 };
            let piece = Instant::now();
            let mut ids = Vec::new();
            let over = AtomicBool::new(false);
            load::record_at(RATE / THREADS / share, &over, |id| {
                ids.push(id);
                if piece.elapsed() > Duration::from_millis(500) {
                    over.store(true, Ordering::Relaxed);
                }
            });
            self.oracle.issue(ids);
        }
    }

    /// Breaks the network about every second, and mends it again.
    fn break_things(&self, stop: &AtomicBool, seed: u64) {
        let mut chance = Rng::with_seed(seed);
        while !stop.load(Ordering::Relaxed) {
            let fault = match chance.u8(0..10) {
                0 => Fault::Stall,
                1 => Fault::Drop,
                2 => Fault::Reset,
                3 => Fault::CutAnswers,
                _ => Fault::None,
            };
            match chance.u8(0..6) {
                0 => self.proxy.slice(
                    chance.usize(1..2000),
                    Duration::from_micros(chance.u64(0..2000)),
                ),
                _ => self.proxy.slice(1 << 14, Duration::ZERO),
            }
            let before = self.receiver.requests().len();
            self.proxy.set(fault);
            thread::sleep(Duration::from_millis(chance.u64(100..1500)));
            if chance.u8(0..4) == 0 {
                let _ = self
                    .pipeline
                    .flush(Duration::from_millis(chance.u64(0..200)));
            }
            self.proxy.set(Fault::None);
            if fault != Fault::None {
                // Each request that came in meanwhile, the one before and the one after may lack its answer.
                let requests = (self.receiver.requests().len() - before) as u64 + 2;
                self.unanswered
                    .fetch_add(requests * BATCH, Ordering::Relaxed);
            }
        }
    }

    /// Lets everything come to rest and checks the account by id.
    fn finish(&self) -> Result<(), String> {
        self.receiver.respond_well();
        self.proxy.set(Fault::None);
        self.proxy.slice(1 << 14, Duration::ZERO);
        let _ = self.pipeline.shutdown(DRAIN);
        let stats = inv::settle(&self.pipeline, DRAIN)
            .map_err(|stats| format!("{}: {stats}", self.name))?;
        let unanswered = self.unanswered.load(Ordering::Relaxed);
        let verdict = self.oracle.compare(&self.receiver);
        println!("{}: {verdict}; {stats}", self.name);
        verdict
            .check_with_lost_answers(inv::counts(&stats), unanswered)
            .map_err(|wrong| format!("{}: {wrong}", self.name))
    }
}

/// The spans of one request, at most.
const BATCH: u64 = 1000;
