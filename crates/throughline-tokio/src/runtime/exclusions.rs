//! Which tasks do not inherit a context, by the place that spawns them.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// Whether a task that is spawned there is left out.
type Predicate = dyn Fn(&'static Location<'static>) -> bool + Send + Sync;

/// Places whose tasks outlive whatever was current when they were spawned.
#[derive(Clone)]
pub(crate) struct Exclusions {
    patterns: Vec<String>,
    predicates: Vec<Arc<Predicate>>,
}

impl Exclusions {
    pub(crate) fn none() -> Self {
        Self {
            patterns: Vec::new(),
            predicates: Vec::new(),
        }
    }

    pub(crate) fn add_pattern(&mut self, pattern: &str) {
        self.patterns.push(pattern.to_owned());
    }

    pub(crate) fn add_predicate(&mut self, predicate: Arc<Predicate>) {
        self.predicates.push(predicate);
    }

    /// Whether tasks spawned there are left out.
    #[cfg_attr(
        not(any(tokio_unstable, test)),
        expect(dead_code, reason = "only the task hooks ask")
    )]
    pub(crate) fn exclude(&self, place: &'static Location<'static>) -> bool {
        self.patterns
            .iter()
            .any(|pattern| matches(place.file(), pattern))
            || self.predicates.iter().any(|excludes| excludes(place))
    }
}

impl Default for Exclusions {
    fn default() -> Self {
        Self {
            patterns: BACKGROUND.iter().map(|&name| name.to_owned()).collect(),
            predicates: Vec::new(),
        }
    }
}

impl fmt::Debug for Exclusions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exclusions")
            .field("patterns", &self.patterns)
            .field("predicates", &self.predicates.len())
            .finish()
    }
}

/// Whether the path of a source file has the folders of `pattern` in it, one after the other. The first of them may be
/// followed by a version, as a crate's folder in the registry's cache is.
fn matches(file: &str, pattern: &str) -> bool {
    let separators = ['/', '\\'];
    let mut rest = file;
    loop {
        if starts_with(rest.split(separators), pattern.split(separators)) {
            return true;
        }
        match rest.find(separators) {
            Some(at) => rest = &rest[at + 1..],
            None => return false,
        }
    }
}

fn starts_with<'a>(
    mut folders: impl Iterator<Item = &'a str>,
    mut pattern: impl Iterator<Item = &'a str>,
) -> bool {
    let (Some(folder), Some(name)) = (folders.next(), pattern.next()) else {
        return false;
    };
    let version = folder.strip_prefix(name);
    let is_it = version.is_some_and(|version| {
        version.is_empty()
            || version
                .strip_prefix('-')
                .is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
    });
    is_it && !name.is_empty() && pattern.all(|name| folders.next() == Some(name))
}

/// Connections, pools and clients whose background tasks are spawned by whichever request comes first.
const BACKGROUND: [&str; 13] = [
    "async-nats",
    "bb8",
    "deadpool",
    "deadpool-postgres",
    "deadpool-runtime",
    "h2",
    "hyper-util",
    "lapin",
    "mongodb",
    "redis",
    "sqlx-core",
    "tonic/src/transport",
    "tower/src/buffer",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_folders_and_versions() {
        let cache = "/home/me/.cargo/registry/src/mirror-1/hyper-util-0.1.21/src/rt/tokio.rs";
        for (file, pattern, expected) in [
            (cache, "hyper-util", true),
            (cache, "hyper-util/src/rt", true),
            (cache, "hyper-util/src/client", false),
            (cache, "hyper", false),
            (cache, "util", false),
            (cache, "", false),
            ("vendor/bb8/src/inner.rs", "bb8", true),
            ("src\\jobs\\pool.rs", "src/jobs", true),
            ("src/jobs.rs", "src/jobs.rs", true),
            ("src/jobs.rs", "src/jobs", false),
            ("", "src", false),
        ] {
            assert_eq!(matches(file, pattern), expected, "{pattern} in {file}");
        }
    }

    #[test]
    fn places_are_excluded_by_either_rule() {
        let here = Location::caller();
        let mut exclusions = Exclusions::default();
        assert!(!exclusions.exclude(here));
        exclusions.add_predicate(Arc::new(|place| place.line() == 1));
        assert!(!exclusions.exclude(here));
        exclusions.add_pattern("src/runtime");
        assert!(exclusions.exclude(here));
        assert!(!Exclusions::none().exclude(here));
    }
}
