//! Receivers that fail at random, the same way for the same seed.

use std::time::Duration;

use fastrand::Rng;
use throughline::testing::{ReceivedRequest, Response};

/// Answers late, with 503 or 429, or not at all, about once in `one_in` requests; well otherwise.
///
/// No answer is lost that acknowledges anything, so that the account stays exact.
pub fn unreliable(
    seed: u64,
    one_in: u32,
) -> impl FnMut(&ReceivedRequest) -> Option<Response> + Send + 'static {
    let mut chance = Rng::with_seed(seed);
    move |_| {
        if chance.u32(0..one_in) != 0 {
            return None;
        }
        Some(match chance.u32(0..6) {
            0 => Response::new(503),
            1 => Response::new(429),
            2 => Response::reset(),
            3 => Response::drop_connection(),
            4 => Response::new(400).body("no"),
            _ => Response::ok().delay(Duration::from_millis(chance.u64(1..200))),
        })
    }
}
