//! Names that a program gives its channels and projections, and what is kept for each.
//!
//! A name, once seen with a kind, is kept for the life of the process, since messages and handles point at what belongs to
//! it. Past [`MAX_NAMES`] names, new ones share one place. The lock is taken where something is made and where somebody
//! looks at all of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What is kept for each name, and for each kind of what has it.
pub(crate) struct Names<V: 'static> {
    known: Mutex<BTreeMap<Name, &'static V>>,
    overflow: &'static V,
}

/// A name and a kind.
type Name = (&'static str, &'static str);

impl<V> Names<V> {
    pub(crate) const fn new(overflow: &'static V) -> Self {
        Self {
            known: Mutex::new(BTreeMap::new()),
            overflow,
        }
    }

    /// What is kept for the name and the kind; `make` makes it, of the name as it is kept.
    pub(crate) fn find(
        &self,
        name: &str,
        kind: &'static str,
        make: impl FnOnce(&'static str) -> V,
    ) -> &'static V {
        let name = &name[..name.floor_char_boundary(MAX_NAME_BYTES)];
        if name == OVERFLOW_NAME {
            return self.overflow;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&(name, kind)) {
            return found;
        }
        if known.len() >= MAX_NAMES {
            return self.overflow;
        }
        // Bounded by the two limits.
        let name: &'static str = Box::leak(name.into());
        let made: &'static V = Box::leak(Box::new(make(name)));
        known.insert((name, kind), made);
        made
    }

    /// Everything that has a name of its own, in the order of the names, and at last what the others share.
    pub(crate) fn all(&self) -> Vec<(&'static str, &'static V)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let all = known.iter().map(|(&(name, _), &value)| (name, value));
        all.chain([(OVERFLOW_NAME, self.overflow)]).collect()
    }
}

/// Names, each with a kind, that are kept.
pub(crate) const MAX_NAMES: usize = 1024;
/// Bytes of a name; the rest is cut off.
pub(crate) const MAX_NAME_BYTES: usize = 256;
/// What names past [`MAX_NAMES`] are called.
pub(crate) const OVERFLOW_NAME: &str = "(other)";
