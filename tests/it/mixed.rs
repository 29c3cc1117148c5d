//! Native spans and `tracing` spans in one trace, whichever is inside of which.

use throughline::task::{spawn, spawn_blocking};
use throughline::testing::{Capture, TreeOptions};
use throughline::tracing::TraceLayer;
use throughline::{Context, FutureExt, span, traced};
use tracing::instrument::WithSubscriber;
use tracing::{Instrument, Level, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

use crate::support::yield_once;

fn subscriber() -> impl tracing::Subscriber + Send + Sync {
    tracing_subscriber::registry().with(TraceLayer::new())
}

fn tree(capture: &Capture) -> String {
    capture.tree_with(&TreeOptions::new().sorted_by_name())
}

#[traced]
async fn native(depth: u32) {
    yield_once().await;
    if depth > 0 {
        Box::pin(instrumented(depth - 1)).await;
    }
    info!(depth, "native done");
}

#[tracing::instrument]
async fn instrumented(depth: u32) {
    yield_once().await;
    if depth > 0 {
        Box::pin(native(depth - 1)).await;
    }
    info!(depth, "instrumented done");
}

#[test]
fn nested_in_turns() {
    let capture = Capture::start();
    let _here = capture.attach();
    tracing::subscriber::with_default(subscriber(), || {
        span!("native").in_scope(|| {
            info_span!("tracing").in_scope(|| {
                span!("native again").in_scope(|| {
                    info_span!("tracing again").in_scope(|| info!("innermost"));
                    info!("in native");
                });
                throughline::current().set_attribute("edited.through", "the current span");
            });
        });
    });
    insta::assert_snapshot!(tree(&capture), @r#"
    native
    └─ tracing {edited.through="the current span"}
       └─ native again
          │  • in native {level="INFO", target="it::mixed"}
          └─ tracing again
                • innermost {level="INFO", target="it::mixed"}
    "#);
}

#[tokio::test]
async fn across_await() {
    let capture = Capture::start();
    capture.run(native(3)).with_subscriber(subscriber()).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    native
    │  • native done {level="INFO", target="it::mixed", depth=3}
    └─ instrumented {depth=2}
       │  • instrumented done {level="INFO", target="it::mixed", depth=2}
       └─ native
          │  • native done {level="INFO", target="it::mixed", depth=1}
          └─ instrumented {depth=0}
                • instrumented done {level="INFO", target="it::mixed", depth=0}
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_tasks_and_threads() {
    let capture = Capture::start();
    let dispatch = tracing::Dispatch::new(subscriber());
    let work = async {
        let task = spawn(native(1).with_current_subscriber());
        let in_tracing = async {
            spawn(async { yield_once().in_span(span!("task of a tracing span")).await })
                .await
                .expect("no panic");
        }
        .instrument(info_span!("tracing parent"));
        in_tracing.await;
        task.await.expect("no panic");
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        spawn_blocking(move || {
            tracing::dispatcher::with_default(&dispatch, || {
                tracing::span!(Level::INFO, "blocking").in_scope(|| {
                    let context = Context::current();
                    std::thread::spawn(move || {
                        let _here = context.attach();
                        span!("thread").in_scope(|| ());
                    })
                    .join()
                    .expect("no panic");
                });
            });
        })
        .await
        .expect("no panic");
    };
    capture
        .run(async { work.in_span(span!("root")).await })
        .with_subscriber(dispatch)
        .await;
    assert_eq!(capture.stats().live(), 0);
    insta::assert_snapshot!(tree(&capture), @r#"
    root
    ├─ blocking
    │  └─ thread
    ├─ native
    │  │  • native done {level="INFO", target="it::mixed", depth=1}
    │  └─ instrumented {depth=0}
    │        • instrumented done {level="INFO", target="it::mixed", depth=0}
    └─ tracing parent
       └─ task of a tracing span
    "#);
}

#[test]
fn one_tracing_span_on_several_threads() {
    let capture = Capture::start();
    let _here = capture.attach();
    let dispatch = tracing::Dispatch::new(subscriber());
    tracing::dispatcher::with_default(&dispatch, || {
        let shared = info_span!("shared");
        std::thread::scope(|scope| {
            for name in ["left", "right"] {
                let (shared, dispatch) = (shared.clone(), dispatch.clone());
                scope.spawn(move || {
                    tracing::dispatcher::with_default(&dispatch, || {
                        let _entered = shared.enter();
                        span!("on a thread", side = name).in_scope(|| ());
                    });
                });
            }
        });
    });
    assert_eq!(capture.stats().live(), 0);
    insta::assert_snapshot!(tree(&capture), @r#"
    shared
    ├─ on a thread {side="left"}
    └─ on a thread {side="right"}
    "#);
}

#[test]
fn entered_spans_left_out_of_order() {
    let capture = Capture::start();
    let _here = capture.attach();
    tracing::subscriber::with_default(subscriber(), || {
        let (outer, inner) = (info_span!("outer"), info_span!(parent: None, "inner"));
        let outer = outer.entered();
        let native = span!("native").enter();
        let inner = inner.entered();
        drop(outer);
        span!("under inner").in_scope(|| ());
        drop(native);
        drop(inner);
        assert!(!Context::current().span_context().is_valid());
    });
    insta::assert_snapshot!(tree(&capture), @r"
    outer
    └─ native
    inner
    └─ under inner
    ");
}
