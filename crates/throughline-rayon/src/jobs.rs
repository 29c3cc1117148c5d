//! Jobs that start with the context that is current where they are made.

use std::ops::Deref;

use throughline_core::Context;
use throughline_core::thread::in_current_context;

/// [`rayon::join`], with the current context current in both closures.
///
/// # Panics
///
/// As `rayon::join` does, if a closure panicked.
pub fn join<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    rayon::join(in_current_context(a), in_current_context(b))
}

/// [`rayon::spawn`], with the current context current in the job.
pub fn spawn<F>(work: F)
where
    F: FnOnce() + Send + 'static,
{
    rayon::spawn(in_current_context(work));
}

/// [`rayon::scope`], with a [`Scope`] whose jobs have the context that is current where each is spawned.
///
/// # Panics
///
/// As `rayon::scope` does, if a job panicked.
///
/// ```
/// let mut numbers = [1, 2];
/// throughline_rayon::scope(|scope| {
///     for number in &mut numbers {
///         scope.spawn(move |_| *number += 1);
///     }
/// });
/// assert_eq!(numbers, [2, 3]);
/// ```
pub fn scope<'scope, F, R>(work: F) -> R
where
    F: for<'a> FnOnce(Scope<'a, 'scope>) -> R + Send,
    R: Send,
{
    let context = Context::current();
    rayon::scope(move |scope| {
        let _guard = context.attach();
        work(Scope(scope))
    })
}

/// [`rayon::Scope`], as [`scope`] hands it out.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a, 'scope>(&'a rayon::Scope<'scope>);

impl<'scope> Scope<'_, 'scope> {
    /// [`rayon::Scope::spawn`], with the current context current in the job.
    pub fn spawn<F>(self, work: F)
    where
        F: for<'a> FnOnce(Scope<'a, 'scope>) + Send + 'scope,
    {
        let context = Context::current();
        self.0.spawn(move |scope| {
            let _guard = context.attach();
            work(Scope(scope));
        });
    }
}

/// [`rayon::ThreadPool`] whose jobs have the context that is current where each is made.
///
/// Everything else is the inner pool's own, through `Deref`.
///
/// ```
/// let pool = throughline_rayon::ThreadPool::from(rayon::ThreadPoolBuilder::new().num_threads(2).build()?);
/// assert_eq!(pool.install(|| 42), 42);
/// # Ok::<(), rayon::ThreadPoolBuildError>(())
/// ```
#[derive(Debug)]
pub struct ThreadPool(rayon::ThreadPool);

impl ThreadPool {
    /// [`rayon::ThreadPool::install`], with the current context current in the closure. What it splits off has it through
    /// the functions of this crate.
    ///
    /// # Panics
    ///
    /// As the inner method does, if the closure panicked.
    pub fn install<F, R>(&self, work: F) -> R
    where
        F: FnOnce() -> R + Send,
        R: Send,
    {
        self.0.install(in_current_context(work))
    }

    /// [`rayon::ThreadPool::join`], with the current context current in both closures.
    ///
    /// # Panics
    ///
    /// As the inner method does, if a closure panicked.
    pub fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        self.0.join(in_current_context(a), in_current_context(b))
    }

    /// [`rayon::ThreadPool::spawn`], with the current context current in the job.
    pub fn spawn<F>(&self, work: F)
    where
        F: FnOnce() + Send + 'static,
    {
        self.0.spawn(in_current_context(work));
    }

    /// [`rayon::ThreadPool::scope`], as [`scope`].
    ///
    /// # Panics
    ///
    /// As the inner method does, if a job panicked.
    pub fn scope<'scope, F, R>(&self, work: F) -> R
    where
        F: for<'a> FnOnce(Scope<'a, 'scope>) -> R + Send,
        R: Send,
    {
        let context = Context::current();
        self.0.scope(move |scope| {
            let _guard = context.attach();
            work(Scope(scope))
        })
    }
}

impl Deref for ThreadPool {
    type Target = rayon::ThreadPool;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<rayon::ThreadPool> for ThreadPool {
    fn from(pool: rayon::ThreadPool) -> Self {
        Self(pool)
    }
}
