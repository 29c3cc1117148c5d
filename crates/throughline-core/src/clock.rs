//! The clock: ticks for recording, unix nanoseconds for export.
//!
//! Recording reads a raw counter (the time stamp counter where the processor keeps it constant, the monotonic clock
//! otherwise) and stores it as it is. Only the drain turns ticks into wall-clock time, through an [`Anchor`] that it
//! renews, so that a stepped or drifting system clock never makes a negative duration.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use quanta::Clock;

/// A reading of the raw counter. Its unit is the processor's; only differences and [`Anchor`]s give it meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticks(u64);

impl Ticks {
    /// The reading made of a stored number.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The number to store.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Ticks since an earlier reading; zero if `earlier` is the later one.
    #[inline]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

static CLOCK: OnceLock<Clock> = OnceLock::new();

/// The current reading. Costs one counter read, about 10 ns on a virtual machine.
///
/// The first call in a process calibrates the counter, which takes less than a millisecond as a rule; starting a
/// recorder does it ahead of the first span.
#[inline]
pub fn now() -> Ticks {
    Ticks(clock().raw())
}

/// Nanoseconds between two readings; zero if `end` is before `start`.
pub fn nanos_between(start: Ticks, end: Ticks) -> u64 {
    clock().delta_as_nanos(start.0, end.0)
}

/// Turns a number of ticks into nanoseconds.
pub fn ticks_to_nanos(ticks: u64) -> u64 {
    clock().delta_as_nanos(0, ticks)
}

/// The number of ticks that so many nanoseconds take, as near as the counter's rate is known.
pub fn nanos_to_ticks(nanos: u64) -> u64 {
    // A large number of ticks tells the ratio exactly enough; a counter that stands still counts as nanoseconds.
    let ratio = ticks_to_nanos(RATIO_TICKS).max(1);
    let ticks = u128::from(nanos) * u128::from(RATIO_TICKS) / u128::from(ratio);
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

#[inline]
fn clock() -> &'static Clock {
    CLOCK.get_or_init(Clock::new)
}

/// A pair of readings, of the counter and of the system clock, taken together.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    ticks: Ticks,
    unix_nanos: u64,
}

impl Anchor {
    /// Reads both clocks. A system clock before 1970 counts as 1970.
    #[expect(
        clippy::disallowed_methods,
        reason = "the anchor is where wall-clock time enters"
    )]
    pub fn now() -> Self {
        let before = now();
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let after = now();
        let unix_nanos = u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX);
        Self {
            ticks: Ticks(before.0 + after.since(before) / 2),
            unix_nanos,
        }
    }

    /// The unix time in nanoseconds of a reading, saturating at both ends of the range.
    pub fn unix_nanos(&self, at: Ticks) -> u64 {
        if at >= self.ticks {
            self.unix_nanos
                .saturating_add(nanos_between(self.ticks, at))
        } else {
            self.unix_nanos
                .saturating_sub(nanos_between(at, self.ticks))
        }
    }

    /// The reading at a unix time in nanoseconds, saturating where the counter had not begun or will have ended.
    ///
    /// It is as exact as the two clocks agree, so it is meant for times that are not long ago.
    pub fn ticks_at(&self, unix_nanos: u64) -> Ticks {
        let ticks = nanos_to_ticks(self.unix_nanos.abs_diff(unix_nanos));
        Ticks(if unix_nanos >= self.unix_nanos {
            self.ticks.0.saturating_add(ticks)
        } else {
            self.ticks.0.saturating_sub(ticks)
        })
    }

    /// The unix time in nanoseconds at which the anchor was taken.
    pub const fn taken_at_unix_nanos(&self) -> u64 {
        self.unix_nanos
    }

    /// The unix times of a start and an end, with `start <= end` always.
    #[inline]
    pub fn unix_range(&self, start: Ticks, end: Ticks) -> (u64, u64) {
        let start_nanos = self.unix_nanos(start);
        (
            start_nanos,
            start_nanos.saturating_add(nanos_between(start, end)),
        )
    }

    /// Nanoseconds since the anchor was taken; the drain renews an anchor that is older than a second.
    pub fn age_nanos(&self) -> u64 {
        nanos_between(self.ticks, now())
    }
}

const RATIO_TICKS: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_never_negative() {
        let anchor = Anchor::now();
        for (start, end) in [
            (0, 0),
            (5, 1),
            (u64::MAX, 0),
            (0, u64::MAX),
            (anchor.ticks.0, anchor.ticks.0 - 1),
        ] {
            let (from, to) = anchor.unix_range(Ticks(start), Ticks(end));
            assert!(from <= to, "{start}..{end} became {from}..{to}");
        }
    }

    #[test]
    fn an_anchor_agrees_with_the_system_clock() {
        let anchor = Anchor::now();
        let there = anchor.unix_nanos(now());
        let here = Anchor::now().unix_nanos;
        assert!(here.abs_diff(there) < 1_000_000_000, "{here} and {there}");
    }

    #[test]
    fn unix_times_become_ticks_and_back() {
        let anchor = Anchor::now();
        let taken = anchor.taken_at_unix_nanos();
        for at in [
            taken,
            taken + 1_000,
            taken - 1_000,
            taken + 3_600_000_000_000,
            taken - 1_000_000_000,
        ] {
            let back = anchor.unix_nanos(anchor.ticks_at(at));
            assert!(back.abs_diff(at) <= 5_000, "{at} became {back}");
        }
        // Saturates, at least.
        let _ = (anchor.ticks_at(0), anchor.ticks_at(u64::MAX));
    }
}
