//! The builder of runtimes whose tasks inherit the context.

use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

#[cfg(tokio_unstable)]
use tokio::runtime::TaskMeta;

use super::exclusions::Exclusions;
#[cfg(tokio_unstable)]
use super::hooks::Hooks;

/// [`tokio::runtime::Builder`], for runtimes in automatic mode.
///
/// In a program that is built with `RUSTFLAGS="--cfg tokio_unstable"`, tasks of the runtime inherit the context that is
/// current where they are spawned, also by a bare [`tokio::spawn`] in somebody else's library: it is captured when the
/// task is spawned, current during every poll, and gone when the task is. In every other program this is Tokio's own
/// builder, and `throughline::task::spawn`, or `#[traced]` on the function that spawns, carry the context.
///
/// Tokio has no hooks for `spawn_blocking` and for the tasks of a `LocalSet`: these take the ways of other programs.
/// What a task still owns when its runtime is shut down is dropped outside of its context.
///
/// Tasks that outlive what was current when they were spawned are kept out in two ways. The background tasks of
/// well-known pools and clients ([`exclude`](Self::exclude) adds others) inherit nothing. And any task that gets older
/// than [`max_trace_age`](Self::max_trace_age) starts new traces from then on.
///
/// The methods are Tokio's; [`configure`](Self::configure) reaches those that are not here.
///
/// ```
/// use throughline_tokio::runtime::Builder;
///
/// let runtime = Builder::new_multi_thread()
///     .worker_threads(2)
///     .enable_all()
///     .exclude("my-pool/src/reaper")
///     .build()?;
/// runtime.block_on(async { tokio::spawn(async {}).await })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Builder {
    inner: tokio::runtime::Builder,
    exclusions: Exclusions,
    max_trace_age: Option<Duration>,
    schedule_latency: bool,
    #[cfg(tokio_unstable)]
    hooks: Hooks,
}

impl Builder {
    /// [`tokio::runtime::Builder::new_multi_thread`].
    pub fn new_multi_thread() -> Self {
        Self::from(tokio::runtime::Builder::new_multi_thread())
    }

    /// [`tokio::runtime::Builder::new_current_thread`].
    pub fn new_current_thread() -> Self {
        Self::from(tokio::runtime::Builder::new_current_thread())
    }

    /// Keeps tasks out that are spawned in these source files: `"bb8"`, `"tower/src/buffer"`, `"src/jobs"`.
    ///
    /// A pattern is a run of folders anywhere in the path of the file; the first may be followed by a version, so the
    /// name of a crate stands for all its versions. Excluded are by default: `async-nats`, `bb8`, `deadpool`,
    /// `deadpool-postgres`, `deadpool-runtime`, `h2`, `hyper-util`, `lapin`, `mongodb`, `redis`, `sqlx-core`,
    /// `tonic/src/transport`, `tower/src/buffer`.
    pub fn exclude(&mut self, pattern: &str) -> &mut Self {
        self.exclusions.add_pattern(pattern);
        self
    }

    /// Keeps tasks out that are spawned where `predicate` says so.
    pub fn exclude_if<F>(&mut self, predicate: F) -> &mut Self
    where
        F: Fn(&'static Location<'static>) -> bool + Send + Sync + 'static,
    {
        self.exclusions.add_predicate(Arc::new(predicate));
        self
    }

    /// Forgets the exclusions, those of the default included.
    pub fn exclude_nothing(&mut self) -> &mut Self {
        self.exclusions = Exclusions::none();
        self
    }

    /// How old a task may get before what it does starts new traces: ten minutes by default, `None` for any age.
    ///
    /// It counts from the spawn of the task and is looked at when a poll begins. Spans that are open then keep their
    /// trace, and so do their children.
    pub fn max_trace_age(&mut self, age: impl Into<Option<Duration>>) -> &mut Self {
        self.max_trace_age = age.into();
        self
    }

    /// Whether spans of futures carry `schedule_latency_ns`: how long their tasks were ready to run and had to wait for a
    /// thread, in all polls while the span was open. Default: yes, in automatic mode on 64-bit platforms.
    ///
    /// A long one means that the runtime is busy, or that a task blocks it. Tokio reads the clock when a task is woken and
    /// again when it is polled, which this turns on for every task of the runtime.
    pub fn schedule_latency(&mut self, on: bool) -> &mut Self {
        self.schedule_latency = on;
        self
    }

    /// Calls other methods of Tokio's builder. Task hooks are set on this one, or they are lost.
    pub fn configure(&mut self, f: impl FnOnce(&mut tokio::runtime::Builder)) -> &mut Self {
        f(&mut self.inner);
        self
    }

    /// [`tokio::runtime::Builder::build`].
    ///
    /// # Errors
    ///
    /// The system refused the runtime its threads or its I/O driver.
    pub fn build(&mut self) -> io::Result<tokio::runtime::Runtime> {
        #[cfg(tokio_unstable)]
        self.hooks.clone().install(
            &mut self.inner,
            self.exclusions.clone(),
            self.max_trace_age,
            self.schedule_latency,
        );
        self.inner.build()
    }

    /// [`tokio::runtime::Builder::enable_all`].
    pub fn enable_all(&mut self) -> &mut Self {
        self.inner.enable_all();
        self
    }

    /// [`tokio::runtime::Builder::enable_io`].
    pub fn enable_io(&mut self) -> &mut Self {
        self.inner.enable_io();
        self
    }

    /// [`tokio::runtime::Builder::enable_time`].
    pub fn enable_time(&mut self) -> &mut Self {
        self.inner.enable_time();
        self
    }

    /// [`tokio::runtime::Builder::worker_threads`].
    ///
    /// # Panics
    ///
    /// As Tokio's does, if `val` is zero.
    pub fn worker_threads(&mut self, val: usize) -> &mut Self {
        self.inner.worker_threads(val);
        self
    }

    /// [`tokio::runtime::Builder::max_blocking_threads`].
    ///
    /// # Panics
    ///
    /// As Tokio's does, if `val` is zero.
    pub fn max_blocking_threads(&mut self, val: usize) -> &mut Self {
        self.inner.max_blocking_threads(val);
        self
    }

    /// [`tokio::runtime::Builder::thread_name`].
    pub fn thread_name(&mut self, val: impl Into<String>) -> &mut Self {
        self.inner.thread_name(val);
        self
    }

    /// [`tokio::runtime::Builder::thread_stack_size`].
    pub fn thread_stack_size(&mut self, val: usize) -> &mut Self {
        self.inner.thread_stack_size(val);
        self
    }

    /// [`tokio::runtime::Builder::thread_keep_alive`].
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Self {
        self.inner.thread_keep_alive(duration);
        self
    }

    /// [`tokio::runtime::Builder::on_thread_start`].
    pub fn on_thread_start<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        self.inner.on_thread_start(f);
        self
    }

    /// [`tokio::runtime::Builder::on_thread_stop`].
    pub fn on_thread_stop<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        self.inner.on_thread_stop(f);
        self
    }
}

/// Task hooks of the user's: they run inside of ours, so that the context of the task is current in the two around a
/// poll, and that of the spawning code in the first.
#[cfg(tokio_unstable)]
impl Builder {
    /// [`tokio::runtime::Builder::on_task_spawn`].
    pub fn on_task_spawn<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    {
        self.hooks.spawn = Some(Arc::new(f));
        self
    }

    /// [`tokio::runtime::Builder::on_before_task_poll`].
    pub fn on_before_task_poll<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    {
        self.hooks.before_poll = Some(Arc::new(f));
        self
    }

    /// [`tokio::runtime::Builder::on_after_task_poll`].
    pub fn on_after_task_poll<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    {
        self.hooks.after_poll = Some(Arc::new(f));
        self
    }

    /// [`tokio::runtime::Builder::on_task_terminate`].
    pub fn on_task_terminate<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    {
        self.hooks.terminate = Some(Arc::new(f));
        self
    }
}

impl From<tokio::runtime::Builder> for Builder {
    /// Takes over everything but task hooks.
    fn from(inner: tokio::runtime::Builder) -> Self {
        Self {
            inner,
            exclusions: Exclusions::default(),
            max_trace_age: Some(MAX_TRACE_AGE),
            schedule_latency: true,
            #[cfg(tokio_unstable)]
            hooks: Hooks::default(),
        }
    }
}

const MAX_TRACE_AGE: Duration = Duration::from_secs(600);
