//! What became of the spans: the numbers of a pipeline and the sum they make.
//!
//! Owns the public counts and nothing of how they come about.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Counts by name, such as spans by the error they were lost to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tallies(BTreeMap<Cow<'static, str>, u64>);

impl Tallies {
    /// The sum over all names.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// The count under one name; zero for a name that never occurred.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// All names that occurred with their counts, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_ref(), *count))
    }

    pub(crate) fn add(&mut self, name: impl Into<Cow<'static, str>>, count: u64) {
        if count > 0 {
            *self.0.entry(name.into()).or_default() += count;
        }
    }
}

impl fmt::Display for Tallies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.total())?;
        for (index, (name, count)) in self.iter().enumerate() {
            let before = if index == 0 { " (" } else { ", " };
            write!(f, "{before}{name}: {count}")?;
        }
        if self.0.is_empty() {
            Ok(())
        } else {
            f.write_str(")")
        }
    }
}

/// What became of the sampled spans of a pipeline since it started.
///
/// Whenever no thread is recording and the export thread is not in the middle of
/// a batch, `started` is exactly the sum of all the others: no span is lost
/// without a count. The remaining difference is [`unaccounted`](Self::unaccounted).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PipelineStats {
    /// Sampled spans that started.
    pub started: u64,
    /// Spans that have not ended.
    pub live: u64,
    /// Spans that ended and wait for the exporter.
    pub queued: u64,
    /// Spans in the batch that is being exported.
    pub in_flight: u64,
    /// Spans that the exporter accepted.
    pub exported: u64,
    /// Spans that the exporter did not accept, by the type of the error: an HTTP
    /// status, `rejected` (partial success), `timeout`, `connect`, `closed`, `io`,
    /// `panic`, `shutdown`, `response_too_large` or what a custom exporter names.
    pub failed: Tallies,
    /// Spans that never reached the exporter, by reason: `queue_full`, `oversize`,
    /// `already_shutdown`, `shutdown` (its deadline passed) or `no_exporter`.
    pub dropped: Tallies,
}

impl PipelineStats {
    /// How many spans are missing from the sum: negative if there are too many,
    /// zero at every quiescent point.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let sum = self.live
            + self.queued
            + self.in_flight
            + self.exported
            + self.failed.total()
            + self.dropped.total();
        self.started.cast_signed().wrapping_sub(sum.cast_signed())
    }
}

impl fmt::Display for PipelineStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} spans started: {} exported, {} failed, {} dropped, {} queued, {} in flight, {} live",
            self.started,
            self.exported,
            self.failed,
            self.dropped,
            self.queued,
            self.in_flight,
            self.live
        )
    }
}

/// What a flush or a shutdown achieved.
///
/// The counts begin where those of the flush before it ended (or with the
/// pipeline), so that what failed in the background is told once, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use = "a flush may have failed"]
#[non_exhaustive]
pub struct FlushReport {
    /// Spans that the exporter accepted.
    pub exported: u64,
    /// Spans that the exporter did not accept.
    pub failed: u64,
    /// Spans dropped without reaching the exporter.
    pub dropped: u64,
    /// Whether the time was over before the work was.
    pub timed_out: bool,
    /// Whether the exporter could not pass on what it holds back itself.
    pub exporter_failed: bool,
    /// Whether nothing was done because this process is a forked child: the export
    /// thread stayed in the parent.
    pub forked: bool,
}

impl FlushReport {
    /// Whether every span that ended before the call, and after the flush before it,
    /// was accepted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let Self {
            failed,
            dropped,
            timed_out,
            exporter_failed,
            forked,
            exported: _,
        } = *self;
        failed == 0 && dropped == 0 && !timed_out && !exporter_failed && !forked
    }
}

impl fmt::Display for FlushReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.forked {
            return f.write_str("nothing exported: the export thread stayed in the parent process");
        }
        write!(
            f,
            "{} spans exported, {} failed, {} dropped",
            self.exported, self.failed, self.dropped
        )?;
        if self.exporter_failed {
            f.write_str(", the exporter could not flush")?;
        }
        if self.timed_out {
            f.write_str(", out of time")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_the_parts() {
        let mut stats = PipelineStats {
            started: 20,
            live: 1,
            queued: 2,
            in_flight: 3,
            exported: 4,
            ..PipelineStats::default()
        };
        stats.failed.add("503", 5);
        stats.failed.add("timeout", 1);
        stats.dropped.add("queue_full", 3);
        stats.dropped.add("oversize", 0);
        assert_eq!(stats.unaccounted(), 1);
        assert_eq!(
            stats.to_string(),
            "20 spans started: 4 exported, 6 (503: 5, timeout: 1) failed, 3 (queue_full: 3) \
             dropped, 2 queued, 3 in flight, 1 live"
        );
        stats.started = 0;
        assert_eq!(stats.unaccounted(), -19);
    }

    #[test]
    fn a_report_is_complete_when_nothing_is_wrong() {
        let good = FlushReport {
            exported: 5,
            ..FlushReport::default()
        };
        assert!(good.is_complete() && FlushReport::default().is_complete());
        assert!(!FlushReport { failed: 1, ..good }.is_complete());
        assert!(!FlushReport { dropped: 1, ..good }.is_complete());
        let late = FlushReport {
            timed_out: true,
            ..good
        };
        assert!(!late.is_complete());
        assert_eq!(
            late.to_string(),
            "5 spans exported, 0 failed, 0 dropped, out of time"
        );
        assert!(
            !FlushReport {
                forked: true,
                ..good
            }
            .is_complete()
        );
    }
}
