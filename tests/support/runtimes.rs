//! Recording and shutting down in every kind of runtime, and in none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use throughline::testing::{Oracle, OtlpReceiver};
use throughline::{Pipeline, span, thread as traced_thread};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{self, LocalSet};

use super::{inv, load};

/// How long a shutdown may take.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// One way to run a program: its name, and the program.
pub type Cell = (&'static str, fn(&Arc<Process>));

/// What a program of a cell works with.
#[derive(Debug)]
pub struct Process {
    pipeline: Pipeline,
    oracle: Oracle,
}

/// All ways.
pub const CELLS: &[Cell] = &[
    ("no runtime", |process| {
        process.record();
        process.shut_down();
    }),
    ("current_thread", |process| {
        in_runtime(current_thread(), process);
    }),
    ("1 worker", |process| in_runtime(workers(1), process)),
    ("2 workers", |process| in_runtime(workers(2), process)),
    ("16 workers", |process| in_runtime(workers(16), process)),
    ("LocalSet", |process| {
        let inner = Arc::clone(process);
        LocalSet::new().block_on(&current_thread(), async move {
            let task = task::spawn_local(async move {
                inner.record();
                task::yield_now().await;
                inner.shut_down();
            });
            task.await.expect("no panic");
        });
    }),
    ("two runtimes", |process| {
        let (one, other) = (current_thread(), workers(2));
        let recording = Arc::clone(process);
        let recorded = other.spawn(async move { recording.record() });
        one.block_on(async { recorded.await.expect("no panic") });
        one.block_on(async { process.shut_down() });
    }),
    ("runtime dropped first", |process| {
        let runtime = workers(2);
        runtime.block_on(async { process.record() });
        drop(runtime);
        process.shut_down();
    }),
    ("shutdown_background", |process| {
        let runtime = workers(2);
        let recording = Arc::clone(process);
        let (told, recorded) = oneshot::channel();
        let task = runtime.spawn(async move {
            recording.record();
            let _ = told.send(());
            std::future::pending::<()>().await;
        });
        runtime.block_on(recorded).expect("it was recorded");
        runtime.shutdown_background();
        drop(task);
        process.shut_down();
    }),
    ("from a worker", |process| {
        let runtime = workers(2);
        let inner = Arc::clone(process);
        let task = runtime.spawn(async move {
            inner.record();
            inner.shut_down();
        });
        runtime.block_on(task).expect("no panic");
    }),
    ("from spawn_blocking", |process| {
        let runtime = current_thread();
        let inner = Arc::clone(process);
        runtime.block_on(async {
            process.record();
            let blocking = task::spawn_blocking(move || inner.shut_down());
            blocking.await.expect("no panic");
        });
    }),
    ("in Drop", |process| {
        let guard = ShutsDown(Arc::clone(process));
        current_thread().block_on(async move {
            guard.0.record();
            drop(guard);
        });
    }),
    ("in Drop while unwinding", |process| {
        let guard = ShutsDown(Arc::clone(process));
        let unwound = catch_unwind(AssertUnwindSafe(move || {
            guard.0.record();
            // Not a panic: the hook of the process would print it.
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(unwound.is_err());
    }),
    ("twice", |process| {
        process.record();
        let first = process.pipeline.shutdown(DEADLINE);
        assert!(first.is_complete(), "{first}");
        assert_eq!(first, process.pipeline.shutdown(DEADLINE));
    }),
    ("16 at once", |process| {
        process.record();
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| process.shut_down());
            }
        });
    }),
    ("threads that end", |process| {
        let _here = process.pipeline.context().attach();
        for _ in 0..4 {
            let inner = Arc::clone(process);
            let thread = traced_thread::spawn(move || inner.record());
            thread.join().expect("no panic");
        }
        process.shut_down();
    }),
];

/// Runs one cell and checks that nothing is lost, nothing hangs and nothing panics. How long the cell took.
///
/// # Errors
///
/// What went wrong.
pub fn run(cell: Cell) -> Result<Duration, String> {
    let (name, program) = cell;
    let receiver = OtlpReceiver::start().map_err(|error| error.to_string())?;
    let pipeline = Pipeline::builder()
        .endpoint(&receiver.endpoint())
        .start()
        .map_err(|error| error.to_string())?;
    let process = Arc::new(Process {
        pipeline,
        oracle: Oracle::new(),
    });
    let (told, heard) = mpsc::channel();
    let inner = Arc::clone(&process);
    let start = Instant::now();
    let thread = thread::spawn(move || {
        program(&inner);
        let _ = told.send(());
    });
    // A hang is told, and its thread is left behind.
    match heard.recv_timeout(DEADLINE * 4) {
        Ok(()) => {}
        Err(mpsc::RecvTimeoutError::Timeout) => return Err(format!("{name} hangs")),
        Err(mpsc::RecvTimeoutError::Disconnected) => return Err(format!("{name} panicked")),
    }
    let took = start.elapsed();
    thread.join().map_err(|_| format!("{name} panicked"))?;
    if took > DEADLINE {
        return Err(format!("{name} took {took:?}"));
    }
    let stats = process.pipeline.stats();
    let verdict = process.oracle.compare(&receiver);
    verdict
        .check(inv::counts(&stats))
        .map_err(|wrong| format!("{name}: {wrong}: {stats}"))?;
    if stats.exported == stats.started && stats.started > 0 {
        Ok(took)
    } else {
        Err(format!("{name} lost spans: {stats}"))
    }
}

impl Process {
    fn record(&self) {
        let _here = self.pipeline.context().attach();
        self.oracle.issue(load::record(20));
        let root = span!("root");
        self.oracle.issue([load::id_of(&root)]);
        root.in_scope(|| self.oracle.issue(load::record(5)));
    }

    fn shut_down(&self) {
        let report = self.pipeline.shutdown(DEADLINE);
        assert!(report.is_complete(), "{report}");
    }
}

struct ShutsDown(Arc<Process>);

impl Drop for ShutsDown {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

fn in_runtime(runtime: Runtime, process: &Arc<Process>) {
    let inner = Arc::clone(process);
    runtime.block_on(async move {
        inner.record();
        let again = Arc::clone(&inner);
        task::spawn(async move { again.record() })
            .await
            .expect("no panic");
        inner.shut_down();
    });
}

fn current_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn workers(count: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(count)
        .enable_all()
        .build()
        .expect("a runtime")
}
