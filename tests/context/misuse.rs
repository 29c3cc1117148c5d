//! What must not be done, done: nothing panics, and everybody else has the right parent.

use std::panic::{AssertUnwindSafe, catch_unwind};

use throughline::task::spawn;
use throughline::testing::Capture;
use throughline::{Context, FutureExt, span, thread, traced};

use crate::runtimes::{current_thread, multi_thread, picture, step};

fn leaf(number: u32) {
    span!("leaf", number = number).in_scope(|| ());
}

#[test]
fn guards_dropped_out_of_order() {
    let capture = Capture::start();
    let here = capture.attach();
    let first = span!("first").enter();
    let second = span!("second").enter();
    let context = Context::current();
    let third = span!("third").enter();
    leaf(3);
    drop(second);
    leaf(33);
    drop(third);
    leaf(1);
    let attached = context.attach();
    drop(first);
    leaf(2);
    drop(here);
    drop(attached);
    assert_eq!(Context::current(), Context::default());
    insta::assert_snapshot!(picture(&capture), @r"
    first
    ├─ leaf {number=1}
    └─ second
       ├─ leaf {number=2}
       └─ third
          ├─ leaf {number=33}
          └─ leaf {number=3}
    ");
}

#[test]
fn a_span_ended_twice() {
    let capture = Capture::start();
    let _here = capture.attach();
    let shared = span!("shared").share();
    let other = shared.clone();
    shared.end();
    other.end();
    shared.edit(|span| span.set_attribute("late", 1));
    drop(other);
    leaf(1);
    // A guard that gave its span away ends nothing.
    let span = span!("given away").enter().exit();
    span.end();
    assert_eq!(capture.stats().started, 3);
    insta::assert_snapshot!(picture(&capture), @r"
    shared
    leaf {number=1}
    given away
    ");
}

#[test]
fn contexts_and_guards_left_behind_on_a_thread_that_exits() {
    let capture = Capture::start();
    let _here = capture.attach();
    span!("root").in_scope(|| {
        thread::spawn(|| {
            std::mem::forget(Context::current().attach());
            std::mem::forget(span!("left open").enter());
            leaf(1);
        })
        .join()
        .expect("no panic");
        leaf(2);
    });
    insta::assert_snapshot!(picture(&capture), @r#"
    root
    ├─ leaf {number=2}
    └─ left open {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
       └─ leaf {number=1}
    "#);
}

#[test]
fn unwinding_is_caught_inside_of_a_span() {
    #[traced]
    fn panics() {
        leaf(1);
        panic!("on purpose");
    }
    let capture = Capture::start();
    let _here = capture.attach();
    span!("root").in_scope(|| {
        let before = Context::current();
        assert!(catch_unwind(panics).is_err());
        assert_eq!(Context::current(), before);
        leaf(2);
    });
    insta::assert_snapshot!(picture(&capture), @r#"
    root
    ├─ leaf {number=2}
    └─ panics {span.outcome="panicked", error.type="panic"} error: panicked
       └─ leaf {number=1}
    "#);
}

#[test]
fn a_task_that_panics_leaves_its_worker_as_it_was() {
    let capture = Capture::start();
    let _here = capture.attach();
    let work = async {
        for number in 0..8 {
            let panics = spawn(async move {
                step(number).await;
                std::mem::forget(Context::current().attach());
                panic!("on purpose");
            });
            assert!(panics.await.is_err());
        }
        // What the panicking tasks left attached ends with their polls, or is on a worker that has it no longer than
        // its tasks, which bring their own.
        spawn(step(100)).await.expect("no panic");
    };
    multi_thread().block_on(work.in_span(span!("root")));
    let trace = &capture.traces()[0];
    let root = trace.find("root").expect("recorded").span_id;
    assert_eq!(trace.children(root).count(), 9, "{}", capture.tree());
    assert_eq!(capture.stats().live(), 0);
}

#[test]
fn runtimes_within_runtimes() {
    let capture = Capture::start();
    let _here = capture.attach();
    let work = async {
        step(1).await;
        tokio::task::block_in_place(|| {
            let inner = current_thread();
            inner.block_on(
                async {
                    step(2).await;
                    spawn(step(3)).await.expect("no panic");
                }
                .in_span(span!("inner")),
            );
        });
        step(4).await;
    };
    let outer = multi_thread();
    outer.block_on(work.in_span(span!("outer")));
    // A runtime within a runtime is Tokio's to refuse; the spans end all the same.
    let refused = outer.block_on(async {
        let nested =
            AssertUnwindSafe(|| span!("refused").in_scope(|| current_thread().block_on(step(5))));
        let refused = catch_unwind(nested).is_err();
        leaf(6);
        refused
    });
    assert!(refused);
    insta::assert_snapshot!(picture(&capture), @r#"
    outer
    ├─ inner
    │  ├─ step {number=2}
    │  └─ step {number=3}
    ├─ step {number=1}
    └─ step {number=4}
    refused {span.outcome="panicked", error.type="panic"} error: panicked
    leaf {number=6}
    "#);
}

#[test]
fn block_on_inside_of_a_span() {
    let capture = Capture::start();
    let _here = capture.attach();
    span!("root").in_scope(|| {
        current_thread().block_on(async {
            step(1).await;
            let task = spawn(step(2).in_span(span!("task")));
            // The guard of a span on a current-thread runtime: nothing else runs between these lines.
            span!("inside").in_scope(|| leaf(3));
            task.await.expect("no panic");
        });
        leaf(4);
    });
    assert_eq!(Context::current(), capture.context());
    insta::assert_snapshot!(picture(&capture), @r"
    root
    ├─ inside
    │  └─ leaf {number=3}
    ├─ leaf {number=4}
    ├─ step {number=1}
    └─ task
       └─ step {number=2}
    ");
}

#[test]
fn a_guard_held_across_an_await_on_one_thread_harms_nobody_else() {
    let capture = Capture::start();
    let _here = capture.attach();
    let local = throughline::task::LocalSet::new();
    local.block_on(&current_thread(), async {
        let careless = throughline::task::spawn_local(
            async {
                let _guard = span!("held").enter();
                tokio::task::yield_now().await;
            }
            .in_span(span!("careless")),
        );
        let careful = throughline::task::spawn_local(step(1).in_span(span!("careful")));
        careless.await.expect("no panic");
        careful.await.expect("no panic");
    });
    assert_eq!(Context::current(), capture.context());
    insta::assert_snapshot!(picture(&capture), @r"
    careless
    └─ held
    careful
    └─ step {number=1}
    ");
}
