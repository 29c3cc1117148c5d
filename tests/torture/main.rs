//! The torture tests: a fault for each row of the reliability matrix, with the figures that were measured.
//!
//! Each row prints one line, and all of them make the table in `target/torture.md`. The short form takes a minute or
//! two; `TORTURE=long` in the environment takes the numbers of the matrix. `TORTURE_SEED` repeats one seeded run.
//!
//! Rows that measure a time or memory run alone, the others beside each other. Row 21 is a matter of types and
//! lints (`macros/ui`, `context/misuse.rs`); rows 27 and 28 belong to propagation, 30 and later to other suites.
//! Row 26 waits for metrics with attributes of users: there are none whose cardinality could explode.
#![cfg(target_os = "linux")]

mod child_process; // the other side of `child/main.rs`
mod http2; // frames for and against the export over gRPC
mod support; // rows, sizes, pipelines
mod tls_front; // TLS before a receiver that speaks none

mod row_01_conservation;
mod row_02_absent;
mod row_03_black_hole;
mod row_04_statuses;
mod row_05_throttling;
mod row_06_storm;
mod row_07_partial_success;
mod row_08_bombs;
mod row_09_oversize;
mod row_10_lost_answers;
mod row_11_runtimes;
mod row_12_exporters;
mod row_13_flush;
mod row_14_shutdown;
mod row_15_exits;
mod row_16_fork;
mod row_17_resources;
mod row_18_destruction;
mod row_19_cancellation;
mod row_20_unwinding;
mod row_22_clock;
mod row_23_feedback;
mod row_24_hostile_data;
mod row_25_explosions;
mod row_29_reconnect;
mod row_29_tls;
mod row_34_runtime_blocking;

/// Counts the memory of the process, for the rows that have a bound on it.
#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;
