//! How many events projections passed over, by the name of the projection. The counters are relaxed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::names::{Names, OVERFLOW_NAME};

/// The counts of the projections of one name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProjectionStats {
    /// The name, cut after 256 bytes.
    pub name: &'static str,
    /// Events that they passed over, replays left aside.
    pub skipped: u64,
}

/// The counts of every projection's name so far, in the order of the names.
///
/// ```
/// use throughline_messaging::{Projection, projection_stats};
///
/// Projection::new("thumbnails").skip();
/// Projection::new("thumbnails").skip();
/// let stats = projection_stats().into_iter().find(|projection| projection.name == "thumbnails");
/// assert_eq!(stats.unwrap().skipped, 2);
/// ```
#[must_use]
pub fn projection_stats() -> Vec<ProjectionStats> {
    let all = NAMES
        .all()
        .into_iter()
        .map(|(name, skipped)| ProjectionStats {
            name,
            skipped: skipped.load(Ordering::Relaxed),
        });
    let used = all.filter(|stats| stats.skipped > 0 || stats.name != OVERFLOW_NAME);
    used.collect()
}

/// The counter of the projections of that name.
pub(crate) fn skips_of(name: &str) -> &'static AtomicU64 {
    NAMES.find(name, "", |_| AtomicU64::new(0))
}

static NAMES: Names<AtomicU64> = Names::new(&OVERFLOW);
static OVERFLOW: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{MAX_NAME_BYTES, MAX_NAMES};

    // One test, since it fills the registry of the process.
    #[test]
    fn names_are_cut_and_bounded() {
        let first = skips_of("skips: first");
        assert!(std::ptr::eq(first, skips_of("skips: first")));
        let long = "é".repeat(1_000);
        skips_of(&long);
        for number in 0..=MAX_NAMES {
            skips_of(&format!("skips: {number}")).fetch_add(1, Ordering::Relaxed);
        }
        first.fetch_add(1, Ordering::Relaxed);
        let all = projection_stats();
        assert_eq!(all.len(), MAX_NAMES + 1, "and what they share");
        assert!(all.iter().all(|stats| stats.name.len() <= MAX_NAME_BYTES));
        let of = |name: &str| all.iter().find(|stats| stats.name == name);
        assert_eq!(of("skips: first").map(|stats| stats.skipped), Some(1));
        assert!(of(OVERFLOW_NAME).expect("too many names").skipped >= 2);
    }
}
