//! How much a test does: enough to see it work, or as much as the claim is about.

use std::env;

/// Whether the full numbers are wanted: `TORTURE=long` in the environment.
#[must_use]
pub fn is_long() -> bool {
    env::var_os("TORTURE").is_some_and(|value| value == "long")
}

/// A size: of the short form without optimisation, of the short form, of the long one.
#[must_use]
pub fn size(debug: u64, short: u64, long: u64) -> u64 {
    if is_long() {
        long
    } else if cfg!(debug_assertions) {
        debug
    } else {
        short
    }
}
