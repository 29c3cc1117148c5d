//! A local set whose tasks have the context that was current where each was spawned.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use throughline_core::FutureExt;
use tokio::task::{self, JoinHandle};

/// [`tokio::task::LocalSet`] with a `spawn_local` that carries the current context.
///
/// Everything else (`run_until`, `block_on`, `enter`, …) is the inner set's own, through `Deref`: what `run_until` and
/// `block_on` are given is polled by their caller and so in the caller's context. Within the set, spawn with
/// [`spawn_local`](crate::spawn_local).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let local = throughline_tokio::LocalSet::new();
/// let task = local.spawn_local(async { 42 });
/// assert_eq!(local.run_until(task).await.unwrap(), 42);
/// # });
/// ```
#[derive(Debug, Default)]
pub struct LocalSet(task::LocalSet);

impl LocalSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// [`tokio::task::LocalSet::spawn_local`] with the current context.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.0.spawn_local(future.in_current_context())
    }

    /// The set without the spawning method of this type.
    pub fn into_inner(self) -> task::LocalSet {
        self.0
    }
}

impl Deref for LocalSet {
    type Target = task::LocalSet;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Ready when all tasks of the set are.
impl Future for LocalSet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.get_mut().0).poll(cx)
    }
}
