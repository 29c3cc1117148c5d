//! What the binaries of tests, their child processes and the soak share.

pub mod faults;
pub mod inv;
pub mod kafka;
pub mod load;
pub mod process;
pub mod runtimes;
pub mod server;
pub mod size;

/// What installs and runs servers.
const BACKEND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/backends/backend");
