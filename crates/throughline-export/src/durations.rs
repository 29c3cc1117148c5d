//! How long exports took.
//!
//! Owns the buckets. What is an export, and who asks, is not known here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// The upper bounds of all buckets but the last, in milliseconds: what the semantic
/// conventions advise for the durations of requests, and a batch's own time limit.
const BOUNDS_MILLIS: [u64; BOUNDS] = [
    5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000, 30_000,
];
const BOUNDS: usize = 15;

/// A histogram of durations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durations {
    total: Duration,
    buckets: [u64; BOUNDS + 1],
}

impl Durations {
    /// How many durations were measured.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of all durations.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.total
    }

    /// Upper bounds, in ascending order, each with the number of durations up to it
    /// and above the one before. The last bucket has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS_MILLIS.map(|millis| Some(Duration::from_millis(millis)));
        bounds.into_iter().chain([None]).zip(self.buckets)
    }

    /// The bounds as the metric has them.
    pub(crate) fn bounds_seconds() -> [f64; BOUNDS] {
        BOUNDS_MILLIS.map(|millis| Duration::from_millis(millis).as_secs_f64())
    }

    pub(crate) fn counts(&self) -> &[u64] {
        &self.buckets
    }

    fn record(&mut self, duration: Duration) {
        let within = |bound: &u64| duration <= Duration::from_millis(*bound);
        let bucket = BOUNDS_MILLIS.iter().position(within).unwrap_or(BOUNDS);
        self.buckets[bucket] += 1;
        self.total = self.total.saturating_add(duration);
    }
}

/// Durations of the exports of one destination, by what came of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operations {
    succeeded: Durations,
    failed: BTreeMap<Cow<'static, str>, Durations>,
}

impl Operations {
    /// Exports of which every span was accepted.
    #[must_use]
    pub fn succeeded(&self) -> &Durations {
        &self.succeeded
    }

    /// The others by the type of the error, in the order of the types.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &Durations)> {
        self.failed
            .iter()
            .map(|(error_type, durations)| (error_type.as_ref(), durations))
    }

    pub(crate) fn record(&mut self, error_type: Option<&str>, duration: Duration) {
        let durations = match error_type {
            None => &mut self.succeeded,
            Some(error_type) => self
                .failed
                .entry(Cow::Owned(error_type.to_owned()))
                .or_default(),
        };
        durations.record(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_bucket_whose_bound_it_does_not_exceed() {
        let mut operations = Operations::default();
        let micros = [0, 5_000, 5_001, 30_000_000, 30_000_001];
        for micros in micros {
            operations.record(None, Duration::from_micros(micros));
        }
        operations.record(Some("503"), Duration::from_secs(1));
        let all: Vec<_> = operations
            .succeeded()
            .buckets()
            .filter(|(_, count)| *count > 0)
            .map(|(bound, count)| (bound.map(|bound| bound.as_millis()), count))
            .collect();
        assert_eq!(
            all,
            [(Some(5), 2), (Some(10), 1), (Some(30_000), 1), (None, 1)]
        );
        assert_eq!(operations.succeeded().count(), 5);
        let total = Duration::from_micros(micros.iter().sum());
        assert_eq!(operations.succeeded().total(), total);
        let failed: Vec<_> = operations
            .failed()
            .map(|(error_type, durations)| (error_type, durations.count()))
            .collect();
        assert_eq!(failed, [("503", 1)]);
    }
}
