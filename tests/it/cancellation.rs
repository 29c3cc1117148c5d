//! Futures that are dropped before they are ready.

use throughline::core::RecorderStats;
use throughline::testing::Capture;
use throughline::{Context, FutureExt, span, traced};

use crate::support::{poll_once, yield_once};

#[traced]
async fn work() {
    for step in 0..4 {
        step_of(step).await;
    }
}

#[traced(attrs(step = step))]
async fn step_of(step: i64) {
    yield_once().await;
    yield_once().await;
}

#[test]
fn a_future_may_be_dropped_at_each_poll() {
    for polls in 0..=9 {
        let capture = Capture::start();
        let _here = capture.attach();
        let before = Context::current();
        let mut future = Box::pin(work());
        let ready = (0..polls)
            .filter(|_| poll_once(future.as_mut()).is_ready())
            .count();
        drop(future);
        assert_eq!(Context::current(), before, "context after {polls} polls");
        let RecorderStats {
            started, published, ..
        } = capture.stats();
        assert_eq!(
            started, published,
            "started and published after {polls} polls"
        );
        assert_eq!(capture.stats().live(), 0);
        let cancelled = capture
            .spans()
            .iter()
            .filter(|span| span.attribute("span.outcome").is_some())
            .count();
        match (polls, ready) {
            (0, 0) => assert_eq!(started, 0, "a future that was never polled starts no span"),
            (9, 1) => assert_eq!((started, cancelled), (5, 0)),
            (_, 0) => assert_eq!(
                cancelled, 2,
                "the function and its step, dropped after {polls} polls"
            ),
            (polls, ready) => panic!("{polls} polls made it ready {ready} times"),
        }
    }
}

#[test]
fn a_cancelled_span_says_so() {
    let capture = Capture::start();
    let _here = capture.attach();
    let mut future = Box::pin(work());
    assert!(poll_once(future.as_mut()).is_pending());
    drop(future);
    insta::assert_snapshot!(capture.tree(), @r#"
    work {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    └─ step_of {step=0, span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    "#);
}

#[test]
fn the_inner_future_is_dropped_within_its_span() {
    struct Tells;
    impl Drop for Tells {
        fn drop(&mut self) {
            span!("destructor").in_scope(|| ());
        }
    }
    let capture = Capture::start();
    let _here = capture.attach();
    let tells = Tells;
    let mut future = Box::pin(
        async move {
            let _tells = tells;
            std::future::pending::<()>().await;
        }
        .in_span(span!("future")),
    );
    assert!(poll_once(future.as_mut()).is_pending());
    drop(future);
    insta::assert_snapshot!(capture.tree(), @r#"
    future {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    └─ destructor
    "#);
}

#[tokio::test]
async fn the_loser_of_a_select_is_cancelled_alone() {
    let capture = Capture::start();
    let race = async {
        tokio::select! {
            biased;
            () = std::future::pending::<()>().in_span(span!("loser")) => {}
            () = yield_once().in_span(span!("winner")) => {}
        }
    };
    capture
        .run(race.in_span(span!(parent: capture.context(), "race")))
        .await;
    insta::assert_snapshot!(capture.tree(), @r#"
    race
    ├─ loser {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    └─ winner
    "#);
}

#[tokio::test]
async fn an_aborted_task_ends_its_spans() {
    let capture = Capture::start();
    let _here = capture.attach();
    let (started, has_started) = tokio::sync::oneshot::channel();
    let task = throughline::task::spawn(
        async move {
            started.send(()).expect("the test waits");
            std::future::pending::<()>().await;
        }
        .in_span(span!("task")),
    );
    has_started.await.expect("the task starts");
    task.abort();
    assert!(task.await.expect_err("aborted").is_cancelled());
    assert_eq!(capture.stats().live(), 0);
    insta::assert_snapshot!(capture.tree(), @r#"task {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready"#);
}

#[test]
fn a_million_cancellations_leave_nothing() {
    let capture = Capture::start();
    let _here = capture.attach();
    let root = span!("root").enter();
    let under_root = Context::current();
    for _ in 0..1_000_000 {
        let mut future = std::pin::pin!(std::future::pending::<()>().in_span(span!("cancelled")));
        assert!(poll_once(future.as_mut()).is_pending());
    }
    assert_eq!(Context::current(), under_root);
    drop(root);
    let stats = capture.stats();
    assert_eq!(stats.started, 1_000_001);
    assert_eq!(stats.published + stats.dropped_full, stats.started);
    assert!(stats.buffer_bytes <= stats.buffer_limit_bytes);
}
