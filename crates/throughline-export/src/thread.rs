//! The export thread: its runtime, its invisibility and its supervision.
//!
//! The thread runs two loops side by side on a private current-thread runtime:
//! the drain fills the queue, the export loop empties it. Neither the
//! application's runtime nor its tracing subscriber is ever touched.

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tracing::dispatcher::{self, Dispatch};

use crate::drain::Drain;
use crate::export::Export;
use crate::queue::Queue;
use crate::say;
use crate::shared::Shared;

/// How long the loops rest after one of them panicked.
const RESTART_DELAY: Duration = Duration::from_millis(100);

/// What the thread works with.
pub(crate) struct Work {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: Queue,
    pub(crate) drain: Drain,
    pub(crate) export: Export,
}

/// Starts the thread and waits until it has its runtime.
pub(crate) fn spawn(work: Work) -> io::Result<ThreadId> {
    let (ready, started) = mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name("throughline-export".to_owned())
        .spawn(move || {
            let _invisible = (
                throughline_core::suppress(),
                dispatcher::set_default(&Dispatch::none()),
            );
            // Made here and not by the caller, who may be inside a runtime, where
            // dropping another one after a failure would panic.
            match runtime() {
                Ok(runtime) => {
                    // The receiver waits below, so it is there.
                    let _ = ready.send(Ok(()));
                    work.run(&runtime);
                    // A name lookup that hangs must not hold the thread.
                    runtime.shutdown_background();
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        })?;
    let id = thread.thread().id();
    // Nobody joins the thread: whoever waits for it waits with a deadline.
    drop(thread);
    started
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the export thread ended at once")))?;
    Ok(id)
}

pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        // Names are looked up on threads of their own, which come and go.
        .max_blocking_threads(1)
        .thread_name("throughline-dns")
        .on_thread_start(|| {
            // For as long as the thread lives.
            mem::forget((
                throughline_core::suppress(),
                dispatcher::set_default(&Dispatch::none()),
            ));
        })
        .build()
}

impl Work {
    /// Runs both loops to their end. The exporter's panics are caught where it is
    /// called; what is caught here is a defect of this crate, and even then the
    /// pipeline goes on.
    fn run(mut self, runtime: &Runtime) {
        let answer = AnswerOnDrop(Arc::clone(&self.shared));
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.run_loops(runtime))) {
            // Dropping a payload may panic as well.
            mem::forget(payload);
            self.shared.unwound();
            self.queue.settle();
            say::warn("the export thread panicked and starts again; please report this");
            thread::sleep(RESTART_DELAY);
        }
        drop(answer);
        // The exporter may hold what wants a runtime around it while it is dropped.
        let _inside = runtime.enter();
        drop(self);
    }

    fn run_loops(&mut self, runtime: &Runtime) {
        let Self {
            shared,
            queue,
            drain,
            export,
        } = self;
        runtime.block_on(async {
            tokio::join!(drain.run(shared, queue), export.run(shared, queue));
        });
    }
}

/// Answers the waiting callers however the thread ends. The exporter is dropped
/// later, since its destructor may take its time.
struct AnswerOnDrop(Arc<Shared>);

impl Drop for AnswerOnDrop {
    fn drop(&mut self) {
        self.0.stopped();
    }
}
