//! CPU clocks of the thread and of the process, and the wait until the process has gone quiet.

use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// CPU time of the calling thread in nanoseconds.
pub(crate) fn thread_cpu() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

/// CPU time, user and system, of all threads of this process in nanoseconds.
pub(crate) fn process_cpu() -> u64 {
    nanoseconds(ClockId::ProcessCPUTime)
}

/// What one pair of [`thread_cpu`] calls adds to the section between them, in nanoseconds.
pub(crate) fn thread_cpu_overhead() -> u64 {
    let mut samples: Vec<u64> = (0..1_000)
        .map(|_| {
            let start = thread_cpu();
            thread_cpu() - start
        })
        .collect();
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// Sleeps until the whole process has spent almost no CPU for a few milliseconds.
///
/// This is how a burst waits for the exporter without knowing which one it is: an exporter that still
/// converts, encodes or sends is busy. It gives up after a second, because a library may be busy for
/// reasons of its own.
pub(crate) fn wait_until_quiet() {
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut quiet = 0;
    let mut before = process_cpu();
    while quiet < QUIET_INTERVALS && Instant::now() < deadline {
        thread::sleep(QUIET_INTERVAL);
        let now = process_cpu();
        quiet = if now - before < QUIET_CPU_NS { quiet + 1 } else { 0 };
        before = now;
    }
}

/// CPU that this process spends per nanosecond of elapsed time while it has nothing to record.
pub(crate) fn idle_rate(window: Duration) -> f64 {
    let (wall, cpu) = (Instant::now(), process_cpu());
    thread::sleep(window);
    (process_cpu() - cpu) as f64 / wall.elapsed().as_nanos() as f64
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

const QUIET_INTERVAL: Duration = Duration::from_millis(2);
const QUIET_INTERVALS: u32 = 3;
const QUIET_CPU_NS: u64 = 120_000;
