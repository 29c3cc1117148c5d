//! Spans in and after the destruction of thread-locals, and guards that nobody drops.

use std::cell::RefCell;

use throughline::core::{Context, Span};
use throughline::span;
use throughline::testing::Capture;

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

/// Thread-locals are destroyed in the reverse order of their first use, so `order` says which is gone first.
fn thread(order: [&'static str; 2], work: impl FnOnce() -> Span + Send + 'static) -> Capture {
    let capture = Capture::start();
    let context = capture.context();
    let run = move || {
        let mut work = Some(work);
        for step in order {
            if step == "record" {
                let _here = context.attach();
                span!("before the end").in_scope(|| ());
            } else {
                let (context, work) = (context.clone(), work.take().expect("one exit"));
                at_exit(move || {
                    let _here = context.attach();
                    work().end();
                    span!(parent: context, "made at the end").in_scope(|| ());
                });
            }
        }
    };
    std::thread::spawn(run).join().expect("no panic");
    capture
}

#[test]
fn a_span_may_end_in_a_destructor_in_both_orders() {
    for order in [["record", "exit"], ["exit", "record"]] {
        let capture = thread(order, || span!("never seen: it has no recorder to inherit"));
        let stats = capture.stats();
        assert_eq!(stats.live(), 0, "{order:?}");
        assert_eq!(stats.started, stats.published, "{order:?}");
        let spans = capture.spans();
        let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
        assert!(
            names.contains(&"before the end") && names.contains(&"made at the end"),
            "{order:?}: {names:?}"
        );
    }
}

#[test]
fn a_span_made_before_may_end_after() {
    for order in [["record", "exit"], ["exit", "record"]] {
        let capture = Capture::start();
        let context = capture.context();
        let run = move || {
            let held = {
                let _here = context.attach();
                (order[0] == "record").then(|| span!("held"))
            };
            let context_at_exit = context.clone();
            at_exit(move || {
                let held = held.unwrap_or_else(|| span!(parent: context_at_exit, "held"));
                held.end();
            });
            let _here = context.attach();
            span!("another").in_scope(|| ());
        };
        std::thread::spawn(run).join().expect("no panic");
        assert_eq!(
            (capture.stats().live(), capture.stats().published),
            (0, 2),
            "{order:?}"
        );
    }
}

#[test]
fn a_guard_entered_in_a_destructor_still_ends_its_span() {
    for order in [["record", "exit"], ["exit", "record"]] {
        let capture = thread(order, || {
            let mut guard = Span::disabled().enter();
            guard.set_attribute("ignored", 1);
            throughline::current().set_attribute("ignored", 1);
            assert!(Context::current().span_context().trace_id().to_bytes() == [0; 16]);
            guard.exit()
        });
        assert_eq!(capture.stats().live(), 0, "{order:?}");
    }
}

#[test]
fn a_leaked_guard_costs_no_span() {
    let capture = Capture::start();
    let context = capture.context();
    let run = move || {
        let _here = context.attach();
        std::mem::forget(span!("leaked").enter());
        span!("child of the leaked one").in_scope(|| ());
    };
    std::thread::spawn(run).join().expect("no panic");
    assert_eq!((capture.stats().live(), capture.stats().published), (0, 2));
    insta::assert_snapshot!(capture.tree(), @r#"
    leaked {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    └─ child of the leaked one
    "#);
}
