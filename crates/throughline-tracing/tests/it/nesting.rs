use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;

use throughline_core::{Context, FutureExt, Span, SpanContext, SpanId, TraceFlags, TraceId};
use throughline_testing::{Capture, TreeOptions};
use throughline_tracing::{TraceLayer, context_of};
use tracing::{Instrument, info, info_span, instrument};
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{callsite, captured, native, picture, under, use_global};

#[test]
fn native_in_tracing_in_native() {
    let tree = picture(|| {
        let _a = native().enter();
        let _b = info_span!("tracing").entered();
        let _c = native().enter();
        let _d = info_span!("tracing").entered();
        drop(native());
        drop(info_span!("tracing"));
    });
    insta::assert_snapshot!(tree, @r"
    native
    └─ tracing
       └─ native
          └─ tracing
             ├─ native
             └─ tracing
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parents_are_right_across_awaits_and_tasks() {
    use_global();
    let capture = Capture::start();
    let tasks = (0..20).map(|number| {
        let context = capture.context();
        tokio::spawn(request(number).with_context(context))
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no task panics");
    }
    let options = TreeOptions::new().hide("*").sorted_by_name();
    let traces = capture.traces();
    assert_eq!(traces.len(), 20);
    for trace in &traces {
        let tree = trace.assert_complete().tree_with(&options);
        insta::allow_duplicates! {
            insta::assert_snapshot!(tree, @r"
            request
            │  • done
            ├─ load
            │  │  • loaded
            │  ├─ native
            │  └─ query
            │     └─ native
            └─ store
               ├─ audit
               ├─ native
               ├─ native
               └─ native
            ");
        }
    }
    assert_eq!(Context::current(), Context::default());
}

#[instrument]
async fn request(number: u32) {
    tokio::task::yield_now().await;
    static LOAD: throughline_core::Callsite = callsite("load");
    load(number).in_span(Span::start(&LOAD)).await;
    let span = info_span!("store");
    let background = tokio::spawn(audit().with_context(context_of(&span)));
    store().instrument(span).await;
    background.await.expect("no task panics");
    info!("done");
}

async fn load(number: u32) {
    tokio::task::yield_now().await;
    query(number).await;
    info!("loaded");
    tokio::task::yield_now().await;
    drop(native());
}

#[instrument]
async fn query(number: u32) {
    tokio::task::yield_now().await;
    drop(native());
}

async fn store() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
        drop(native());
    }
}

async fn audit() {
    tokio::task::yield_now().await;
    let _span = info_span!("audit").entered();
}

#[test]
fn a_parent_that_is_given_wins_over_the_current_one() {
    let tree = picture(|| {
        let other = info_span!("other");
        let _current = native().enter();
        drop(info_span!(parent: &other, "of other"));
        let root = info_span!(parent: None, "root").entered();
        drop(native());
        drop(root);
        drop(info_span!("of current"));
        let _attached = context_of(&other).attach();
        drop(info_span!("of other by its context"));
    });
    insta::assert_snapshot!(tree, @r"
    other
    ├─ of other
    └─ of other by its context
    native
    └─ of current
    root
    └─ native
    ");
}

#[test]
fn a_remote_parent_is_that_of_the_attached_context() {
    use_global();
    let capture = Capture::global();
    let trace_id = TraceId::from_bytes([1; 16]);
    let remote = SpanContext::new(
        trace_id,
        SpanId::from_bytes([2; 8]),
        TraceFlags::SAMPLED,
        true,
    );
    let received = Context::from(remote).attach();
    let handler = info_span!("handler").entered();
    drop(native());
    drop(handler);
    drop(received);
    insta::assert_snapshot!(capture.trace(trace_id).tree(), @r"
    handler (remote parent)
    └─ native
    ");
}

#[test]
fn what_follows_from_a_span_links_it() {
    let tree = picture(|| {
        let first = info_span!("first");
        let second = info_span!("second");
        second.follows_from(&first);
        let _entered = second.enter();
        let third = info_span!("third");
        third.follows_from(second.id());
        third.follows_from(first.id());
    });
    insta::assert_snapshot!(tree, @r"
    first
    second
    │  → first (another trace)
    └─ third
          → second
          → first (another trace)
    ");
}

#[test]
fn spans_may_be_left_in_any_order() {
    let tree = picture(|| {
        let (a, b) = (info_span!("a"), info_span!("b"));
        let in_a = a.enter();
        let in_b = b.enter();
        let in_native = native().enter();
        drop(in_a);
        drop(info_span!("in native"));
        drop(in_native);
        drop(info_span!("in b"));
        drop(in_b);
        drop(info_span!("in nothing"));
        let in_a = a.enter();
        let again_in_a = a.enter();
        drop(in_a);
        drop(info_span!("still in a"));
        drop(again_in_a);
        drop(info_span!("in nothing again"));
    });
    assert_eq!(Context::current(), Context::default());
    insta::assert_snapshot!(tree, @r"
    a
    └─ still in a
    b
    ├─ native
    │  └─ in native
    └─ in b
    in nothing
    in nothing again
    ");
}

#[test]
fn a_span_may_be_inside_of_several_threads_at_once() {
    let tree = picture(|| {
        let span = info_span!("shared", from = tracing::field::Empty);
        let turns = Barrier::new(3);
        thread::scope(|scope| {
            for name in ["one", "two", "three"] {
                let (span, turns) = (span.clone(), &turns);
                scope.spawn(move || {
                    let entered = span.entered();
                    turns.wait();
                    drop(info_span!("child", name));
                    info!("from a thread");
                    turns.wait();
                    drop(entered);
                    assert!(!Context::current().span_context().is_valid());
                });
            }
        });
        assert!(!Context::current().span_context().is_valid());
    });
    let mut lines: Vec<_> = tree
        .lines()
        .map(|line| line.trim_start_matches(['├', '└', '─', ' ', '│']))
        .collect();
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    child {name="one"}
    child {name="three"}
    child {name="two"}
    shared
    • from a thread {level="INFO", target="it::nesting"}
    • from a thread {level="INFO", target="it::nesting"}
    • from a thread {level="INFO", target="it::nesting"}
    "#);
}

#[test]
fn a_span_ends_where_it_is_dropped_and_when_it_was_left() {
    let capture = Capture::start();
    captured(&capture, || {
        let span = info_span!("moved");
        span.in_scope(|| drop(info_span!("inside")));
        drop(info_span!("after"));
        let moved = thread::spawn(move || drop(span));
        moved.join().expect("dropping a span does not panic");
    });
    let spans = capture.spans();
    let find = |name| {
        spans
            .iter()
            .find(|span| span.name == name)
            .expect("it ended")
    };
    let (moved, inside, after) = (find("moved"), find("inside"), find("after"));
    assert_eq!((inside.parent, after.parent), (Some(moved.span_id), None));
    assert!(moved.end_unix_nano >= inside.end_unix_nano);
    assert!(moved.end_unix_nano <= after.start_unix_nano);
    assert_eq!(capture.stats().live(), 0);
}

#[test]
fn spans_that_another_thread_ended_are_not_taken_for_new_ones() {
    let capture = Capture::start();
    captured(&capture, || {
        let (end, to_end) = std::sync::mpsc::sync_channel(0);
        let other = thread::spawn(move || to_end.into_iter().for_each(drop::<tracing::Span>));
        for number in 0..5_000 {
            let span = info_span!("new", number);
            span.in_scope(|| assert_eq!(Context::current(), context_of(&span)));
            assert_eq!(Context::current().span_context(), SpanContext::default());
            end.send(span).expect("the other thread ends them");
        }
        drop(end);
        other.join().expect("ending a span does not panic");
    });
    let ids: HashSet<_> = capture.spans().iter().map(|span| span.span_id).collect();
    assert_eq!((ids.len(), capture.stats().live()), (5_000, 0));
}

#[test]
fn spans_of_several_subscribers_are_told_apart() {
    let capture = Capture::start();
    captured(&capture, || {
        let outer = info_span!("outer").entered();
        let other = tracing_subscriber::registry().with(TraceLayer::new());
        under(other, || {
            let inner: Vec<_> = (0..50).map(|number| info_span!("inner", number)).collect();
            for span in &inner {
                span.in_scope(|| assert_eq!(Context::current(), context_of(span)));
            }
            assert_eq!(Context::current(), context_of(&outer));
        });
    });
    let trace = &capture.traces()[0];
    let outer = trace.find("outer").expect("it ended").span_id;
    assert_eq!(trace.assert_complete().children(outer).count(), 50);
}

#[test]
fn the_context_of_a_span_needs_no_entering() {
    let capture = Capture::start();
    captured(&capture, || {
        let outer = info_span!("outer");
        let context = context_of(&outer).span_context();
        outer.in_scope(|| assert_eq!(Context::current().span_context(), context));
        assert!(context.is_valid() && context.is_sampled());
    });
    assert_eq!(context_of(&tracing::Span::none()), Context::default());
}
