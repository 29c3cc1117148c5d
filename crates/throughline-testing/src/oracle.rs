//! What must have become of the spans: by their ids, not by anybody's counts.
//!
//! Owns the ids that were issued and the comparison with what a receiver holds. It must not know any pipeline: the
//! counts of the one under test are handed in as plain numbers.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use throughline_core::SpanId;

use crate::receiver::OtlpReceiver;

/// Remembers the ids of the spans that a test started, from any number of threads.
///
/// ```
/// use throughline_core::SpanId;
/// use throughline_testing::{OtlpReceiver, Oracle, SpanCounts};
///
/// let (oracle, receiver) = (Oracle::new(), OtlpReceiver::start()?);
/// let id = SpanId::from_bytes([1; 8]);
/// oracle.issue([id]);
/// // Nothing was sent, and the pipeline says so:
/// let verdict = oracle.compare(&receiver);
/// let counts = SpanCounts { started: 1, exported: 0, lost: 1 };
/// assert_eq!(verdict.check(counts), Ok(()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Oracle(Mutex<Vec<u64>>);

/// The counts that the pipeline under test gives, once nothing waits in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanCounts {
    /// Sampled spans that started.
    pub started: u64,
    /// Spans that were acknowledged.
    pub exported: u64,
    /// Spans that it counts as dropped or failed, and those that have not ended.
    pub lost: u64,
}

/// The issued ids beside the received ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many ids were issued.
    pub issued: u64,
    /// How many of them the receiver accepted.
    pub accepted: u64,
    /// How often an id was accepted again.
    pub repeated: u64,
    /// How many of them arrived at all.
    pub seen: u64,
    /// How many ids arrived that nobody issued.
    pub foreign: u64,
}

impl Oracle {
    /// An oracle that knows no id.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes ids; a thread that makes many of them does well to note them in one call.
    pub fn issue(&self, ids: impl IntoIterator<Item = SpanId>) {
        let numbers = ids.into_iter().map(|id| u64::from_be_bytes(id.to_bytes()));
        let mut issued = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        issued.extend(numbers);
    }

    /// Compares what was issued with what a receiver got.
    ///
    /// # Panics
    ///
    /// If an id was issued twice: then no comparison means anything.
    #[must_use]
    pub fn compare(&self, receiver: &OtlpReceiver) -> Verdict {
        let issued = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known: HashSet<u64> = issued.iter().copied().collect();
        assert_eq!(known.len(), issued.len(), "an id was issued twice");
        let accepted = receiver.accepted_ids();
        let (accepted_once, repeated) = distinct(&accepted);
        let (seen_once, _) = distinct(&receiver.seen_ids());
        let foreign = seen_once.iter().filter(|id| !known.contains(id)).count();
        Verdict {
            issued: known.len() as u64,
            accepted: accepted_once.intersection(&known).count() as u64,
            repeated,
            seen: (seen_once.len() - foreign) as u64,
            foreign: foreign as u64,
        }
    }
}

impl Verdict {
    /// Whether every span is where the counts say, exactly.
    ///
    /// # Errors
    ///
    /// The sentences that do not hold.
    pub fn check(&self, counts: SpanCounts) -> Result<(), String> {
        self.check_with_lost_answers(counts, 0)
    }

    /// Like [`check`](Self::check), where the answers for up to `spans_unanswered` spans got lost: the receiver may
    /// have accepted so many more, and so many twice.
    ///
    /// # Errors
    ///
    /// The sentences that do not hold.
    pub fn check_with_lost_answers(
        &self,
        counts: SpanCounts,
        spans_unanswered: u64,
    ) -> Result<(), String> {
        let SpanCounts {
            started,
            exported,
            lost,
        } = counts;
        let unanswered = self.accepted.wrapping_sub(exported);
        let mut wrong = Vec::new();
        let mut hold = |holds: bool, sentence: String| {
            if !holds {
                wrong.push(sentence);
            }
        };
        hold(
            self.issued == started,
            format!("{} were issued and {started} started", self.issued),
        );
        hold(
            started == exported + lost,
            format!("{started} started and {exported} exported and {lost} lost"),
        );
        hold(
            self.accepted >= exported,
            format!("{exported} exported and {} accepted", self.accepted),
        );
        hold(
            self.accepted < exported || unanswered <= spans_unanswered,
            format!("{unanswered} accepted and not counted as exported"),
        );
        hold(
            self.repeated <= spans_unanswered,
            format!("{} accepted more than once", self.repeated),
        );
        hold(
            self.foreign == 0,
            format!("{} received that nobody issued", self.foreign),
        );
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!("{}: {self}", wrong.join(", ")))
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} issued, {} accepted, {} accepted again, {} seen, {} foreign",
            self.issued, self.accepted, self.repeated, self.seen, self.foreign
        )
    }
}

fn distinct(ids: &[u64]) -> (HashSet<u64>, u64) {
    let once: HashSet<u64> = ids.iter().copied().collect();
    let repeated = ids.len() - once.len();
    (once, repeated as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Verdict = Verdict {
        issued: 10,
        accepted: 7,
        repeated: 0,
        seen: 8,
        foreign: 0,
    };

    const COUNTS: SpanCounts = SpanCounts {
        started: 10,
        exported: 7,
        lost: 3,
    };

    #[test]
    fn an_exact_account_passes() {
        assert_eq!(GOOD.check(COUNTS), Ok(()));
    }

    #[test]
    fn each_mistake_has_its_sentence() {
        for (verdict, counts, sentence) in [
            (Verdict { issued: 11, ..GOOD }, COUNTS, "11 were issued"),
            (GOOD, SpanCounts { lost: 2, ..COUNTS }, "2 lost"),
            (
                Verdict {
                    accepted: 6,
                    ..GOOD
                },
                COUNTS,
                "6 accepted",
            ),
            (
                Verdict {
                    accepted: 8,
                    ..GOOD
                },
                COUNTS,
                "1 accepted and not",
            ),
            (
                Verdict {
                    repeated: 2,
                    ..GOOD
                },
                COUNTS,
                "2 accepted more",
            ),
            (Verdict { foreign: 1, ..GOOD }, COUNTS, "nobody issued"),
        ] {
            let error = verdict.check(counts).unwrap_err();
            assert!(error.contains(sentence), "{error}");
        }
    }

    #[test]
    fn a_lost_answer_excuses_as_many_spans_as_it_was_for() {
        let twice = Verdict {
            accepted: 8,
            repeated: 2,
            ..GOOD
        };
        assert!(twice.check(COUNTS).is_err());
        assert_eq!(twice.check_with_lost_answers(COUNTS, 2), Ok(()));
        assert!(twice.check_with_lost_answers(COUNTS, 1).is_err());
    }
}
