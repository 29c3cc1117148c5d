//! Tasks, blocking work and join sets: whatever is spawned is a child of where it was spawned.

use throughline::task::{JoinSet, spawn, spawn_blocking, spawn_local};
use throughline::testing::{Capture, TreeOptions};
use throughline::{Context, FutureExt, span, traced};
use tokio::task::LocalSet;

use crate::support::{poll_once, yield_once};

/// Tasks run in any order; their names do not.
fn tree(capture: &Capture) -> String {
    capture.tree_with(&TreeOptions::new().sorted_by_name())
}

#[traced(attrs(number = number))]
async fn step(number: u32) -> u32 {
    yield_once().await;
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_spawn_keeps_the_parent() {
    let capture = Capture::start();
    let work = async {
        spawn(step(1)).await.expect("no panic");
        spawn_blocking(|| span!("blocking").in_scope(|| span!("in blocking").in_scope(|| ())))
            .await
            .expect("no panic");
        let mut set = JoinSet::new();
        set.spawn(step(2));
        set.spawn_blocking(|| span!("blocking in the set").in_scope(|| 0));
        set.spawn_on(step(3), &tokio::runtime::Handle::current());
        while let Some(done) = set.join_next().await {
            done.expect("no panic");
        }
        let set: JoinSet<u32> = [step(4), step(5)].into_iter().collect();
        assert_eq!(set.join_all().await.iter().sum::<u32>(), 9);
    };
    capture
        .run(async { work.in_span(span!("root")).await })
        .await;
    assert_eq!(capture.stats().live(), 0);
    insta::assert_snapshot!(tree(&capture), @r"
    root
    ├─ blocking
    │  └─ in blocking
    ├─ blocking in the set
    ├─ step {number=1}
    ├─ step {number=2}
    ├─ step {number=3}
    ├─ step {number=4}
    └─ step {number=5}
    ");
}

#[tokio::test]
async fn local_tasks_keep_the_parent() {
    let capture = Capture::start();
    let local = LocalSet::new();
    let work = async {
        spawn_local(step(1)).await.expect("no panic");
        let mut set = JoinSet::new();
        set.spawn_local(step(2));
        set.join_next().await.expect("one task").expect("no panic");
    };
    local
        .run_until(capture.run(async { work.in_span(span!("root")).await }))
        .await;
    insta::assert_snapshot!(tree(&capture), @r"
    root
    ├─ step {number=1}
    └─ step {number=2}
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_tasks_are_grandchildren_and_fan_out_has_one_parent() {
    let capture = Capture::start();
    let work = async {
        let mut set = JoinSet::new();
        for number in 0..3 {
            set.spawn(
                async move { spawn(step(number)).await.expect("no panic") }
                    .in_span(span!("task", number = number)),
            );
        }
        set.join_all().await;
    };
    capture
        .run(async { work.in_span(span!("root")).await })
        .await;
    let trace = &capture.traces()[0];
    let root = trace.find("root").expect("recorded").span_id;
    assert_eq!(trace.children(root).count(), 3);
    trace.assert_complete();
    assert_eq!(trace.len(), 7);
}

#[tokio::test]
async fn a_detached_task_does_not_hold_its_parent_open() {
    let capture = Capture::start();
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let _here = capture.attach();
    let task = span!("parent").in_scope(|| {
        spawn(async move {
            gone.await.expect("the test tells");
            step(1).await;
        })
    });
    assert_eq!(
        capture.stats().live(),
        0,
        "the parent ended while the task waits"
    );
    go.send(()).expect("the task waits");
    task.await.expect("no panic");
    insta::assert_snapshot!(tree(&capture), @r"
    parent
    └─ step {number=1}
    ");
}

#[tokio::test]
async fn a_task_spawned_without_a_context_has_none() {
    spawn(async { assert_eq!(Context::current(), Context::default()) })
        .await
        .expect("no panic");
}

#[traced]
async fn keeps_the_handle() {
    let span = throughline::current();
    span.set_attribute("first", true);
    yield_once().await;
    span!("inner").in_scope(|| ());
    span.set_attribute("second", true);
}

#[test]
fn the_handle_of_the_current_span_is_kept_across_await() {
    let capture = Capture::start();
    let _here = capture.attach();
    let mut work = Box::pin(keeps_the_handle());
    assert!(poll_once(work.as_mut()).is_pending());
    // It goes on where another span is current.
    let elsewhere = span!("elsewhere");
    let finish = move || elsewhere.in_scope(|| poll_once(work.as_mut()).is_ready());
    let finished = std::thread::spawn(finish).join();
    assert!(finished.expect("no panic"));
    insta::assert_snapshot!(tree(&capture), @r"
    keeps_the_handle {first=true, second=true}
    └─ inner
    elsewhere
    ");
}
