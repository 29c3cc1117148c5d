//! Tokio tasks, threads and runtimes that keep their Throughline context.
//!
//! The functions have the names and signatures of Tokio's own and differ in one thing: what runs elsewhere has the
//! context that was current where it was spawned. A task carries a [`Context`](throughline_core::Context), never a
//! span, so that a detached task does not hold its parent open.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let answer = throughline_tokio::spawn(async { 42 }).await;
//! # assert_eq!(answer.unwrap(), 42);
//! # });
//! ```
#![forbid(unsafe_code)]

mod join_set;
mod runtime;
mod spawn;

pub use join_set::JoinSet;
pub use runtime::Runtime;
pub use spawn::{spawn, spawn_blocking, spawn_local};
