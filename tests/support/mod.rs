//! What the torture tests, their child processes and the soak share.

pub mod faults;
pub mod inv;
pub mod load;
pub mod process;
pub mod runtimes;
