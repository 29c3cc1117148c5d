//! How many events projections passed over, by the name of the projection.
//!
//! Owns the registry of names and their counters, which are relaxed. A name that was seen is kept for the life of the
//! process; past [`MAX_NAMES`] new ones share one counter.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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
    let registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    let stats = registry.iter().map(|(name, skipped)| ProjectionStats {
        name,
        skipped: skipped.load(Ordering::Relaxed),
    });
    stats.collect()
}

/// The counter of the projections of that name.
pub(crate) fn skips_of(name: &str) -> &'static AtomicU64 {
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    let name = &name[..name.floor_char_boundary(MAX_NAME_BYTES)];
    if let Some(counter) = registry.get(name) {
        return counter;
    }
    let name = if registry.len() < MAX_NAMES {
        name
    } else {
        OVERFLOW_NAME
    };
    if let Some(counter) = registry.get(name) {
        return counter;
    }
    // Bounded by the two limits.
    let counter: &'static AtomicU64 = Box::leak(Box::default());
    registry.insert(Box::leak(name.into()), counter);
    counter
}

static REGISTRY: Mutex<BTreeMap<&'static str, &'static AtomicU64>> = Mutex::new(BTreeMap::new());

/// Names that have counters of their own.
const MAX_NAMES: usize = 1024;
/// Bytes of a name; the rest is cut off.
const MAX_NAME_BYTES: usize = 256;
/// What projections past [`MAX_NAMES`] are counted under.
const OVERFLOW_NAME: &str = "(other)";

#[cfg(test)]
mod tests {
    use super::*;

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
