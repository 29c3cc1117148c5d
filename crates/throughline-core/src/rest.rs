//! What a context says beside its identifiers, in one word.
//!
//! A context is moved about with every message. A copy that is written in parts and read as a whole makes the processor
//! wait until the parts have reached the cache, at each move; one word does not.

use crate::id::TraceFlags;

/// The number of the recorder, the flags, the hops, and whether the span runs in another process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest(u64);

impl Rest {
    #[inline(always)]
    pub(crate) const fn new(recorder: u32, flags: TraceFlags, is_remote: bool) -> Self {
        Self(recorder as u64 | (flags.to_u8() as u64) << FLAGS | (is_remote as u64) << REMOTE)
    }

    #[inline(always)]
    pub(crate) const fn recorder(self) -> u32 {
        self.0 as u32
    }

    #[inline(always)]
    pub(crate) const fn flags(self) -> TraceFlags {
        TraceFlags::from_u8((self.0 >> FLAGS) as u8)
    }

    #[inline(always)]
    pub(crate) const fn hops(self) -> u8 {
        (self.0 >> HOPS) as u8
    }

    #[inline(always)]
    pub(crate) const fn is_remote(self) -> bool {
        self.0 >> REMOTE != 0
    }

    #[inline(always)]
    pub(crate) const fn in_recorder(self, recorder: u32) -> Self {
        Self(self.0 & !(u32::MAX as u64) | recorder as u64)
    }

    #[inline(always)]
    pub(crate) const fn with_hops(self, hops: u8) -> Self {
        Self(self.0 & !(0xff << HOPS) | (hops as u64) << HOPS)
    }

    /// The same of a span in this process.
    #[inline(always)]
    pub(crate) const fn local(self) -> Self {
        Self(self.0 & !(1 << REMOTE))
    }
}

const FLAGS: u32 = 32;
const HOPS: u32 = 40;
const REMOTE: u32 = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_leaves_the_others_alone() {
        let all = TraceFlags::SAMPLED.to_u8() | TraceFlags::RANDOM.to_u8();
        for (recorder, flags, hops, is_remote) in [
            (0, 0, 0, false),
            (u32::MAX, all, u8::MAX, true),
            (7, 1, 255, false),
            (1 << 31, 2, 1, true),
        ] {
            let flags = TraceFlags::from_u8(flags);
            let rest = Rest::new(!recorder, flags, is_remote).with_hops(!hops);
            let rest = rest.in_recorder(recorder).with_hops(hops);
            assert_eq!(
                (rest.recorder(), rest.flags(), rest.hops(), rest.is_remote()),
                (recorder, flags, hops, is_remote)
            );
            let local = rest.local();
            assert_eq!(
                (
                    local.recorder(),
                    local.flags(),
                    local.hops(),
                    local.is_remote()
                ),
                (recorder, flags, hops, false)
            );
        }
    }
}
