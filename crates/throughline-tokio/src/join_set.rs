//! A join set whose tasks have the context that was current where each was spawned.

use std::future::Future;
use std::ops::{Deref, DerefMut};

use throughline_core::FutureExt;
use throughline_core::thread::in_current_context;
use tokio::runtime::Handle;
use tokio::task::{self, AbortHandle, LocalSet};

/// [`tokio::task::JoinSet`] with spawning methods that carry the current context.
///
/// Everything else (`join_next`, `abort_all`, `len`, …) is the inner set's own, through `Deref`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mut tasks = throughline_tokio::JoinSet::new();
/// tasks.spawn(async { 1 });
/// tasks.spawn(async { 2 });
/// assert_eq!(tasks.join_all().await.iter().sum::<i32>(), 3);
/// # });
/// ```
#[derive(Debug)]
pub struct JoinSet<T>(task::JoinSet<T>);

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self(task::JoinSet::new())
    }

    /// The set without the spawning methods of this type.
    pub fn into_inner(self) -> task::JoinSet<T> {
        self.0
    }
}

impl<T: 'static> JoinSet<T> {
    /// [`tokio::task::JoinSet::spawn`] with the current context.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.0.spawn(future.in_current_context())
    }

    /// [`tokio::task::JoinSet::spawn_on`] with the current context.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.0.spawn_on(future.in_current_context(), handle)
    }

    /// [`tokio::task::JoinSet::spawn_local`] with the current context.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.0.spawn_local(future.in_current_context())
    }

    /// [`tokio::task::JoinSet::spawn_local_on`] with the current context.
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, future: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.0
            .spawn_local_on(future.in_current_context(), local_set)
    }

    /// [`tokio::task::JoinSet::spawn_blocking`] with the current context.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, work: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.0.spawn_blocking(in_current_context(work))
    }

    /// [`tokio::task::JoinSet::spawn_blocking_on`] with the current context.
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, work: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.0.spawn_blocking_on(in_current_context(work), handle)
    }

    /// [`tokio::task::JoinSet::join_all`].
    ///
    /// # Panics
    ///
    /// As the inner method does, if a task panicked.
    pub async fn join_all(self) -> Vec<T> {
        self.0.join_all().await
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for JoinSet<T> {
    type Target = task::JoinSet<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for JoinSet<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = Self::new();
        futures.into_iter().for_each(|future| {
            set.spawn(future);
        });
        set
    }
}
