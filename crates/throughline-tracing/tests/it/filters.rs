use std::sync::{Mutex, PoisonError};

use throughline_core::{Filter, set_filter, suppress};
use throughline_testing::{Capture, TreeOptions};
use throughline_tracing::{TraceFilter, TraceLayer, context_of};
use tracing::level_filters::LevelFilter;
use tracing::{debug, debug_span, info, info_span, trace_span};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{Registry, fmt, reload};

use crate::support::{Output, captured, native, picture, under};

/// Runs `f` with these directives in the process-wide filter, which concern targets of these tests only.
fn with_directives<R>(directives: &str, f: impl FnOnce() -> R) -> R {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    set_filter(
        format!("trace,{directives}")
            .parse()
            .expect("valid directives"),
    );
    let result = f();
    set_filter(Filter::default());
    result
}

#[test]
fn what_the_filter_rejects_is_skipped_and_its_children_are_not() {
    let tree = with_directives("it_noise=warn", || {
        picture(|| {
            let _a = info_span!("a").entered();
            let rejected = info_span!(target: "it_noise", "rejected", value = 1).entered();
            info!(target: "it_noise", "rejected");
            tracing::warn!(target: "it_noise", "kept");
            drop(info_span!("child"));
            drop(native());
            drop(info_span!(parent: &rejected, "child by name"));
            info!(parent: &rejected, "kept by name");
            rejected.record("value", 2);
        })
    });
    insta::assert_snapshot!(tree, @r#"
    a
    │  • kept {level="WARN", target="it_noise"}
    │  • kept by name {level="INFO", target="it::filters"}
    ├─ child
    ├─ native
    └─ child by name
    "#);
}

#[test]
fn a_change_of_the_filter_reaches_the_trace_filter() {
    let capture = Capture::start();
    let subscriber =
        tracing_subscriber::registry().with(TraceLayer::new().with_filter(TraceFilter::new()));
    under(subscriber, || {
        let _here = capture.attach();
        let span = |number: i64| drop(info_span!(target: "it_dynamic", "span", number));
        with_directives("it_dynamic=info", || span(1));
        with_directives("it_dynamic=off", || span(2));
        with_directives("it_dynamic=info", || span(3));
        with_directives("it_dynamic=warn", || span(4));
    });
    insta::assert_snapshot!(capture.tree(), @r"
    span {number=1}
    span {number=3}
    ");
}

#[test]
fn a_filter_on_the_layer_hides_spans_and_keeps_parents_right() {
    let capture = Capture::start();
    let other = Output::default();
    let subscriber = tracing_subscriber::registry()
        .with(TraceLayer::new().with_filter(LevelFilter::INFO))
        .with(
            fmt::layer()
                .with_writer(other.writer())
                .with_filter(LevelFilter::TRACE),
        );
    under(subscriber, || {
        let _here = capture.attach();
        let _root = info_span!("root").entered();
        let hidden = debug_span!("hidden").entered();
        let in_hidden = info_span!("in hidden").entered();
        debug!("hidden");
        info!("shown");
        drop(in_hidden);
        let _native = native().enter();
        drop(info_span!(parent: &hidden, "by hidden parent"));
        info!(parent: &hidden, "on the nearest that is recorded");
        hidden.record("nothing", 1);
        hidden.follows_from(hidden.id());
    });
    insta::assert_snapshot!(capture.tree_with(&TreeOptions::new().hide("target")), @r#"
    root
    │  • on the nearest that is recorded {level="INFO"}
    ├─ in hidden
    │     • shown {level="INFO"}
    ├─ native
    └─ by hidden parent
    "#);
    assert_eq!(
        other.text().lines().count(),
        3,
        "the other layer sees all events"
    );
}

#[test]
fn a_layer_may_come_and_go() {
    let capture = Capture::start();
    let (layer, handle) = reload::Layer::<Option<TraceLayer>, Registry>::new(None);
    under(tracing_subscriber::registry().with(layer), || {
        let _here = capture.attach();
        let unseen = info_span!("unseen").entered();
        handle
            .reload(Some(TraceLayer::new()))
            .expect("the subscriber is there");
        info!("on nothing");
        unseen.record("late", 1);
        let seen = info_span!("seen").entered();
        drop(info_span!(parent: &unseen, "root: the parent was never recorded"));
        info!("on seen");
        handle.reload(None).expect("the subscriber is there");
        drop(seen);
        drop(unseen);
    });
    insta::assert_snapshot!(capture.tree_with(&TreeOptions::new().hide("target")), @r#"
    seen
       • on seen {level="INFO"}
    root: the parent was never recorded
    "#);
    assert_eq!(capture.stats().live(), 0);
}

#[test]
fn a_second_layer_changes_nothing() {
    let capture = Capture::start();
    let subscriber = tracing_subscriber::registry()
        .with(TraceLayer::new())
        .with(TraceLayer::new().with_filter(LevelFilter::TRACE))
        .with(Some(TraceLayer::new()));
    under(subscriber, || {
        let _here = capture.attach();
        let outer = info_span!("outer", late = tracing::field::Empty).entered();
        outer.record("late", 1);
        info!("once");
        let inner = trace_span!("inner").entered();
        inner.follows_from(outer.id());
    });
    insta::assert_snapshot!(capture.tree_with(&TreeOptions::new().hide("target")), @r#"
    outer {late=1}
    │  • once {level="INFO"}
    └─ inner
          → outer
    "#);
}

#[test]
fn threads_of_the_pipeline_are_not_seen() {
    let capture = Capture::start();
    captured(&capture, || {
        let span = info_span!("seen");
        let _entered = span.enter();
        let _suppressed = suppress();
        info!("not seen");
        info!(parent: &span, "not seen");
        let unseen = info_span!("not seen", value = 1).entered();
        unseen.record("value", 2);
        assert_eq!(context_of(&unseen), context_of(&span));
    });
    insta::assert_snapshot!(capture.tree(), @"seen");
}
