//! Spawning with the current context.

use std::future::Future;

use throughline_core::FutureExt;
use throughline_core::thread::in_current_context;
use tokio::task::JoinHandle;

/// [`tokio::spawn`], with the current context current in the task.
///
/// # Panics
///
/// As `tokio::spawn` does, outside of a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future.in_current_context())
}

/// [`tokio::task::spawn_local`], with the current context current in the task.
///
/// # Panics
///
/// As `tokio::task::spawn_local` does, outside of a `LocalSet`.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    tokio::task::spawn_local(future.in_current_context())
}

/// [`tokio::task::spawn_blocking`], with the current context current in the closure.
///
/// # Panics
///
/// As `tokio::task::spawn_blocking` does, outside of a runtime.
#[track_caller]
pub fn spawn_blocking<F, R>(work: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    tokio::task::spawn_blocking(in_current_context(work))
}
