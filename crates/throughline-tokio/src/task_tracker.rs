//! A task tracker whose tasks have the context that was current where each was spawned.

use std::future::Future;
use std::ops::Deref;

use throughline_core::FutureExt;
use throughline_core::thread::in_current_context;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, LocalSet};
use tokio_util::task;

/// [`tokio_util::task::TaskTracker`] with spawning methods that carry the current context.
///
/// Everything else (`close`, `wait`, `track_future`, …) is the inner tracker's own, through `Deref`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let tasks = throughline_tokio::TaskTracker::new();
/// tasks.spawn(async {});
/// tasks.close();
/// tasks.wait().await;
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct TaskTracker(task::TaskTracker);

impl TaskTracker {
    /// A tracker of no tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// [`tokio_util::task::TaskTracker::spawn`] with the current context.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future.in_current_context())
    }

    /// [`tokio_util::task::TaskTracker::spawn_on`] with the current context.
    #[track_caller]
    pub fn spawn_on<F>(&self, future: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn_on(future.in_current_context(), handle)
    }

    /// [`tokio_util::task::TaskTracker::spawn_local`] with the current context.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.0.spawn_local(future.in_current_context())
    }

    /// [`tokio_util::task::TaskTracker::spawn_local_on`] with the current context.
    #[track_caller]
    pub fn spawn_local_on<F>(&self, future: F, local_set: &LocalSet) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.0
            .spawn_local_on(future.in_current_context(), local_set)
    }

    /// [`tokio_util::task::TaskTracker::spawn_blocking`] with the current context.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.0.spawn_blocking(in_current_context(work))
    }

    /// [`tokio_util::task::TaskTracker::spawn_blocking_on`] with the current context.
    #[track_caller]
    pub fn spawn_blocking_on<F, T>(&self, work: F, handle: &Handle) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.0.spawn_blocking_on(in_current_context(work), handle)
    }

    /// The tracker without the spawning methods of this type.
    pub fn into_inner(self) -> task::TaskTracker {
        self.0
    }
}

impl Deref for TaskTracker {
    type Target = task::TaskTracker;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
