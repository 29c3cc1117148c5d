//! Labels: what measurements say beside the constant attributes of their callsite, kept once for all of them.
//!
//! Owns the sets of keys and values and their bound. A set that was seen is kept for the life of the process, so that a
//! measurement names it by a number; past the bound all new ones are one set, and no measurement is lost.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// A set of keys and values of low cardinality, by its number.
///
/// ```
/// use throughline_core::Labels;
///
/// let orders = Labels::intern(&[("messaging.destination.name", "orders")]);
/// assert_eq!(orders, Labels::intern(&[("messaging.destination.name", "orders")]));
/// let pairs = orders.pairs();
/// assert_eq!((pairs[0].0, &*pairs[0].1), ("messaging.destination.name", "orders"));
/// assert!(Labels::default().pairs().is_empty());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(u32);

impl Labels {
    /// The set of these, in this order. A value is cut after 256 bytes.
    ///
    /// There are at most 2 000 sets in a process; further ones become one set, `otel.metric.overflow` = `true`, in each
    /// [family](Self::family).
    ///
    /// It takes a lock for a moment, and allocates if the set is new.
    pub fn intern(pairs: &[(&'static str, &str)]) -> Self {
        if pairs.is_empty() {
            return Self::default();
        }
        SETS.get_or_init(Sets::new).intern(pairs)
    }

    /// The keys and values.
    pub fn pairs(self) -> Arc<[(&'static str, Box<str>)]> {
        match self.0.checked_sub(1) {
            None => Arc::default(),
            Some(at) => SETS.get_or_init(Sets::new).get(at).1,
        }
    }

    /// The key that came first when the set was made, also in a set of overflow; empty in the empty set.
    ///
    /// ```
    /// use throughline_core::Labels;
    ///
    /// assert_eq!(Labels::intern(&[("projection.name", "summary")]).family(), "projection.name");
    /// ```
    pub fn family(self) -> &'static str {
        match self.0.checked_sub(1) {
            None => "",
            Some(at) => SETS.get_or_init(Sets::new).get(at).0,
        }
    }

    /// Whether this is a set of overflow, which says nothing but that.
    pub fn is_overflow(self) -> bool {
        self.pairs()
            .first()
            .is_some_and(|(key, _)| *key == OVERFLOW)
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    pub(crate) const fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// The family of a set, and what is in it.
type Set = (&'static str, Arc<[(&'static str, Box<str>)]>);

struct Sets {
    hasher: RandomState,
    kept: RwLock<Kept>,
}

struct Kept {
    /// The numbers of the sets by their hash.
    by_hash: HashMap<u64, Vec<u32>>,
    sets: Vec<Set>,
    /// The sets of overflow: there are as many as first keys, which are written in programs.
    overflows: Vec<Labels>,
}

impl Sets {
    fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            kept: RwLock::new(Kept {
                by_hash: HashMap::new(),
                sets: Vec::new(),
                overflows: Vec::new(),
            }),
        }
    }

    fn intern(&self, pairs: &[(&'static str, &str)]) -> Labels {
        let hash = self.hash(pairs);
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(labels) = kept.find(hash, pairs) {
            return labels;
        }
        let overflow = kept.overflow(pairs);
        drop(kept);
        if let Some(overflow) = overflow {
            return overflow;
        }
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        match kept.find(hash, pairs) {
            Some(labels) => labels,
            None => kept.add(hash, pairs),
        }
    }

    fn hash(&self, pairs: &[(&'static str, &str)]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for (key, value) in pairs {
            (key, cut(value)).hash(&mut hasher);
        }
        hasher.finish()
    }

    fn get(&self, at: u32) -> Set {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.sets.get(at as usize).cloned().unwrap_or_default()
    }
}

impl Kept {
    fn find(&self, hash: u64, pairs: &[(&'static str, &str)]) -> Option<Labels> {
        let same = |at: &&u32| {
            self.sets.get(**at as usize).is_some_and(|(_, set)| {
                set.len() == pairs.len()
                    && set
                        .iter()
                        .zip(pairs)
                        .all(|((key, value), (of_key, of))| key == of_key && **value == *cut(of))
            })
        };
        let at = self.by_hash.get(&hash)?.iter().find(same)?;
        Some(Labels(at + 1))
    }

    fn is_full(&self) -> bool {
        self.sets.len() - self.overflows.len() >= MAX_SETS - 1
    }

    /// The set of overflow of that family, if there is no room and it is there already.
    fn overflow(&self, pairs: &[(&'static str, &str)]) -> Option<Labels> {
        let of = family(pairs);
        let mut overflows = self.overflows.iter().copied();
        overflows
            .find(|overflow| {
                self.sets
                    .get(overflow.0 as usize - 1)
                    .is_some_and(|set| set.0 == of)
            })
            .filter(|_| self.is_full())
    }

    fn add(&mut self, hash: u64, pairs: &[(&'static str, &str)]) -> Labels {
        if let Some(overflow) = self.overflow(pairs) {
            return overflow;
        }
        let is_full = self.is_full();
        let at = self.sets.len() as u32;
        let labels = Labels(at + 1);
        if is_full {
            self.sets
                .push((family(pairs), Arc::new([(OVERFLOW, "true".into())])));
            self.overflows.push(labels);
        } else {
            let set = pairs.iter().map(|(key, value)| (*key, cut(value).into()));
            self.sets.push((family(pairs), set.collect()));
            self.by_hash.entry(hash).or_default().push(at);
        }
        labels
    }
}

fn family(pairs: &[(&'static str, &str)]) -> &'static str {
    pairs.first().map_or("", |(key, _)| key)
}

fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(MAX_VALUE_BYTES)]
}

static SETS: OnceLock<Sets> = OnceLock::new();
/// Sets that are kept, with one of overflow.
const MAX_SETS: usize = 2_000;
/// Bytes of a value; the rest is cut off.
const MAX_VALUE_BYTES: usize = 256;
/// The key of what stands for sets that were not kept, by the specification of OpenTelemetry's SDKs.
const OVERFLOW: &str = "otel.metric.overflow";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_kept_once_and_bounded() {
        let sets = Sets::new();
        let named = |name: &str| sets.intern(&[("name", name), ("system", "kafka")]);
        let first = named("first");
        assert_eq!(first, named("first"));
        assert_ne!(
            first,
            sets.intern(&[("system", "kafka"), ("name", "first")])
        );
        let all: std::collections::HashSet<_> = (0..10_000)
            .map(|number| named(&number.to_string()))
            .collect();
        // Two were there before, and the set of overflow is one of the bound.
        assert_eq!(all.len(), MAX_SETS - 2);
        let overflow = named("10001");
        assert!(all.contains(&overflow));
        assert_eq!(first, named("first"), "what was known stays");
        let (family, overflow) = sets.get(overflow.0 - 1);
        assert_eq!((family, overflow.len()), ("name", 1));
        assert_eq!((overflow[0].0, &*overflow[0].1), (OVERFLOW, "true"));
        let other = sets.intern(&[("topic", "orders")]);
        assert_eq!(sets.get(other.0 - 1).0, "topic");
        assert_eq!(other, sets.intern(&[("topic", "bills")]));
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let sets = Sets::new();
        let long = "é".repeat(1_000);
        let labels = sets.intern(&[("name", &long)]);
        assert_eq!(sets.get(labels.0 - 1).1[0].1.len(), MAX_VALUE_BYTES);
        assert_eq!(labels, sets.intern(&[("name", &long)]));
    }
}
