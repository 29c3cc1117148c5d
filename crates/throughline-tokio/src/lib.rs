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
//!
//! `tokio::task::block_in_place` needs no wrapper: the closure runs on the thread that calls it, in its context. In a
//! program built with `--cfg tokio_unstable`, a runtime of [`runtime::Builder`] carries the context into every task,
//! whoever spawns it.
#![forbid(unsafe_code)]

#[cfg(all(tokio_unstable, feature = "task-builder"))]
mod builder;
mod handle;
mod join_set;
mod local_set;
mod per_item;
pub mod runtime;
mod spawn;
#[cfg(feature = "tokio-util")]
mod task_tracker;

#[cfg(all(tokio_unstable, feature = "task-builder"))]
pub use builder::Builder;
pub use handle::Handle;
pub use join_set::JoinSet;
pub use local_set::LocalSet;
pub use per_item::{EachInSpan, EachSendInSpan, SinkExt, StreamExt};
#[doc(hidden)]
pub use runtime::Runtime;
pub use spawn::{spawn, spawn_blocking, spawn_local};
#[cfg(feature = "tokio-util")]
pub use task_tracker::TaskTracker;
