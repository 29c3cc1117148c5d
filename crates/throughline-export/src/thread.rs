//! The pipeline's threads: their runtimes, their invisibility, their supervision.
//!
//! One thread drains, and one thread per destination exports, so that an exporter
//! which holds its thread holds nothing else. Foreign code runs on export threads
//! only. Neither the application's runtime nor its tracing subscriber is ever
//! touched.

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
use crate::say;
use crate::shared::Shared;
use crate::sync::Bell;

/// How long a loop rests after it panicked, unless its bell rings.
const RESTART_DELAY: Duration = Duration::from_millis(100);

/// Starts all threads and waits until each has what it needs. If one cannot be
/// started, those that were end too.
pub(crate) fn spawn(
    shared: &Arc<Shared>,
    exports: Vec<Export>,
    drain: Drain,
) -> io::Result<Vec<ThreadId>> {
    let threads = spawn_all(shared, exports, drain);
    if threads.is_err() {
        for destination in &shared.lifecycle.destinations {
            destination.abandon();
        }
    }
    threads
}

fn spawn_all(
    shared: &Arc<Shared>,
    exports: Vec<Export>,
    drain: Drain,
) -> io::Result<Vec<ThreadId>> {
    let mut threads = Vec::new();
    for export in exports {
        let shared = Arc::clone(shared);
        threads.push(start("throughline-export", runtime, move |runtime| {
            run_export(export, &shared, &runtime);
            // A name lookup that hangs must not hold the thread.
            runtime.shutdown_background();
        })?);
    }
    let (shared, listening) = (Arc::clone(shared), Arc::clone(shared));
    let listen = move || {
        listening.lifecycle.bell.listen();
        Ok(())
    };
    threads.push(start("throughline-drain", listen, move |()| {
        run_drain(drain, &shared);
    })?);
    Ok(threads)
}

/// Starts a thread that nothing is recorded on, and waits until it is prepared.
///
/// It prepares itself, and not the caller, who may be inside a runtime, where
/// dropping another one after a failure would panic.
pub(crate) fn start<T>(
    name: &str,
    prepare: impl FnOnce() -> io::Result<T> + Send + 'static,
    run: impl FnOnce(T) + Send + 'static,
) -> io::Result<ThreadId> {
    let (ready, started) = mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _invisible = invisible();
            // The receiver waits below, so it is there.
            match prepare() {
                Ok(prepared) => {
                    let _ = ready.send(Ok(()));
                    run(prepared);
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
        .unwrap_or_else(|_| Err(io::Error::other("the thread ended at once")))?;
    Ok(id)
}

/// While it lives, nothing that happens on this thread is recorded.
pub(crate) fn invisible() -> impl Sized {
    (
        throughline_core::suppress(),
        dispatcher::set_default(&Dispatch::none()),
    )
}

pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        // Names are looked up on threads of their own, which come and go.
        .max_blocking_threads(1)
        .thread_name("throughline-dns")
        // For as long as the thread lives.
        .on_thread_start(|| mem::forget(invisible()))
        .build()
}

/// Runs a loop to its end. The exporters' panics are caught where they are called; what
/// is caught here is a defect of this crate, and even then the loop goes on: what it left
/// is tidied up at once, and it starts again after a rest, which the bell ends. So a
/// thread that somebody waits for does not rest, and one that panics each time leaves the
/// processor to others, since a ring ends one rest only.
pub(crate) fn supervise(bell: &Bell, run: impl FnMut(), unwound: impl Fn()) {
    bell.listen();
    repeat(run, unwound, || {
        bell.wait(RESTART_DELAY);
    });
}

pub(crate) fn repeat(mut run: impl FnMut(), unwound: impl Fn(), rest: impl Fn()) {
    while let Err(payload) = catch_unwind(AssertUnwindSafe(&mut run)) {
        // Dropping a payload may panic as well.
        mem::forget(payload);
        unwound();
        let thread = thread::current();
        say::warn(format_args!(
            "the thread {} panicked and starts again; please report this",
            thread.name().unwrap_or_default()
        ));
        rest();
    }
}

fn run_export(mut export: Export, shared: &Shared, runtime: &Runtime) {
    let (index, destination) = (export.index, Arc::clone(&export.destination));
    supervise(
        destination.awaited(),
        || runtime.block_on(export.run(shared)),
        || shared.lifecycle.unwound(index),
    );
    shared
        .lifecycle
        .ended(index, !shared.lifecycle.is_too_late());
    // The exporter is dropped after that, since its destructor may take its time,
    // and may want a runtime around it.
    let _inside = runtime.enter();
    drop(export);
}

fn run_drain(mut drain: Drain, shared: &Arc<Shared>) {
    // Answers the waiting callers however the thread ends.
    let _answer = AnswerOnDrop(Arc::clone(shared));
    supervise(&shared.lifecycle.bell, || drain.run(shared), || {});
}

struct AnswerOnDrop(Arc<Shared>);

impl Drop for AnswerOnDrop {
    fn drop(&mut self) {
        self.0.lifecycle.stopped();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::panic::resume_unwind;

    use super::*;

    #[test]
    fn a_loop_that_panicked_is_tidied_up_and_starts_again_after_a_rest() {
        let events = RefCell::new(Vec::new());
        let event = |event| events.borrow_mut().push(event);
        let mut left = 2;
        let run = || {
            event("run");
            if left > 0 {
                left -= 1;
                resume_unwind(Box::new("as the test wants it"));
            }
        };
        repeat(run, || event("tidy"), || event("rest"));
        let expected = ["run", "tidy", "rest", "run", "tidy", "rest", "run"];
        assert_eq!(*events.borrow(), expected);
    }
}
