//! CPU clocks of the thread and of the process.

use rustix::time::{ClockId, clock_gettime};

/// CPU time of the calling thread in nanoseconds.
pub fn thread_cpu() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

/// CPU time, user and system, of all threads of this process, ended ones included, in nanoseconds.
pub fn process_cpu() -> u64 {
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

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
