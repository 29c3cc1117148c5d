//! One scenario in this process: start the pipeline, record, flush, and say what it cost.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::measurement::{Measured, median};
use crate::paths::{self, Path};
use crate::scenario::{Pace, PathName, Sampling, Scenario};
use crate::shapes::{self, Record};
use crate::{allocations, clock};

/// What a coordinator asks of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) scenario: Scenario,
    /// Full URL of the receiver's traces resource for this worker.
    pub(crate) endpoint: String,
    pub(crate) effort: Effort,
}

/// How much a worker records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Effort {
    Full,
    Quick,
}

/// Carries out `task` and returns the figures.
pub(crate) fn run(task: &Task) -> Measured {
    match task.scenario.path {
        PathName::Throughline | PathName::ThroughlineTracing => measure::<paths::Floor>(task),
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
    /// Bursts before anything is measured: connections, thread-locals and buffers come to be.
    warm_up: usize,
    /// Measured bursts.
    bursts: usize,
    /// Whether measured bursts follow each other without a pause.
    saturating: bool,
    /// Whether a pause waits for the exporter.
    exporting: bool,
    /// How long the idle process is watched.
    idle: Duration,
}

impl Plan {
    fn new<P: Path>(scenario: &Scenario, effort: Effort) -> Self {
        let exporting = P::EXPORTS && scenario.sampling == Sampling::Sampled;
        let quick = effort == Effort::Quick;
        // Without an export there is no queue to spare, and longer bursts make small costs visible.
        let burst_spans = if exporting { BURST_SPANS } else { QUIET_BURST_SPANS };
        let spans_per_trace = shapes::spans_per_trace(scenario.shape);
        let traces = burst_spans / spans_per_trace / scenario.threads as u64;
        let saturating = scenario.pace == Pace::Saturation;
        Self {
            traces,
            spans: traces * spans_per_trace,
            warm_up: 3,
            bursts: match (saturating, quick) {
                (false, false) => 24,
                (false, true) => 8,
                (true, false) => 100,
                (true, true) => 30,
            },
            saturating,
            exporting,
            idle: Duration::from_millis(if quick { 30 } else { 60 }),
        }
    }
}

/// What one recording thread has to say.
#[derive(Debug, Default)]
struct Recording {
    /// CPU nanoseconds of each measured burst.
    app_ns: Vec<u64>,
    /// Allocator calls of each measured burst.
    allocations: Vec<u64>,
    /// CPU nanoseconds that the thread spent between bursts, waiting and counting.
    harness_ns: u64,
}

fn measure<P: Path>(task: &Task) -> Measured {
    let Task {
        scenario,
        endpoint,
        effort,
    } = task;
    let path = P::start(endpoint, scenario.sampling);
    let record = match scenario.attributes {
        0 => shapes::recorder::<P, 0>(scenario.shape),
        3 => shapes::recorder::<P, 3>(scenario.shape),
        _ => shapes::recorder::<P, 10>(scenario.shape),
    };
    let plan = Plan::new::<P>(scenario, *effort);
    let barrier = Barrier::new(scenario.threads + 1);
    thread::scope(|scope| {
        let recorders: Vec<_> = (0..scenario.threads)
            .map(|_| scope.spawn(|| record_bursts(&path, record, plan, &barrier)))
            .collect();
        let (cpu_ns, harness_ns) = pace_bursts(&path, plan, &barrier);
        let recordings: Vec<Recording> = recorders
            .into_iter()
            .map(|recorder| recorder.join().expect("a recording thread does not panic"))
            .collect();
        let harness_ns =
            harness_ns + recordings.iter().map(|recording| recording.harness_ns).sum::<u64>();
        let threads = scenario.threads as u64;
        let measured_spans = threads * plan.bursts as u64 * plan.spans;
        let per_span = |of: fn(&Recording) -> &Vec<u64>| {
            let samples = recordings.iter().flat_map(|recording| of(recording).iter());
            median(samples.map(|&sample| sample as f64 / plan.spans as f64).collect())
        };
        Measured {
            app_ns: per_span(|recording| &recording.app_ns),
            cpu_ns: (cpu_ns - harness_ns as f64).max(0.0) / measured_spans as f64,
            allocations: per_span(|recording| &recording.allocations),
            offered: threads * (plan.warm_up + plan.bursts) as u64 * plan.spans,
        }
    })
}

/// A recording thread: every burst between two meetings with the pacing thread, or all measured bursts
/// between two meetings at saturation.
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
    for burst in 0..plan.bursts {
        if !plan.saturating || burst == 0 {
            barrier.wait();
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
    let spent = clock::thread_cpu() - thread_start;
    recording.harness_ns = spent.saturating_sub(recording.app_ns.iter().sum());
    // The thread outlives the flush, so that its end is not part of the process's cost.
    barrier.wait();
    recording
}

/// The pacing thread: returns the process's CPU nanoseconds from the first measured burst to the end
/// of the flush less the idle process's, and how much of it was this thread's pacing.
fn pace_bursts<P: Path>(path: &P, plan: Plan, barrier: &Barrier) -> (f64, u64) {
    let pause = || {
        if plan.exporting {
            clock::wait_until_quiet();
        }
    };
    for _ in 0..plan.warm_up {
        barrier.wait();
        barrier.wait();
        pause();
    }
    if plan.exporting {
        path.flush();
    }
    barrier.wait();
    pause();
    let idle_rate = clock::idle_rate(plan.idle);

    let (wall, process_start, pacing_start) =
        (Instant::now(), clock::process_cpu(), clock::thread_cpu());
    if plan.saturating {
        barrier.wait();
        barrier.wait();
    } else {
        for _ in 0..plan.bursts {
            barrier.wait();
            barrier.wait();
            pause();
        }
    }
    let mut harness_ns = clock::thread_cpu() - pacing_start;
    if plan.exporting {
        path.flush();
        let flushed = clock::thread_cpu();
        pause();
        harness_ns += clock::thread_cpu() - flushed;
    }
    let process_ns = (clock::process_cpu() - process_start) as f64;
    let idle_ns = idle_rate * wall.elapsed().as_nanos() as f64;
    barrier.wait();
    (process_ns - idle_ns, harness_ns)
}

/// Spans in a burst over all threads: with what a batch processor may hold back, still below the
/// smallest queue of the peers (2 048 spans).
const BURST_SPANS: u64 = 1_000;
/// Spans in a burst of which none leaves the process.
const QUIET_BURST_SPANS: u64 = 5_000;
