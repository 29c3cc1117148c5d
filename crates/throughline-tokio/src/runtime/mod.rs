//! Runtimes: a builder whose runtimes carry the context into every task, and what `#[throughline::main]` and
//! `#[throughline::test]` run on.

mod builder;
mod exclusions;
#[cfg(tokio_unstable)]
mod hooks;
#[cfg(tokio_unstable)]
mod tasks;

use std::future::Future;
use std::io;

pub use builder::Builder;

/// Which Tokio runtime to build: the arguments of `#[throughline::main]` and `#[throughline::test]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "macro expansions write it as a literal"
)]
pub struct Runtime {
    /// Whether tasks run on several threads.
    pub multi_thread: bool,
    /// How many threads; Tokio's default if not given.
    pub worker_threads: Option<usize>,
}

impl Runtime {
    /// Builds the runtime, in automatic mode where there is one (see [`Builder`]), and runs `future` on it.
    ///
    /// # Errors
    ///
    /// The system refused the runtime its threads or its I/O driver.
    pub fn block_on<F: Future>(self, future: F) -> io::Result<F::Output> {
        let mut builder = if self.multi_thread {
            Builder::new_multi_thread()
        } else {
            Builder::new_current_thread()
        };
        if let Some(threads) = self.worker_threads.filter(|threads| *threads > 0) {
            builder.worker_threads(threads);
        }
        Ok(builder.enable_all().build()?.block_on(future))
    }
}
