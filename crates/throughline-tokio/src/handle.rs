//! A runtime handle whose tasks have the context that was current where each was spawned.

use std::future::Future;
use std::ops::Deref;

use throughline_core::FutureExt;
use throughline_core::thread::in_current_context;
use tokio::runtime::{self, Runtime, TryCurrentError};
use tokio::task::JoinHandle;

/// [`tokio::runtime::Handle`] with spawning methods that carry the current context.
///
/// Everything else (`block_on`, `enter`, `metrics`, …) is the inner handle's own, through `Deref`; `block_on` stays on its
/// thread and so in its context. For a [`Runtime`], spawn on `Handle::from(&runtime)`.
///
/// ```
/// use throughline_tokio::Handle;
///
/// let runtime = tokio::runtime::Runtime::new().unwrap();
/// let task = Handle::from(&runtime).spawn(async { 42 });
/// assert_eq!(runtime.block_on(task).unwrap(), 42);
/// ```
#[derive(Clone, Debug)]
pub struct Handle(runtime::Handle);

impl Handle {
    /// [`tokio::runtime::Handle::current`].
    ///
    /// # Panics
    ///
    /// As the inner method does, outside of a runtime.
    #[track_caller]
    pub fn current() -> Self {
        Self(runtime::Handle::current())
    }

    /// [`tokio::runtime::Handle::try_current`].
    ///
    /// # Errors
    ///
    /// Called outside of a runtime.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        runtime::Handle::try_current().map(Self)
    }

    /// [`tokio::runtime::Handle::spawn`] with the current context.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future.in_current_context())
    }

    /// [`tokio::runtime::Handle::spawn_blocking`] with the current context.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, work: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.0.spawn_blocking(in_current_context(work))
    }

    /// The handle without the spawning methods of this type.
    pub fn into_inner(self) -> runtime::Handle {
        self.0
    }
}

impl Deref for Handle {
    type Target = runtime::Handle;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<runtime::Handle> for Handle {
    fn from(handle: runtime::Handle) -> Self {
        Self(handle)
    }
}

impl From<&Runtime> for Handle {
    fn from(runtime: &Runtime) -> Self {
        Self(runtime.handle().clone())
    }
}
