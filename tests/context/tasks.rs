//! Whatever is spawned is a child of where it was spawned, through the carrying functions and, in traced bodies, through
//! Tokio's own.

use throughline::task::{
    Handle, JoinSet, LocalSet, TaskTracker, spawn, spawn_blocking, spawn_local,
};
use throughline::testing::Capture;
use throughline::{Context, FutureExt, span, traced};

use crate::runtimes::{
    current_thread, in_a_local_set, multi_thread, on_every_runtime, picture, step,
};

fn blocking(number: u32) -> u32 {
    span!("blocking", number = number).in_scope(|| number)
}

#[test]
fn hop_spawn() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        assert_eq!(spawn(step(1)).await.expect("no panic"), 1);
    }), @r"
    root
    └─ step {number=1}
    ");
}

#[test]
fn hop_spawn_blocking() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        spawn_blocking(|| blocking(1)).await.expect("no panic");
    }), @r"
    root
    └─ blocking {number=1}
    ");
}

#[test]
fn hop_spawn_local() {
    insta::assert_snapshot!(in_a_local_set(|| async {
        spawn_local(step(1)).await.expect("no panic");
    }), @r"
    root
    └─ step {number=1}
    ");
}

#[test]
fn hop_block_in_place() {
    let capture = Capture::start();
    let work = async {
        spawn(async {
            tokio::task::block_in_place(|| {
                blocking(1);
                tokio::runtime::Handle::current().block_on(step(2));
            });
            step(3).await;
        })
        .await
        .expect("no panic");
    };
    let _here = capture.attach();
    multi_thread().block_on(work.in_span(span!("root")));
    insta::assert_snapshot!(picture(&capture), @r"
    root
    ├─ blocking {number=1}
    ├─ step {number=2}
    └─ step {number=3}
    ");
}

#[test]
fn hop_join_set() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        let handle = tokio::runtime::Handle::current();
        let mut set: JoinSet<u32> = [step(1), step(2)].into_iter().collect();
        set.spawn(step(3));
        set.spawn_on(step(4), &handle);
        set.spawn_blocking(|| blocking(5));
        set.spawn_blocking_on(|| blocking(6), &handle);
        assert_eq!(set.join_all().await.iter().sum::<u32>(), 21);
    }), @r"
    root
    ├─ blocking {number=5}
    ├─ blocking {number=6}
    ├─ step {number=1}
    ├─ step {number=2}
    ├─ step {number=3}
    └─ step {number=4}
    ");
}

#[test]
fn hop_join_set_of_local_tasks() {
    insta::assert_snapshot!(in_a_local_set(|| async {
        let local = LocalSet::new();
        let mut set = JoinSet::new();
        set.spawn_local(step(1));
        set.spawn_local_on(step(2), &local);
        local.run_until(async { set.join_all().await }).await;
    }), @r"
    root
    ├─ step {number=1}
    └─ step {number=2}
    ");
}

#[test]
fn hop_local_set() {
    insta::assert_snapshot!(in_a_local_set(|| async {
        let local = LocalSet::new();
        let task = span!("spawns").in_scope(|| local.spawn_local(step(1)));
        let until = span!("runs until");
        local.run_until(async {
            step(2).await;
            task.await.expect("no panic");
        }.in_span(until)).await;
        // Nobody waits for this one: the set does.
        local.spawn_local(step(3));
        local.await;
    }), @r"
    root
    ├─ runs until
    │  └─ step {number=2}
    ├─ spawns
    │  └─ step {number=1}
    └─ step {number=3}
    ");
}

#[test]
fn hop_local_set_block_on() {
    let capture = Capture::start();
    let _here = capture.attach();
    let _root = span!("root").enter();
    let local = LocalSet::new();
    let task = local.spawn_local(step(1));
    local.block_on(&current_thread(), async {
        step(2).await;
        task.await.expect("no panic");
    });
    drop(_root);
    insta::assert_snapshot!(picture(&capture), @r"
    root
    ├─ step {number=1}
    └─ step {number=2}
    ");
}

#[test]
fn hop_handle() {
    let other = multi_thread();
    let handle = Handle::from(&other);
    insta::assert_snapshot!(on_every_runtime(|| async {
        handle.spawn(step(1)).await.expect("no panic");
        handle.spawn_blocking(|| blocking(2)).await.expect("no panic");
        Handle::current().spawn(step(3)).await.expect("no panic");
        std::thread::scope(|scope| {
            let context = Context::current();
            let handle = &handle;
            scope.spawn(move || {
                let _here = context.attach();
                handle.block_on(step(4));
            });
        });
    }), @r"
    root
    ├─ blocking {number=2}
    ├─ step {number=1}
    ├─ step {number=3}
    └─ step {number=4}
    ");
}

#[test]
fn hop_task_tracker() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        let handle = tokio::runtime::Handle::current();
        let tasks = TaskTracker::new();
        tasks.spawn(step(1));
        tasks.spawn_on(step(2), &handle);
        tasks.spawn_blocking(|| blocking(3));
        tasks.spawn_blocking_on(|| blocking(4), &handle);
        tasks.close();
        tasks.wait().await;
    }), @r"
    root
    ├─ blocking {number=3}
    ├─ blocking {number=4}
    ├─ step {number=1}
    └─ step {number=2}
    ");
}

#[test]
fn hop_task_tracker_of_local_tasks() {
    insta::assert_snapshot!(in_a_local_set(|| async {
        let local = LocalSet::new();
        let tasks = TaskTracker::new();
        tasks.spawn_local(step(1));
        tasks.spawn_local_on(step(2), &local);
        tasks.close();
        local.run_until(tasks.wait()).await;
    }), @r"
    root
    ├─ step {number=1}
    └─ step {number=2}
    ");
}

#[test]
fn hop_bare_spawns_in_a_traced_body() {
    #[traced]
    async fn fan_out() {
        tokio::spawn(step(1)).await.expect("no panic");
        tokio::task::spawn(async move {
            span!("block").in_scope(|| ());
            tokio::spawn(step(2)).await.expect("no panic");
        })
        .await
        .expect("no panic");
        let work = || blocking(3);
        tokio::task::spawn_blocking(work).await.expect("no panic");
        ::std::thread::spawn(|| blocking(4))
            .join()
            .expect("no panic");
        tokio::select! {
            done = tokio::spawn(step(5)) => drop(done),
        }
    }
    insta::assert_snapshot!(on_every_runtime(fan_out), @r"
    root
    └─ fan_out
       ├─ block
       ├─ blocking {number=3}
       ├─ blocking {number=4}
       ├─ step {number=1}
       ├─ step {number=2}
       └─ step {number=5}
    ");
}

#[test]
fn hop_bare_local_spawn_in_a_traced_body() {
    #[traced]
    async fn fan_out() {
        tokio::task::spawn_local(step(1)).await.expect("no panic");
    }
    insta::assert_snapshot!(in_a_local_set(fan_out), @r"
    root
    └─ fan_out
       └─ step {number=1}
    ");
}

#[test]
fn spawns_are_left_on_request() {
    #[traced(spawns = leave)]
    fn starts() -> std::thread::JoinHandle<Context> {
        std::thread::spawn(Context::current)
    }
    let capture = Capture::start();
    let _here = capture.attach();
    assert_eq!(starts().join().expect("no panic"), Context::default());
    insta::assert_snapshot!(picture(&capture), @r"starts");
}

#[test]
fn fan_out_keeps_one_parent() {
    let pictures = on_every_runtime(|| async {
        let mut set = JoinSet::new();
        for number in 0..100 {
            set.spawn(
                async move { spawn(step(number)).await.expect("no panic") }.in_span(span!("task")),
            );
        }
        assert_eq!(set.join_all().await.len(), 100);
    });
    let lines: Vec<&str> = pictures.lines().collect();
    assert_eq!(lines.len(), 201);
    let at_depth = |prefix: &str| lines.iter().filter(|line| line.starts_with(prefix)).count();
    assert_eq!(at_depth("├─ task") + at_depth("└─ task"), 100, "{pictures}");
}

#[test]
fn a_detached_task_does_not_hold_its_parent_open() {
    let capture = Capture::start();
    let _here = capture.attach();
    current_thread().block_on(async {
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        #[traced]
        fn parent(gone: tokio::sync::oneshot::Receiver<()>) -> tokio::task::JoinHandle<()> {
            tokio::spawn(async {
                gone.await.expect("the test tells");
                step(1).await;
            })
        }
        let task = parent(gone);
        assert_eq!(
            capture.stats().live(),
            0,
            "the parent ended while the task waits"
        );
        go.send(()).expect("the task waits");
        task.await.expect("no panic");
    });
    insta::assert_snapshot!(picture(&capture), @r"
    parent
    └─ step {number=1}
    ");
}
