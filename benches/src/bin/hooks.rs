//! What automatic mode costs: nanoseconds per poll of a task, on a bare Tokio runtime and on one of
//! `throughline::runtime::Builder`.
//!
//! `RUSTFLAGS="--cfg tokio_unstable" cargo run --release -p throughline-benches --bin hooks` prints a table of CPU
//! time; without the flag there are no hooks, and the columns are alike. The rounds of the columns alternate, so that the
//! machine's moods meet all of them, and each round has runtimes of its own.
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::hint::black_box;
use std::io;
use std::task::Poll;

use rustix::time::{ClockId, clock_gettime};
use throughline::core::{Recorder, RecorderConfig};
use throughline::{Context, span};
use tokio::runtime::Runtime;

/// Who polls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    /// Tokio's own runtime.
    Bare,
    /// Tokio's own runtime with hooks that do nothing: what no hook can be cheaper than.
    Empty,
    /// A runtime in automatic mode, tasks without a context.
    Without,
    /// A runtime in automatic mode, tasks with a context and the age of traces unlimited.
    With,
    /// The same with the age limited, which reads the clock once a poll.
    WithAge,
    /// The defaults: Tokio measures how long tasks are ready, and reads the clock twice a poll more.
    WithLatency,
}

const COLUMNS: [Column; 6] = [
    Column::Bare,
    Column::Empty,
    Column::Without,
    Column::With,
    Column::WithAge,
    Column::WithLatency,
];

fn main() -> io::Result<()> {
    let recorder = Recorder::start(RecorderConfig::default());
    let context = {
        let _here = recorder.context().attach();
        let root = span!("root");
        root.context()
    };
    let automatic = if cfg!(tokio_unstable) { "on" } else { "off" };
    println!(
        "automatic mode {automatic}; CPU ns per poll, median of {ROUNDS} rounds of at least {POLLS} polls"
    );
    println!(
        "                                       bare     empty   without      with  with age  defaults   spawn+: without  with"
    );
    for threads in [0, 2] {
        for tasks in [1, 16, 1_000, 10_000] {
            if threads > tasks {
                // What is measured then is how the idle workers look for work.
                continue;
            }
            let mut samples = COLUMNS.map(|_| Vec::new());
            let mut spawns = COLUMNS.map(|_| Vec::new());
            for number in 0..ROUNDS {
                let runtimes = runtimes(number, threads)?;
                for (at, (column, runtime)) in COLUMNS.into_iter().zip(&runtimes).enumerate() {
                    let context = match column {
                        Column::Bare | Column::Empty | Column::Without => Context::default(),
                        Column::With | Column::WithAge | Column::WithLatency => context.clone(),
                    };
                    let polls = (POLLS / tasks).max(POLLS_PER_TASK);
                    samples[at].push(round(runtime, &context, tasks, polls));
                    spawns[at].push(round(runtime, &context, SPAWNS, 0));
                }
            }
            let [bare, empty, without, with, age, latency] = samples.map(median);
            let [spawn, _, spawn_without, spawn_with, _, _] = spawns.map(median);
            let flavor = match threads {
                0 => "current_thread".to_owned(),
                threads => format!("multi_thread({threads})"),
            };
            println!(
                "{flavor:<16} {tasks:>5} tasks     {bare:>10.1} {empty:>+9.1} {without:>+9.1} {with:>+9.1} {age:>+9.1} {latency:>+9.1} {:>+17.1} {:>+5.1}",
                spawn_without - spawn,
                spawn_with - spawn,
                empty = empty - bare,
                without = without - bare,
                with = with - bare,
                age = age - bare,
                latency = latency - bare,
            );
        }
    }
    Ok(())
}

/// A runtime for each column. They are new for each round and made in another order each time: where one lies on the heap
/// decides whether what its workers read at each poll shares a line of the cache with what they write.
fn runtimes(round: usize, threads: usize) -> io::Result<Vec<Runtime>> {
    let mut order: Vec<usize> = (0..COLUMNS.len()).collect();
    order.rotate_left(round % COLUMNS.len());
    let mut made = Vec::with_capacity(order.len());
    for at in order {
        made.push((at, runtime(COLUMNS[at], threads)?));
    }
    made.sort_by_key(|(at, _)| *at);
    Ok(made.into_iter().map(|(_, runtime)| runtime).collect())
}

fn runtime(column: Column, threads: usize) -> io::Result<Runtime> {
    let mut tokio = if threads == 0 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    if threads > 0 {
        tokio.worker_threads(threads);
    }
    #[cfg(tokio_unstable)]
    if column == Column::Empty {
        tokio.on_task_spawn(|_| ()).on_task_terminate(|_| ());
        tokio.on_before_task_poll(|_| ()).on_after_task_poll(|_| ());
    }
    if matches!(column, Column::Bare | Column::Empty) {
        return tokio.build();
    }
    let mut builder = throughline::runtime::Builder::from(tokio);
    if matches!(column, Column::Without | Column::With) {
        builder.max_trace_age(None);
    }
    builder.schedule_latency(column == Column::WithLatency);
    builder.build()
}

/// CPU nanoseconds for each of `polls` polls of `tasks` tasks; for each task if there are no polls but the last.
fn round(runtime: &Runtime, context: &Context, tasks: usize, polls: usize) -> f64 {
    runtime.block_on(async {
        let started = process_cpu();
        let handles: Vec<_> = {
            let _here = (*context != Context::default()).then(|| context.attach());
            (0..tasks).map(|_| tokio::spawn(yields(polls))).collect()
        };
        for handle in handles {
            // A task that panicked would be seen in the output of the panic hook.
            let _ = handle.await;
        }
        let nanos = process_cpu() - started;
        nanos / (tasks * polls.max(1)) as f64
    })
}

/// CPU time of all threads of this process in nanoseconds: what other processes take does not count.
fn process_cpu() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// Pending `polls` times.
async fn yields(polls: usize) {
    let mut left = polls;
    poll_fn(|cx| {
        if black_box(left) == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

const ROUNDS: usize = 21;
const POLLS: usize = 200_000;
/// So many that what a spawn costs, which has columns of its own, does not count.
const POLLS_PER_TASK: usize = 200;
const SPAWNS: usize = 10_000;
