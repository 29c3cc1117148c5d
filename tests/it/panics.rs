//! Unwinding through spans.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use throughline::testing::Capture;
use throughline::{Context, FutureExt, span, traced};

use crate::support::{poll_once, yield_once};

struct PanicsOnDisplay;

impl fmt::Display for PanicsOnDisplay {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("formatter")
    }
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("destructor")
    }
}

#[traced]
fn falls() {
    panic!("body")
}

#[traced(attrs(value = %PanicsOnDisplay))]
fn formats() {}

#[traced]
async fn falls_later() {
    yield_once().await;
    panic!("second poll")
}

#[traced]
fn drops(_argument: PanicsOnDrop) {}

/// Runs `work`, which must panic, and checks that nothing but its spans shows it.
fn panics(work: impl FnOnce()) -> String {
    let capture = Capture::start();
    let _here = capture.attach();
    let before = Context::current();
    {
        let _root = span!("root").enter();
        catch_unwind(AssertUnwindSafe(work)).expect_err("panics");
        for _ in 0..10_000 {
            span!("next").in_scope(|| ());
        }
    }
    assert_eq!(Context::current(), before);
    let stats = capture.stats();
    assert_eq!((stats.live(), stats.published), (0, stats.started));
    let root = capture
        .spans()
        .iter()
        .find(|span| span.name == "root")
        .map(|root| root.span_id);
    let spans = capture.spans();
    let next: Vec<_> = spans.iter().filter(|span| span.name == "next").collect();
    assert_eq!(next.len(), 10_000);
    assert!(next.iter().all(|span| span.parent == root));
    let tree = capture.tree();
    tree.lines()
        .filter(|line| !line.contains("next"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn in_the_body() {
    insta::assert_snapshot!(panics(falls), @r#"
    root
    ├─ falls {span.outcome="panicked", error.type="panic"} error: panicked
    "#);
}

#[test]
fn in_a_field_formatter() {
    insta::assert_snapshot!(panics(formats), @r#"
    root
    ├─ formats {span.outcome="panicked", error.type="panic"} error: panicked
    "#);
}

#[test]
fn in_the_destructor_of_an_argument() {
    insta::assert_snapshot!(panics(|| drops(PanicsOnDrop)), @r"
    root
    ├─ drops
    ");
}

#[test]
fn in_a_poll() {
    insta::assert_snapshot!(panics(|| {
        let mut future = Box::pin(falls_later());
        assert!(poll_once(future.as_mut()).is_pending());
        let _ = poll_once(future.as_mut());
    }), @r#"
    root
    ├─ falls_later {span.outcome="panicked", error.type="panic"} error: panicked
    "#);
}

#[test]
fn beside_a_future_that_only_goes_down_with_it() {
    insta::assert_snapshot!(panics(|| {
        let mut bystander = Box::pin(std::future::pending::<()>().in_span(span!("bystander")));
        assert!(poll_once(bystander.as_mut()).is_pending());
        panic!("elsewhere")
    }), @r#"
    root
    ├─ bystander {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    "#);
}

#[test]
fn while_editing_the_current_span() {
    insta::assert_snapshot!(panics(|| {
        let _guard = span!("edited").enter();
        throughline::current().set_attribute("value", throughline::core::display(&PanicsOnDisplay));
    }), @r#"
    root
    ├─ edited {span.outcome="panicked", error.type="panic"} error: panicked
    "#);
}

#[test]
fn spans_in_destructors_that_run_during_unwinding_complete() {
    struct Cleans;
    impl Drop for Cleans {
        fn drop(&mut self) {
            span!("cleanup").in_scope(|| ());
        }
    }
    insta::assert_snapshot!(panics(|| {
        let _cleans = Cleans;
        panic!("body")
    }), @r"
    root
    ├─ cleanup
    ");
}
