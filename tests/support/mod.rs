//! What the torture tests, their child processes and the soak share, and how large the others' runs are.

use std::env;

pub mod faults;
pub mod inv;
pub mod load;
pub mod process;
pub mod runtimes;

/// Whether `TORTURE=long` asks for the large numbers.
pub fn is_long() -> bool {
    env::var_os("TORTURE").is_some_and(|value| value == "long")
}
