//! What became of the spans: the numbers of a pipeline and the sum they make.
//!
//! Owns the public counts and nothing of how they come about.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use throughline_core::ParentOrigins;

use crate::durations::Operations;

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

    pub(crate) fn merge(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            self.add(name.clone(), *count);
        }
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
/// Whenever no thread is recording and no export thread is in the middle of a batch,
/// `started` is exactly the sum of all the others: no span is lost without a count.
/// The remaining difference is [`unaccounted`](Self::unaccounted).
///
/// With several destinations each span is due once at each of them, so what happened
/// to ended spans is the sum over the [`destinations`](Self::destinations).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PipelineStats {
    /// Sampled spans that started.
    pub started: u64,
    /// Spans that started unsampled. They are no part of the sum.
    pub unsampled: u64,
    /// The parts of `started`.
    pub started_by_origin: ParentOrigins,
    /// The parts of `unsampled`.
    pub unsampled_by_origin: ParentOrigins,
    /// Spans that have not ended.
    pub live: u64,
    /// Spans that ended and wait for the exporter.
    pub queued: u64,
    /// Spans in the batch that is being exported.
    pub in_flight: u64,
    /// Spans that the exporter accepted.
    pub exported: u64,
    /// Spans that wait in a spool for a destination that does not work: neither exported
    /// nor lost.
    pub spooled: u64,
    /// Spans that the exporter did not accept, by the type of the error: an HTTP
    /// status, `rejected` (partial success), `timeout`, `connect`, `closed`, `io`,
    /// `panic`, `blocked` (it held its thread), `shutdown`, `response_too_large` or
    /// what a custom exporter names.
    pub failed: Tallies,
    /// Spans that never reached the exporter, by reason: `queue_full`, `oversize`,
    /// `already_shutdown`, `shutdown` (its deadline passed) or `no_exporter`.
    pub dropped: Tallies,
    /// The same for each destination, in the order in which they were configured.
    pub destinations: Vec<DestinationStats>,
}

/// What became of the ended spans of a pipeline at one destination.
///
/// The sum of all counts is the number of spans that ended, exactly, whenever nothing
/// moves. Spans that found the buffers of the recording threads full are among the
/// dropped ones of every destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DestinationStats {
    /// Where the spans go, as the exporter [names](crate::SpanExporter::destination) it.
    pub destination: String,
    /// Spans that wait for this exporter.
    pub queued: u64,
    /// Spans in the batch that it is exporting.
    pub in_flight: u64,
    /// Spans that it accepted.
    pub exported: u64,
    /// Spans that wait in its spool: neither exported nor lost.
    pub spooled: u64,
    /// Spans that it did not accept, by the type of the error.
    pub failed: Tallies,
    /// Spans that never reached it, by reason.
    pub dropped: Tallies,
    /// How long exports took, from the first attempt to the last answer.
    pub operations: Operations,
}

impl DestinationStats {
    /// The sum of all counts: the spans that ended, as far as they are accounted for.
    #[must_use]
    pub fn total(&self) -> u64 {
        let lost = self.failed.total() + self.dropped.total();
        self.queued + self.in_flight + self.exported + self.spooled + lost
    }
}

impl PipelineStats {
    /// How many spans are missing from the sum: negative if there are too many,
    /// zero at every quiescent point. Of several destinations it is the first at which
    /// the sum is wrong.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let missing = |total: u64| {
            let sum = self.live + total;
            self.started.cast_signed().wrapping_sub(sum.cast_signed())
        };
        let mut missing_at = self.destinations.iter().map(|one| missing(one.total()));
        if self.destinations.is_empty() {
            // Nobody reads what this pipeline records.
            return missing(self.queued + self.dropped.total());
        }
        missing_at.find(|count| *count != 0).unwrap_or(0)
    }

    pub(crate) fn add(&mut self, destination: DestinationStats) {
        self.queued += destination.queued;
        self.in_flight += destination.in_flight;
        self.exported += destination.exported;
        self.spooled += destination.spooled;
        self.failed.merge(&destination.failed);
        self.dropped.merge(&destination.dropped);
        self.destinations.push(destination);
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
        )?;
        if self.spooled > 0 {
            write!(f, ", {} spooled", self.spooled)?;
        }
        Ok(())
    }
}

/// Spans that a spool took, and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpooledSpans {
    /// Spans that the spool took.
    pub accepted: u64,
    /// Spans that the destination has accepted from the spool.
    pub delivered: u64,
    /// Spans that the destination refused for good, by the type of the error, as in
    /// [`PipelineStats::failed`].
    pub failed: Tallies,
    /// Spans that were lost in the spool, by reason: `spool_full`, `spool_corrupt` or
    /// `spool_unreadable`.
    pub dropped: Tallies,
}

impl SpooledSpans {
    /// Spans in the spool at this moment: neither exported nor lost.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let gone = self.delivered + self.failed.total() + self.dropped.total();
        self.accepted.saturating_sub(gone)
    }
}

/// What a flush or a shutdown achieved.
///
/// The counts begin where those of the flush before it ended (or with the
/// pipeline), so that what failed in the background is told once, too. With several
/// destinations they are sums over the [`destinations`](Self::destinations).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// Whether nothing was done because this process is a forked child: the
    /// pipeline's threads stayed in the parent.
    pub forked: bool,
    /// The same for each destination, in the order in which they were configured.
    pub destinations: Vec<DestinationReport>,
}

/// What a flush or a shutdown achieved at one destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DestinationReport {
    /// Where the spans go, as the exporter [names](crate::SpanExporter::destination) it.
    pub destination: String,
    /// Spans that its exporter accepted.
    pub exported: u64,
    /// Spans that its exporter did not accept.
    pub failed: u64,
    /// Spans dropped without reaching it.
    pub dropped: u64,
    /// Whether the time was over before its work was.
    pub timed_out: bool,
    /// Whether its exporter could not pass on what it holds back itself.
    pub exporter_failed: bool,
}

impl FlushReport {
    /// Whether every span that ended before the call, and after the flush before it,
    /// was accepted, at every destination.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let Self {
            failed,
            dropped,
            timed_out,
            exporter_failed,
            forked,
            exported: _,
            destinations: _,
        } = *self;
        failed == 0 && dropped == 0 && !timed_out && !exporter_failed && !forked
    }

    pub(crate) fn add(&mut self, destination: DestinationReport) {
        self.exported += destination.exported;
        self.failed += destination.failed;
        self.dropped += destination.dropped;
        self.timed_out |= destination.timed_out;
        self.exporter_failed |= destination.exporter_failed;
        self.destinations.push(destination);
    }
}

impl DestinationReport {
    /// Whether every span that ended before the call, and after the flush before it,
    /// was accepted here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let Self {
            failed,
            dropped,
            timed_out,
            exporter_failed,
            exported: _,
            destination: _,
        } = *self;
        failed == 0 && dropped == 0 && !timed_out && !exporter_failed
    }
}

impl fmt::Display for FlushReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.forked {
            return f.write_str("nothing exported: the export thread stayed in the parent process");
        }
        let Self {
            exported,
            failed,
            dropped,
            timed_out,
            exporter_failed,
            forked: _,
            destinations: _,
        } = *self;
        put_report(f, [exported, failed, dropped], exporter_failed, timed_out)?;
        if self.destinations.len() > 1 {
            for destination in &self.destinations {
                write!(f, "; {destination}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for DestinationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            destination,
            exported,
            failed,
            dropped,
            timed_out,
            exporter_failed,
        } = self;
        write!(f, "{destination}: ")?;
        put_report(
            f,
            [*exported, *failed, *dropped],
            *exporter_failed,
            *timed_out,
        )
    }
}

fn put_report(
    f: &mut fmt::Formatter<'_>,
    [exported, failed, dropped]: [u64; 3],
    exporter_failed: bool,
    timed_out: bool,
) -> fmt::Result {
    write!(
        f,
        "{exported} spans exported, {failed} failed, {dropped} dropped"
    )?;
    if exporter_failed {
        f.write_str(", the exporter could not flush")?;
    }
    if timed_out {
        f.write_str(", out of time")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination() -> DestinationStats {
        let mut here = DestinationStats {
            destination: "here".to_owned(),
            queued: 2,
            in_flight: 3,
            exported: 4,
            ..DestinationStats::default()
        };
        here.failed.add("503", 5);
        here.failed.add("timeout", 1);
        here.dropped.add("queue_full", 3);
        here.dropped.add("oversize", 0);
        here
    }

    #[test]
    fn the_sum_of_the_parts() {
        let mut stats = PipelineStats {
            started: 20,
            live: 1,
            ..PipelineStats::default()
        };
        stats.add(destination());
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
    fn a_span_is_due_at_every_destination() {
        let mut stats = PipelineStats {
            started: 19,
            live: 1,
            ..PipelineStats::default()
        };
        stats.add(destination());
        let mut there = destination();
        stats.add(there.clone());
        assert_eq!((stats.exported, stats.failed.get("503")), (8, 10));
        assert_eq!(stats.unaccounted(), 0);
        // Too many at one and too few at another do not make up for each other.
        there.exported += 1;
        stats.add(there.clone());
        there.exported -= 2;
        stats.add(there);
        assert_eq!(stats.unaccounted(), -1);
    }

    #[test]
    fn a_report_is_complete_when_nothing_is_wrong() {
        let good = FlushReport {
            exported: 5,
            ..FlushReport::default()
        };
        assert!(good.is_complete() && FlushReport::default().is_complete());
        let wrong = |change: fn(&mut FlushReport)| {
            let mut report = good.clone();
            change(&mut report);
            assert!(!report.is_complete(), "{report}");
            report.to_string()
        };
        wrong(|report| report.failed = 1);
        wrong(|report| report.dropped = 1);
        wrong(|report| report.forked = true);
        wrong(|report| report.exporter_failed = true);
        assert_eq!(
            wrong(|report| report.timed_out = true),
            "5 spans exported, 0 failed, 0 dropped, out of time"
        );
    }

    #[test]
    fn a_report_tells_of_several_destinations_which_one_is_wrong() {
        let mut report = FlushReport::default();
        let good = DestinationReport {
            destination: "here".to_owned(),
            exported: 5,
            ..DestinationReport::default()
        };
        let late = DestinationReport {
            destination: "there".to_owned(),
            timed_out: true,
            ..DestinationReport::default()
        };
        assert!(good.is_complete() && !late.is_complete());
        report.add(good);
        assert!(report.is_complete());
        assert_eq!(report.to_string(), "5 spans exported, 0 failed, 0 dropped");
        report.add(late);
        assert!(!report.is_complete());
        assert_eq!(
            report.to_string(),
            "5 spans exported, 0 failed, 0 dropped, out of time; here: 5 spans exported, 0 failed, \
             0 dropped; there: 0 spans exported, 0 failed, 0 dropped, out of time"
        );
    }
}
