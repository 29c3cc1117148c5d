//! What the kernel says about this process.

use std::fs;
use std::time::Duration;

/// Resident memory in bytes, without what is shared with files.
#[must_use]
pub fn rss_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|value| value.trim().strip_suffix(" kB"))
        .and_then(|value| value.parse::<u64>().ok());
    kilobytes.unwrap_or_default() << 10
}

/// How many threads there are.
#[must_use]
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// How many file descriptors are open, but for the one that counts them.
#[must_use]
pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1))
}

/// The processor time that all threads of a name have used, of those that still live.
#[must_use]
pub fn cpu_of_threads(name: &str) -> Duration {
    // The kernel keeps 15 bytes of a name.
    let kept = &name[..name.len().min(15)];
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Duration::ZERO;
    };
    let nanos = tasks.flatten().filter_map(|task| {
        let comm = fs::read_to_string(task.path().join("comm")).ok()?;
        (comm.trim() == kept).then_some(())?;
        let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
