//! One scenario in this process: start the pipeline, record, flush, and say what it cost.

use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::measurement::{Measured, median};
use crate::pacer::{self, Pacer};
use crate::paths::{self, Path};
use crate::scenario::{Fault, Pace, PathName, Sampling, Scenario};
use crate::shapes::{self, Record};
use crate::target::Target;
use crate::{allocations, clock};

/// What a coordinator asks of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) scenario: Scenario,
    pub(crate) target: Target,
    pub(crate) effort: Effort,
    pub(crate) load: Load,
}

/// How much a worker records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Effort {
    Full,
    Quick,
}

/// What changes saturation; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Spans of one run over all threads, in place of the usual number.
    pub(crate) spans: Option<u64>,
    /// Spans per second over all threads, in place of as many as possible.
    pub(crate) rate: Option<u64>,
}

/// Carries out `task` and returns the figures.
pub(crate) fn run(task: &Task) -> io::Result<Measured> {
    match task.scenario.path {
        PathName::Throughline => measure::<paths::Throughline>(task),
        PathName::ThroughlineBridged => measure::<paths::ThroughlineBridged>(task),
        PathName::ThroughlineTracing => measure::<paths::ThroughlineTracing>(task),
        PathName::TracingOpentelemetry => measure::<paths::TracingOpentelemetry>(task),
        PathName::Opentelemetry => measure::<paths::Opentelemetry>(task),
        PathName::Fastrace => measure::<paths::Fastrace>(task),
        PathName::Emit => measure::<paths::Emit>(task),
        PathName::Floor => measure::<paths::Floor>(task),
    }
}

/// The bursts of one run.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Traces that one recording thread makes in one burst.
    traces: u64,
    /// Spans in those.
    spans: u64,
    /// Bursts before anything is measured: connections and thread-locals come to be, buffers and the
    /// heap grow to their size.
    warm_up: usize,
    /// Measured bursts.
    bursts: usize,
    /// Whether measured bursts follow each other without waiting for the exporter.
    saturating: bool,
    /// How long after the one before a saturating burst begins, if that is limited.
    interval: Option<Duration>,
    /// Whether spans leave the process, so that a pause waits for them.
    exporting: bool,
    /// Whether they arrive, so that a flush ends.
    arriving: bool,
    /// How long the idle process is watched.
    idle: Duration,
}

impl Plan {
    fn new<P: Path>(task: &Task) -> Self {
        let Task {
            scenario,
            effort,
            load,
            ..
        } = task;
        let exporting = P::EXPORTS && scenario.sampling == Sampling::Sampled;
        let quick = *effort == Effort::Quick;
        // Without an export there is no queue to spare, and longer bursts make small costs visible.
        let burst_spans = if exporting {
            BURST_SPANS
        } else {
            QUIET_BURST_SPANS
        };
        let spans_per_trace = shapes::spans_per_trace(scenario.shape);
        let traces = burst_spans / spans_per_trace / scenario.threads as u64;
        let saturating = scenario.pace == Pace::Saturation;
        let spans = traces * spans_per_trace;
        let all_spans = spans * scenario.threads as u64;
        let interval = |rate: u64| Duration::from_nanos(all_spans * 1_000_000_000 / rate.max(1));
        Self {
            traces,
            spans,
            warm_up: match exporting {
                // Requests are built in buffers that several of them must fill before all of their memory
                // has been touched once.
                true if !quick && !saturating => 80,
                _ => 4,
            },
            bursts: match (saturating, quick) {
                (true, _) if load.spans.is_some() => {
                    (load.spans.unwrap_or_default() / all_spans).max(1) as usize
                }
                (false, true) => 8,
                (false, false) if exporting => 24,
                (false, false) => 16,
                (true, true) => 30,
                (true, false) => 60,
            },
            saturating,
            interval: load.rate.map(interval),
            exporting,
            arriving: exporting && matches!(scenario.fault, Fault::Healthy | Fault::Slow),
            idle: Duration::from_millis(if quick { 30 } else { 60 }),
        }
    }
}

/// What one recording thread has to say.
#[derive(Debug)]
struct Recording {
    /// CPU nanoseconds of each measured burst.
    app_ns: Vec<u64>,
    /// Allocator calls of each measured burst.
    allocations: Vec<u64>,
    /// CPU nanoseconds that the thread spent between bursts, waiting and counting.
    harness_ns: u64,
}

/// The CPU nanoseconds of the process while it recorded and exported.
#[derive(Debug)]
struct Process {
    /// From the first measured burst to the end of the flush, less the idle process's.
    cpu_ns: f64,
    /// How much of it was the pacing thread's.
    harness_ns: u64,
}

fn measure<P: Path>(task: &Task) -> io::Result<Measured> {
    let scenario = &task.scenario;
    let path = P::start(
        &task.target.destination(scenario.transport, scenario.fault),
        scenario.sampling,
    );
    let pacer = Pacer::new(task.target.addresses.http)?;
    let plan = Plan::new::<P>(task);
    let record = match scenario.attributes {
        0 => shapes::recorder::<P, 0>(scenario.shape),
        3 => shapes::recorder::<P, 3>(scenario.shape),
        _ => shapes::recorder::<P, 10>(scenario.shape),
    };
    let barrier = Barrier::new(scenario.threads + 1);
    let (process, recordings) = thread::scope(|scope| {
        let recorders: Vec<_> = (0..scenario.threads)
            .map(|_| scope.spawn(|| record_bursts(&path, record, plan, &barrier)))
            .collect();
        let threads_end = || {
            let join = |thread: thread::ScopedJoinHandle<'_, Recording>| {
                thread.join().expect("a recording thread does not panic")
            };
            recorders.into_iter().map(join).collect::<Vec<_>>()
        };
        pace_bursts(&path, plan, &pacer, &barrier, threads_end)
    })?;

    let harness_ns = recordings
        .iter()
        .map(|recording| recording.harness_ns)
        .sum::<u64>();
    let cpu_ns = process.cpu_ns - (process.harness_ns + harness_ns) as f64;
    let threads = scenario.threads as u64;
    let per_span = |of: fn(&Recording) -> &Vec<u64>| {
        let samples = recordings.iter().flat_map(|recording| of(recording).iter());
        median(
            samples
                .map(|&sample| sample as f64 / plan.spans as f64)
                .collect(),
        )
    };
    Ok(Measured {
        app_ns: per_span(|recording| &recording.app_ns),
        cpu_ns: cpu_ns.max(0.0) / (threads * plan.bursts as u64 * plan.spans) as f64,
        allocations: per_span(|recording| &recording.allocations),
        offered: threads * (plan.warm_up + plan.bursts) as u64 * plan.spans,
    })
}

/// A recording thread: each burst lies between two meetings with the pacing thread; at saturation all
/// measured bursts together do.
fn record_bursts<P: Path>(path: &P, record: Record<P>, plan: Plan, barrier: &Barrier) -> Recording {
    for _ in 0..plan.warm_up {
        barrier.wait();
        record(path, plan.traces);
        barrier.wait();
    }
    let mut recording = Recording {
        app_ns: Vec::with_capacity(plan.bursts),
        allocations: Vec::with_capacity(plan.bursts),
        harness_ns: 0,
    };
    let overhead = clock::thread_cpu_overhead();
    barrier.wait();
    let thread_start = clock::thread_cpu();
    let mut due = Instant::now();
    for burst in 0..plan.bursts {
        if !plan.saturating || burst == 0 {
            barrier.wait();
            due = Instant::now();
        } else if let Some(interval) = plan.interval {
            due += interval;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let start = clock::thread_cpu();
        let allocated = allocations::count(|| record(path, plan.traces));
        let spent = clock::thread_cpu() - start;
        recording.app_ns.push(spent.saturating_sub(overhead));
        recording.allocations.push(allocated);
        if !plan.saturating || burst + 1 == plan.bursts {
            barrier.wait();
        }
    }
    // The thread waits for the first flush before it ends.
    barrier.wait();
    let spent = clock::thread_cpu() - thread_start;
    recording.harness_ns = spent.saturating_sub(recording.app_ns.iter().sum());
    recording
}

/// The pacing thread, which also flushes.
///
/// It flushes twice, before and after the recording threads end: fastrace keeps what overflowed its
/// ring on the recording thread, which hands it over only when it records again or ends.
fn pace_bursts<P: Path>(
    path: &P,
    plan: Plan,
    pacer: &Pacer,
    barrier: &Barrier,
    threads_end: impl FnOnce() -> Vec<Recording>,
) -> io::Result<(Process, Vec<Recording>)> {
    // The recording threads wait for this one, so that a receiver that went away is an error at the end.
    let mut lost_receiver = None;
    let mut pause = || {
        if plan.exporting && lost_receiver.is_none() {
            lost_receiver = pacer.wait_until_quiet().err();
        }
    };
    let burst = || {
        barrier.wait();
        barrier.wait();
    };
    for _ in 0..plan.warm_up {
        burst();
        pause();
    }
    if plan.arriving {
        path.flush();
    }
    barrier.wait();
    pause();
    let idle_rate = pacer::idle_rate(plan.idle);

    let (wall, process_start, pacing_start) =
        (Instant::now(), clock::process_cpu(), clock::thread_cpu());
    if plan.saturating {
        burst();
    } else {
        for _ in 0..plan.bursts {
            burst();
            pause();
        }
    }
    let mut harness_ns = clock::thread_cpu() - pacing_start;
    if plan.arriving {
        path.flush();
    }
    let flushed = clock::thread_cpu();
    barrier.wait();
    let recordings = threads_end();
    harness_ns += clock::thread_cpu() - flushed;
    if plan.arriving {
        path.flush();
        let flushed = clock::thread_cpu();
        pause();
        harness_ns += clock::thread_cpu() - flushed;
    }
    let process_ns = (clock::process_cpu() - process_start) as f64;
    let process = Process {
        cpu_ns: process_ns - idle_rate * wall.elapsed().as_nanos() as f64,
        harness_ns,
    };
    match lost_receiver {
        Some(error) => Err(error),
        None => Ok((process, recordings)),
    }
}

/// Spans in a burst over all threads: with what a batch processor may hold back, still below the
/// smallest queue of the peers (2 048 spans).
const BURST_SPANS: u64 = 1_000;
/// Spans in a burst of which none leaves the process.
const QUIET_BURST_SPANS: u64 = 5_000;
