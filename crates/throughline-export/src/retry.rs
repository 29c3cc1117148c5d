//! When to try again: backoff with full jitter, and what `Retry-After` asks for.
//!
//! Everything here is a pure function of its arguments: time and chance come in
//! from [`crate::deliver`], which does the waiting.

use std::time::{Duration, SystemTime};

use crate::exporter::ExportError;

/// The upper bound of the first wait.
pub(crate) const INITIAL_BACKOFF: Duration = Duration::from_secs(1);

/// The upper bound of every wait that the other side did not ask for.
pub(crate) const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// The longest wait that the other side can ask for.
pub(crate) const MAX_THROTTLE: Duration = Duration::from_secs(300);

/// How much later than asked a throttled batch may be sent, as a share of the
/// wait, so that clients that were throttled together do not return together.
const THROTTLE_JITTER: f64 = 0.05;

/// Exponential backoff of one batch.
///
/// Each wait is drawn uniformly from zero to a bound that doubles up to
/// [`MAX_BACKOFF`]. The draw comes after the bound, so the jitter does not fade
/// once the bound is reached.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    doublings: u32,
}

impl Backoff {
    /// The next wait; `chance` lies in `0.0..1.0`.
    pub(crate) fn next(&mut self, chance: f64) -> Duration {
        let factor = 1_u32.checked_shl(self.doublings).unwrap_or(u32::MAX);
        self.doublings = self.doublings.saturating_add(1);
        let bound = INITIAL_BACKOFF.saturating_mul(factor).min(MAX_BACKOFF);
        bound.mul_f64(chance)
    }
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Send the batch again after this long.
    Wait(Duration),
    /// Count the batch as failed.
    GiveUp,
}

/// The circumstances of a failed attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// The time left until the batch must be done with.
    pub(crate) remaining: Duration,
    /// Whether the pipeline is shutting down.
    pub(crate) closing: bool,
    /// A random number in `0.0..1.0`.
    pub(crate) chance: f64,
}

/// Decides about the next attempt. A wait that would outlast the deadline is not
/// begun, since nothing could come after it.
pub(crate) fn decide(error: &ExportError, backoff: &mut Backoff, now: Circumstances) -> Decision {
    if !error.is_transient() || (now.closing && error.is_unreachable()) {
        return Decision::GiveUp;
    }
    let wait = match asked_wait(error) {
        Some(asked) => throttle(asked, now.chance),
        None => backoff.next(now.chance),
    };
    if wait < now.remaining {
        Decision::Wait(wait)
    } else {
        Decision::GiveUp
    }
}

/// How long the other side asked to be left alone. To ask for no wait at all is to
/// ask for nothing: repeating at once, over and over, would help nobody.
pub(crate) fn asked_wait(error: &ExportError) -> Option<Duration> {
    error.retry_after().filter(|asked| !asked.is_zero())
}

/// The wait that honours a request to be left alone for `asked`.
pub(crate) fn throttle(asked: Duration, chance: f64) -> Duration {
    let wait = asked.min(MAX_THROTTLE);
    wait + wait.mul_f64(THROTTLE_JITTER * chance)
}

/// Reads a `Retry-After` value: seconds, or a date that is compared with `now`.
///
/// A date in the past means no wait, a number too large to hold means the longest
/// one, and anything else is ignored.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Whether an HTTP status says that the same request may succeed later.
pub(crate) fn is_transient_status(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Circumstances = Circumstances {
        remaining: Duration::MAX,
        closing: false,
        chance: 0.5,
    };

    #[test]
    fn the_bound_doubles_up_to_the_cap_and_the_jitter_stays() {
        let almost_one = 1.0 - f64::EPSILON;
        let mut backoff = Backoff::default();
        let bounds: Vec<f64> = (0..5)
            .map(|_| backoff.next(almost_one).as_secs_f64().round())
            .collect();
        assert_eq!(bounds, [1.0, 2.0, 4.0, 5.0, 5.0]);
        for _ in 0..1000 {
            assert!(backoff.next(almost_one) <= MAX_BACKOFF);
        }
        assert_eq!(backoff.next(0.0), Duration::ZERO);
        assert_eq!(backoff.next(0.5), MAX_BACKOFF / 2);
    }

    #[test]
    fn exporters_cut_off_together_do_not_return_together() {
        let mut chance = fastrand::Rng::with_seed(7);
        let mut bins = std::collections::BTreeMap::<u128, u32>::new();
        for _ in 0..1000 {
            let (mut backoff, mut at) = (Backoff::default(), Duration::ZERO);
            while at < Duration::from_secs(30) {
                at += backoff.next(chance.f64());
                *bins.entry(at.as_millis() / 100).or_default() += 1;
            }
        }
        let all: u32 = bins.values().sum();
        let fullest = bins.values().max().unwrap();
        assert!(fullest * 20 < all, "{fullest} of {all} attempts in one bin");
    }

    #[test]
    fn retry_after_values() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (value, expected) in [
            ("0", seconds(0)),
            ("1", seconds(1)),
            (" 120 ", seconds(120)),
            ("1000000000000000000000000000000", seconds(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", seconds(60)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", seconds(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", seconds(0)),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
            ("1; 2", None),
        ] {
            assert_eq!(retry_after(value, now), expected, "{value}");
        }
    }

    #[test]
    fn a_throttled_wait_is_as_long_as_asked_and_bounded() {
        for asked in [0, 1, 120, 299, 300] {
            let asked = Duration::from_secs(asked);
            for chance in [0.0, 0.3, 0.999] {
                let wait = throttle(asked, chance);
                assert!(
                    wait >= asked && wait <= asked.mul_f64(1.1),
                    "{asked:?} {wait:?}"
                );
            }
        }
        assert!(throttle(Duration::MAX, 0.999) <= MAX_THROTTLE.mul_f64(1.1));
    }

    #[test]
    fn decisions() {
        let wait = |seconds| Decision::Wait(Duration::from_secs_f64(seconds));
        let decide = |error: &ExportError, now| decide(error, &mut Backoff::default(), now);
        let transient = ExportError::transient("503", "");
        let unreachable = ExportError::unreachable("connect", "");
        let permanent = ExportError::permanent("400", "");
        let asked = ExportError::transient("429", "").with_retry_after(Duration::from_secs(10));

        assert_eq!(decide(&transient, CALM), wait(0.5));
        assert_eq!(decide(&unreachable, CALM), wait(0.5));
        assert_eq!(decide(&permanent, CALM), Decision::GiveUp);
        assert_eq!(decide(&asked, CALM), wait(10.25));
        let at_once = ExportError::transient("429", "").with_retry_after(Duration::ZERO);
        assert_eq!(decide(&at_once, CALM), wait(0.5));

        let closing = Circumstances {
            closing: true,
            ..CALM
        };
        assert_eq!(decide(&transient, closing), wait(0.5));
        assert_eq!(decide(&unreachable, closing), Decision::GiveUp);

        let short = Circumstances {
            remaining: Duration::from_millis(400),
            ..CALM
        };
        assert_eq!(decide(&transient, short), Decision::GiveUp);
        assert_eq!(decide(&asked, short), Decision::GiveUp);
    }

    #[test]
    fn statuses_that_may_pass() {
        let transient: Vec<u16> = (100..600).filter(|&s| is_transient_status(s)).collect();
        assert_eq!(transient, [429, 502, 503, 504]);
    }
}
