//! Threads that start with the context that is current where they are spawned.
//!
//! The names and signatures are those of [`std::thread`]. A thread carries a [`Context`], never a span, so a thread that
//! is not joined does not hold its parent open.
//!
//! ```
//! use throughline_core::{Context, thread};
//!
//! let here = Context::current();
//! let there = thread::spawn(Context::current).join().unwrap();
//! assert_eq!(here, there);
//! ```

use std::io;
use std::thread::{self, JoinHandle, ScopedJoinHandle};

use crate::context::Context;

/// [`std::thread::spawn`], with the current context current in the thread.
///
/// # Panics
///
/// As `std::thread::spawn` does, if the system refuses the thread.
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    thread::spawn(in_current_context(f))
}

/// [`std::thread::scope`], with a [`Scope`] whose threads start with the context that is current where each is spawned.
///
/// The scope is passed by value; threads that spawn others into it are closures with `move`.
///
/// # Panics
///
/// As `std::thread::scope` does, if a thread panicked that was not joined.
///
/// ```
/// use throughline_core::thread;
///
/// let numbers = [1, 2];
/// let sum: i32 = thread::scope(|scope| {
///     let halves = numbers.chunks(1).map(|half| scope.spawn(move || half.iter().sum::<i32>()));
///     halves.map(|half| half.join().unwrap()).sum()
/// });
/// assert_eq!(sum, 3);
/// ```
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(Scope<'scope, 'env>) -> T,
{
    thread::scope(|scope| f(Scope(scope)))
}

/// [`std::thread::Scope`], as [`scope`] hands it out.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'scope, 'env: 'scope>(&'scope thread::Scope<'scope, 'env>);

impl<'scope> Scope<'scope, '_> {
    /// [`std::thread::Scope::spawn`], with the current context current in the thread.
    ///
    /// # Panics
    ///
    /// As `std::thread::Scope::spawn` does, if the system refuses the thread.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.0.spawn(in_current_context(f))
    }
}

/// [`std::thread::Builder`], for threads that start with the context that is current where they are spawned.
///
/// ```
/// use throughline_core::thread::Builder;
///
/// let thread = Builder::new().name("worker".to_owned()).spawn(|| 42)?;
/// assert_eq!(thread.join().unwrap(), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "must eventually spawn the thread"]
pub struct Builder(thread::Builder);

impl Builder {
    /// [`std::thread::Builder::new`].
    #[expect(clippy::new_without_default, reason = "as in the standard library")]
    pub fn new() -> Self {
        Self(thread::Builder::new())
    }

    /// [`std::thread::Builder::name`].
    pub fn name(self, name: String) -> Self {
        Self(self.0.name(name))
    }

    /// [`std::thread::Builder::stack_size`].
    pub fn stack_size(self, size: usize) -> Self {
        Self(self.0.stack_size(size))
    }

    /// [`std::thread::Builder::spawn`], with the current context current in the thread.
    ///
    /// # Errors
    ///
    /// The system refused the thread.
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.0.spawn(in_current_context(f))
    }

    /// [`std::thread::Builder::spawn_scoped`], with the current context current in the thread.
    ///
    /// # Errors
    ///
    /// The system refused the thread.
    pub fn spawn_scoped<'scope, F, T>(
        self,
        scope: Scope<'scope, '_>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.0.spawn_scoped(scope.0, in_current_context(f))
    }
}

impl From<thread::Builder> for Builder {
    fn from(builder: thread::Builder) -> Self {
        Self(builder)
    }
}

/// Wraps a closure so that the context that is current now is current in it, on whatever thread it runs.
///
/// For pools of threads that have no wrapper of their own.
///
/// ```
/// use throughline_core::{Context, thread};
///
/// let here = Context::current();
/// let work = thread::in_current_context(Context::current);
/// assert_eq!(std::thread::spawn(work).join().unwrap(), here);
/// ```
pub fn in_current_context<R>(work: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let context = Context::current();
    move || {
        let _guard = context.attach();
        work()
    }
}
