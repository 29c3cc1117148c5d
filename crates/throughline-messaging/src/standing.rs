//! What is counted of projections, by their name: how many there are and how many events they passed over. The counters are
//! relaxed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::names::{Names, OVERFLOW_NAME};

/// The counts of the projections of one name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProjectionStats {
    /// The name, cut after 256 bytes.
    pub name: &'static str,
    /// How many there are: made and not dropped.
    pub live: u64,
    /// Events that they passed over, replays left aside.
    pub skipped: u64,
}

/// The counts of every projection's name so far, in the order of the names.
///
/// ```
/// use throughline_messaging::{Projection, projection_stats};
///
/// let thumbnails = Projection::new("thumbnails");
/// thumbnails.skip();
/// Projection::new("thumbnails").skip();
/// let stats = projection_stats().into_iter().find(|projection| projection.name == "thumbnails");
/// let stats = stats.unwrap();
/// assert_eq!((stats.live, stats.skipped), (1, 2));
/// ```
#[must_use]
pub fn projection_stats() -> Vec<ProjectionStats> {
    let all = NAMES
        .all()
        .into_iter()
        .map(|(name, standing)| ProjectionStats {
            name,
            live: standing.live.load(Ordering::Relaxed),
            skipped: standing.skipped.load(Ordering::Relaxed),
        });
    let used =
        all.filter(|stats| stats.live > 0 || stats.skipped > 0 || stats.name != OVERFLOW_NAME);
    used.collect()
}

/// What the projections of one name have in common.
#[derive(Debug)]
pub(crate) struct Standing {
    name: &'static str,
    live: AtomicU64,
    skipped: AtomicU64,
}

impl Standing {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            live: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        }
    }

    /// That of the projections of that name.
    pub(crate) fn of(name: &str) -> &'static Self {
        NAMES.find(name, "", Self::new)
    }

    /// One projection more.
    pub(crate) fn live(&'static self) -> Live {
        self.live.fetch_add(1, Ordering::Relaxed);
        Live(self)
    }
}

/// A projection that counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Live(&'static Standing);

impl Live {
    pub(crate) const fn name(&self) -> &'static str {
        self.0.name
    }

    pub(crate) fn skip(&self) {
        self.0.skipped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

static NAMES: Names<Standing> = Names::new(&OVERFLOW);
static OVERFLOW: Standing = Standing::new(OVERFLOW_NAME);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{MAX_NAME_BYTES, MAX_NAMES};

    // One test, since it fills the registry of the process.
    #[test]
    fn names_are_cut_and_bounded() {
        let first = Standing::of("skips: first");
        assert!(std::ptr::eq(first, Standing::of("skips: first")));
        let long = "é".repeat(1_000);
        Standing::of(&long);
        for number in 0..=MAX_NAMES {
            Standing::of(&format!("skips: {number}")).live().skip();
        }
        let live = first.live();
        live.skip();
        let all = projection_stats();
        assert_eq!(all.len(), MAX_NAMES + 1, "and what they share");
        assert!(all.iter().all(|stats| stats.name.len() <= MAX_NAME_BYTES));
        let of = |name: &str| all.iter().find(|stats| stats.name == name);
        let first = of("skips: first").expect("it has a name");
        assert_eq!((first.live, first.skipped), (1, 1));
        let others = of(OVERFLOW_NAME).expect("too many names");
        assert_eq!(others.live, 0);
        assert!(others.skipped >= 2);
    }
}
