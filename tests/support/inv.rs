//! The invariant: every span that started is somewhere, and by its id.

use std::thread;
use std::time::{Duration, Instant};

use throughline::Pipeline;
use throughline::export::PipelineStats;
use throughline::testing::{Oracle, OtlpReceiver, SpanCounts, Verdict};

/// What the pipeline counts, once nothing waits in it.
#[must_use]
pub fn counts(stats: &PipelineStats) -> SpanCounts {
    SpanCounts {
        started: stats.started,
        exported: stats.exported,
        lost: stats.failed.total() + stats.dropped.total() + stats.live,
    }
}

/// Waits until nothing is queued or in flight, at most that long.
///
/// # Errors
///
/// The stats of a pipeline that still has something to do.
pub fn settle(pipeline: &Pipeline, timeout: Duration) -> Result<PipelineStats, Box<PipelineStats>> {
    let deadline = Instant::now() + timeout;
    loop {
        let stats = pipeline.stats();
        if stats.queued + stats.in_flight == 0 {
            return Ok(stats);
        }
        if Instant::now() > deadline {
            return Err(Box::new(stats));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Holds the ids that were issued against what arrived and what the pipeline counts.
///
/// # Panics
///
/// If anything is missing, too much or in two places.
#[track_caller]
pub fn hold(oracle: &Oracle, receiver: &OtlpReceiver, stats: &PipelineStats) -> Verdict {
    hold_with_lost_answers(oracle, receiver, stats, 0)
}

/// Like [`hold`], where the answers for up to so many spans got lost.
///
/// # Panics
///
/// If anything is missing, too much or in two places.
#[track_caller]
pub fn hold_with_lost_answers(
    oracle: &Oracle,
    receiver: &OtlpReceiver,
    stats: &PipelineStats,
    spans_unanswered: u64,
) -> Verdict {
    assert_eq!(stats.unaccounted(), 0, "{stats}");
    assert_eq!(stats.queued + stats.in_flight, 0, "{stats}");
    let verdict = oracle.compare(receiver);
    let checked = verdict.check_with_lost_answers(counts(stats), spans_unanswered);
    assert_eq!(checked, Ok(()), "{stats}");
    verdict
}
