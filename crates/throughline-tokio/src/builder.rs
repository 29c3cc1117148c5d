//! Named tasks with the context that was current where each was spawned.

use std::future::Future;
use std::io;

use throughline_core::FutureExt;
use throughline_core::thread::in_current_context;
use tokio::runtime::Handle;
use tokio::task::{self, JoinHandle, LocalSet};

/// [`tokio::task::Builder`], whose tasks have the current context.
///
/// Like Tokio's it exists under `--cfg tokio_unstable` only, with Tokio's own feature `tracing`, which this crate's
/// `task-builder` turns on.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let task = throughline_tokio::Builder::new().name("answers").spawn(async { 42 })?;
/// assert_eq!(task.await?, 42);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder spawns nothing by itself"]
pub struct Builder<'a>(task::Builder<'a>);

impl<'a> Builder<'a> {
    /// [`tokio::task::Builder::new`].
    pub fn new() -> Self {
        Self::default()
    }

    /// [`tokio::task::Builder::name`].
    pub fn name(&self, name: &'a str) -> Self {
        Self(self.0.name(name))
    }

    /// [`tokio::task::Builder::spawn`] with the current context.
    ///
    /// # Errors
    ///
    /// As the inner method's.
    ///
    /// # Panics
    ///
    /// As the inner method does, outside of a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future.in_current_context())
    }

    /// [`tokio::task::Builder::spawn_on`] with the current context.
    ///
    /// # Errors
    ///
    /// As the inner method's.
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn_on(future.in_current_context(), handle)
    }

    /// [`tokio::task::Builder::spawn_local`] with the current context.
    ///
    /// # Errors
    ///
    /// As the inner method's.
    ///
    /// # Panics
    ///
    /// As the inner method does, outside of a `LocalSet`.
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.0.spawn_local(future.in_current_context())
    }

    /// [`tokio::task::Builder::spawn_local_on`] with the current context.
    ///
    /// # Errors
    ///
    /// As the inner method's.
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, set: &LocalSet) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.0.spawn_local_on(future.in_current_context(), set)
    }

    /// [`tokio::task::Builder::spawn_blocking`] with the current context.
    ///
    /// # Errors
    ///
    /// As the inner method's.
    ///
    /// # Panics
    ///
    /// As the inner method does, outside of a runtime.
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, work: F) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.0.spawn_blocking(in_current_context(work))
    }

    /// [`tokio::task::Builder::spawn_blocking_on`] with the current context.
    ///
    /// # Errors
    ///
    /// As the inner method's.
    #[track_caller]
    pub fn spawn_blocking_on<F, R>(self, work: F, handle: &Handle) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.0.spawn_blocking_on(in_current_context(work), handle)
    }
}
