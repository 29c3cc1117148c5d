//! How many attributes an open span has, and which keys they may have.

use throughline_wire::Key;

/// A count, and a mark for each key: a key whose mark is missing is not there.
///
/// Both lie in one word, which each attribute writes once. A processor that reads a word of which a part was just written
/// has to wait for the write, and each further word costs every attribute a nanosecond.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attributes(u64);

impl Attributes {
    /// The largest count that is kept.
    pub(super) const MOST: u32 = COUNT as u32;

    #[inline(always)]
    pub(super) const fn count(self) -> u32 {
        (self.0 & COUNT) as u32
    }

    /// The marks of all keys.
    #[inline(always)]
    pub(super) const fn marks(self) -> u64 {
        self.0 & !COUNT
    }

    /// Adds the mark of a key, and one to the count if the attribute was recorded; there is room for it.
    #[inline(always)]
    pub(super) const fn add(&mut self, recorded: bool, mark: u64) {
        self.0 = (self.0 + recorded as u64) | mark;
    }

    /// Adds the marks of keys.
    #[inline(always)]
    pub(super) const fn mark(&mut self, marks: u64) {
        self.0 |= marks;
    }

    /// Replaces the count, up to the [most](Self::MOST).
    #[inline(always)]
    pub(super) const fn set_count(&mut self, count: u32) {
        let count = if count > Self::MOST {
            Self::MOST
        } else {
            count
        };
        self.0 = self.marks() | count as u64;
    }
}

/// The bits that no key's mark takes.
const COUNT: u64 = !Key::MARKS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_leaves_the_marks_alone() {
        let mut attributes = Attributes::default();
        let [one, other] = ["order.id", "order.items"].map(|key| Key::mark_of(key.as_bytes()));
        attributes.add(true, one);
        attributes.add(false, other);
        assert_eq!((attributes.count(), attributes.marks()), (1, one | other));
        attributes.set_count(u32::MAX);
        assert_eq!(attributes.count(), Attributes::MOST);
        assert_eq!(attributes.marks(), one | other);
        attributes.set_count(0);
        assert_eq!((attributes.count(), attributes.marks()), (0, one | other));
    }
}
