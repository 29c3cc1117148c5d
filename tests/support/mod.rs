//! What the binaries of tests, their child processes and the soak share.

pub mod faults;
pub mod inv;
pub mod kafka;
pub mod load;
pub mod process;
pub mod runtimes;
pub mod server;
pub mod size;
