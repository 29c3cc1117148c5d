//! What is current, where, and for how long.

use throughline::core::{Parent, SpanContext};
use throughline::testing::Capture;
use throughline::{Context, FutureExt, span};

use crate::support::yield_once;

#[test]
fn nested_spans_are_a_tree() {
    let capture = Capture::start();
    let _here = capture.attach();
    let root = span!("root").enter();
    span!("first").in_scope(|| span!("grandchild").in_scope(|| ()));
    span!("second").in_scope(|| ());
    drop(root);
    insta::assert_snapshot!(capture.tree(), @r"
    root
    ├─ first
    │  └─ grandchild
    └─ second
    ");
}

#[test]
fn guards_may_be_dropped_in_any_order() {
    let capture = Capture::start();
    let _here = capture.attach();
    let outer = span!("outer").enter();
    let inner = span!("inner").enter();
    drop(outer);
    span!("under inner").in_scope(|| ());
    drop(inner);
    span!("apart").in_scope(|| ());
    assert_eq!(capture.stats().live(), 0);
    insta::assert_snapshot!(capture.tree(), @r"
    outer
    └─ inner
       └─ under inner
    apart
    ");
}

#[test]
fn a_guard_left_and_entered_again_is_the_same_span() {
    let capture = Capture::start();
    let _here = capture.attach();
    let guard = span!("root").enter();
    let span = guard.exit();
    span!("not a child").in_scope(|| ());
    let _guard = span.enter();
    span!("child").in_scope(|| ());
    drop(_guard);
    insta::assert_snapshot!(capture.tree(), @r"
    root
    └─ child
    not a child
    ");
}

#[test]
fn parents_may_be_given() {
    let capture = Capture::start();
    let _here = capture.attach();
    let remote = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let remote = SpanContext::parse_traceparent(remote).expect("valid");
    let root = span!("root").enter();
    let context = Context::current();
    span!(parent: Parent::Root, "a trace of its own").in_scope(|| ());
    span!(parent: remote, "handles a request").in_scope(|| span!("within").in_scope(|| ()));
    drop(root);
    span!(parent: context, "late child").in_scope(|| ());
    assert_eq!(capture.trace_of(remote).len(), 2);
    insta::assert_snapshot!(capture.tree(), @r"
    root
    └─ late child
    a trace of its own
    handles a request (remote parent)
    └─ within
    ");
}

#[tokio::test]
async fn futures_keep_their_span_across_await() {
    let capture = Capture::start();
    let work = async {
        yield_once().await;
        span!("after the first await").in_scope(|| ());
        async {
            yield_once().await;
            span!("deep").in_scope(|| ());
        }
        .in_span(span!("inner"))
        .await;
        span!("after the inner future").in_scope(|| ());
    };
    let _here = capture.attach();
    let root = span!("root");
    // Another future of the same task must not see the span of the first one.
    let beside = async {
        for _ in 0..3 {
            yield_once().await;
            assert!(!Context::current().span_context().is_valid());
        }
    };
    tokio::join!(work.in_span(root), beside);
    insta::assert_snapshot!(capture.tree(), @r"
    root
    ├─ after the first await
    ├─ inner
    │  └─ deep
    └─ after the inner future
    ");
}

#[test]
fn a_context_does_not_hold_its_span_open() {
    let capture = Capture::start();
    let _here = capture.attach();
    let context = span!("sender").in_scope(Context::current);
    assert_eq!(capture.stats().live(), 0);
    let _guard = context.attach();
    span!("receiver").in_scope(|| ());
    insta::assert_snapshot!(capture.tree(), @r"
    sender
    └─ receiver
    ");
}

#[test]
fn recorders_run_side_by_side() {
    let (one, other) = (Capture::start(), Capture::start());
    let in_one = one.attach();
    let root = span!("one").enter();
    {
        let _in_other = other.attach();
        span!("other").in_scope(|| ());
    }
    span!("one's child").in_scope(|| ());
    drop(root);
    drop(in_one);
    assert_eq!((one.spans().len(), other.spans().len()), (2, 1));
    assert_eq!(other.spans()[0].name, "other");
}

#[tokio::test]
async fn streams_have_a_span_until_they_end() {
    use futures::StreamExt;
    let capture = Capture::start();
    let _here = capture.attach();
    let items = futures::stream::iter(0..3).map(|item| span!("item").in_scope(|| item));
    assert_eq!(
        items.in_span(span!("stream")).collect::<Vec<_>>().await,
        [0, 1, 2]
    );
    insta::assert_snapshot!(capture.tree(), @r"
    stream
    ├─ item
    ├─ item
    └─ item
    ");
}

#[test]
fn a_context_from_elsewhere_goes_on_in_the_recorder_it_arrives_in() {
    let capture = Capture::start();
    let _here = capture.attach();
    let remote =
        SpanContext::parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let _from_elsewhere = Context::from(remote.expect("valid")).attach();
    span!("handles it").in_scope(|| ());
    insta::assert_snapshot!(capture.tree(), @"handles it (remote parent)");
}
