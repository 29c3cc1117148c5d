//! The small parts of a receiver's policy, in one word.

use crate::relation::{Relation, Starts};

/// All of a policy that is small, in one word: each message that is received gets a copy of its receiver's, and what is
/// moved in words costs the fewest of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules(u64);

impl Rules {
    #[inline]
    pub(crate) const fn new(
        relation: Relation,
        starts: Starts,
        max_hops: u8,
        max_spans: u32,
    ) -> Self {
        Self(
            max_spans as u64
                | (max_hops as u64) << HOPS
                | (relation as u64) << RELATION
                | (starts as u64) << STARTS,
        )
    }

    #[inline]
    pub(crate) const fn relation(self) -> Relation {
        Relation::from_number((self.0 >> RELATION) as u8)
    }

    pub(crate) const fn starts(self) -> Starts {
        Starts::from_number((self.0 >> STARTS) as u8)
    }

    #[inline]
    pub(crate) const fn max_hops(self) -> u8 {
        (self.0 >> HOPS) as u8
    }

    pub(crate) const fn max_spans(self) -> u32 {
        self.0 as u32
    }
}

const HOPS: u32 = 32;
const RELATION: u32 = 40;
const STARTS: u32 = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_leaves_the_others_alone() {
        for relation in [
            Relation::Auto,
            Relation::Child,
            Relation::Link,
            Relation::Root,
        ] {
            for starts in [Starts::Nothing, Starts::Messages, Starts::Everything] {
                for (hops, spans) in [(0, 0), (u8::MAX, u32::MAX), (1, 7)] {
                    let rules = Rules::new(relation, starts, hops, spans);
                    assert_eq!(
                        (
                            rules.relation(),
                            rules.starts(),
                            rules.max_hops(),
                            rules.max_spans()
                        ),
                        (relation, starts, hops, spans)
                    );
                }
            }
        }
    }
}
