//! Spans in the destructors of thread-locals, in both orders, and guards that outlive their thread's good times.

use std::cell::RefCell;
use std::thread;

use throughline::testing::Oracle;
use throughline::{Context, Span, span};
use throughline_tests::support::{inv, load};

use crate::support::{LONG, Row, receiver, size, to};

/// Runs its closure when the thread's thread-locals are destroyed.
struct AtExit(RefCell<Option<Box<dyn FnOnce()>>>);

impl Drop for AtExit {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work();
        }
    }
}

thread_local! {
    static AT_EXIT: AtExit = const { AtExit(RefCell::new(None)) };
}

fn at_exit(work: impl FnOnce() + 'static) {
    AT_EXIT.with(|at_exit| *at_exit.0.borrow_mut() = Some(Box::new(work)));
}

#[test]
fn row_18_spans_in_thread_local_destructors_are_accounted_for() {
    let row = Row::start(
        18,
        "spans made, ended, moved and leaked in destructors of thread-locals, in both orders",
        "0 panics; every span exported or counted",
    );
    let threads = size(20, 100, 5000);
    let receiver = receiver();
    let pipeline = to(&receiver.endpoint()).start().expect("a pipeline starts");
    let oracle = Oracle::new();
    thread::scope(|scope| {
        for number in 0..threads {
            let context = pipeline.context();
            let oracle = &oracle;
            let moved = span!(parent: context.clone(), "made elsewhere");
            oracle.issue([load::id_of(&moved)]);
            scope.spawn(move || {
                let (told, heard) = std::sync::mpsc::channel();
                let inner = thread::spawn(move || work(number, &context, moved, told));
                inner.join().expect("no panic in a destructor");
                oracle.issue(heard.iter().flatten());
            });
        }
    });
    let _ = pipeline.shutdown(LONG);
    let stats = pipeline.stats();
    let verdict = inv::hold(&oracle, &receiver, &stats);
    row.holds(format!(
        "{threads} threads, {} spans: {} exported, {} counted as lost, 0 unaccounted",
        verdict.issued,
        stats.exported,
        inv::counts(&stats).lost
    ));
}

type Ids = Vec<throughline::core::SpanId>;

/// One thread. Thread-locals are destroyed in the reverse order of their first use.
fn work(number: u64, context: &Context, moved: Span, told: std::sync::mpsc::Sender<Ids>) {
    let record = |context: &Context| {
        let _here = context.attach();
        load::record(3)
    };
    let last = {
        let (context, told) = (context.clone(), told.clone());
        move || {
            moved.end();
            let here = context.attach();
            let mut ids = load::record(2);
            let open = span!("open until the end of the end");
            ids.extend(open.is_recording().then(|| load::id_of(&open)));
            let guard = open.enter();
            if number.is_multiple_of(3) {
                // Counted as live for ever.
                std::mem::forget(guard);
            } else {
                drop(guard);
            }
            drop(here);
            let _ = told.send(ids);
        }
    };
    let mut ids = Ids::new();
    if number.is_multiple_of(2) {
        ids.extend(record(context));
        at_exit(last);
    } else {
        at_exit(last);
        ids.extend(record(context));
    }
    let _ = told.send(ids);
}
