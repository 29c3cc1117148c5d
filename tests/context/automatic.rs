//! Automatic mode: on a runtime of our builder, bare spawns inherit the context. Only a program built with
//! `--cfg tokio_unstable` has it; the tests of the builder itself run everywhere.

use throughline::runtime::Builder;

#[test]
fn the_builder_builds_what_tokio_builds() {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .thread_name("of-ours")
        .exclude("src/background")
        .exclude_if(|place| place.file().ends_with("reaper.rs"))
        .max_trace_age(std::time::Duration::from_secs(60))
        .configure(|tokio| {
            tokio.global_queue_interval(31);
        });
    let runtime = builder.enable_all().build().expect("a runtime");
    let name = || std::thread::current().name().map(str::to_owned);
    let name = runtime.block_on(async { tokio::spawn(async move { name() }).await });
    assert_eq!(name.expect("no panic").as_deref(), Some("of-ours"));
}

#[cfg(tokio_unstable)]
mod unstable {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::StreamExt as _;
    use futures::stream::FuturesUnordered;
    use throughline::testing::Capture;
    use throughline::{Context, FutureExt as _, runtime::Builder, span};
    use tokio::task::JoinSet;

    use crate::runtimes::{current_thread, on_every_runtime, picture, step};

    #[test]
    fn hop_bare_spawn() {
        insta::assert_snapshot!(on_every_runtime(|| async {
            tokio::spawn(step(1)).await.expect("no panic");
        }), @r"
        root
        └─ step {number=1}
        ");
    }

    #[test]
    fn hop_bare_spawns_of_bare_spawns() {
        insta::assert_snapshot!(on_every_runtime(|| async {
            tokio::spawn(async {
                tokio::spawn(async {
                    step(1).await;
                    tokio::spawn(step(2).in_span(span!("inner")))
                        .await
                        .expect("no panic");
                })
                .await
                .expect("no panic");
            }.in_span(span!("outer")))
            .await
            .expect("no panic");
        }), @r"
        root
        └─ outer
           ├─ inner
           │  └─ step {number=2}
           └─ step {number=1}
        ");
    }

    #[test]
    fn hop_bare_join_set_and_handle() {
        insta::assert_snapshot!(on_every_runtime(|| async {
            let handle = tokio::runtime::Handle::current();
            let mut set = JoinSet::new();
            set.spawn(step(1));
            set.spawn_on(step(2), &handle);
            handle.spawn(step(3)).await.expect("no panic");
            set.join_all().await;
        }), @r"
        root
        ├─ step {number=1}
        ├─ step {number=2}
        └─ step {number=3}
        ");
    }

    #[test]
    fn hop_bare_task_tracker() {
        insta::assert_snapshot!(on_every_runtime(|| async {
            let tasks = tokio_util::task::TaskTracker::new();
            tasks.spawn(step(1));
            tasks.close();
            tasks.wait().await;
        }), @r"
        root
        └─ step {number=1}
        ");
    }

    #[test]
    fn hop_bare_futures_unordered_of_spawned_tasks() {
        insta::assert_snapshot!(on_every_runtime(|| async {
            let mut tasks: FuturesUnordered<_> = (1..=3).map(|n| tokio::spawn(step(n))).collect();
            while tasks.next().await.is_some() {}
        }), @r"
        root
        ├─ step {number=1}
        ├─ step {number=2}
        └─ step {number=3}
        ");
    }

    #[test]
    fn hop_bare_task_builder() {
        insta::assert_snapshot!(on_every_runtime(|| async {
            let named = tokio::task::Builder::new().name("one");
            named.spawn(step(1)).expect("a task").await.expect("no panic");
        }), @r"
        root
        └─ step {number=1}
        ");
    }

    /// Our builder carries the context by itself: also on a runtime without hooks, into closures and `LocalSet`s.
    #[test]
    fn hop_task_builder() {
        let capture = Capture::start();
        let _here = capture.attach();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let local = tokio::task::LocalSet::new();
        let work = async {
            let handle = tokio::runtime::Handle::current();
            let named = || throughline::task::Builder::new().name("named");
            let blocking = |number| move || span!("blocking", number = number).in_scope(|| ());
            let steps = [
                named().spawn(step(1)),
                named().spawn_on(step(2), &handle),
                named().spawn_local(step(3)),
                named().spawn_local_on(step(4), &local),
            ];
            for task in steps {
                task.expect("a task").await.expect("no panic");
            }
            let closures = [
                named().spawn_blocking(blocking(5)),
                named().spawn_blocking_on(blocking(6), &handle),
            ];
            for task in closures {
                task.expect("a task").await.expect("no panic");
            }
        };
        runtime.block_on(local.run_until(work.in_span(span!("root"))));
        insta::assert_snapshot!(picture(&capture), @r"
        root
        ├─ blocking {number=5}
        ├─ blocking {number=6}
        ├─ step {number=1}
        ├─ step {number=2}
        ├─ step {number=3}
        └─ step {number=4}
        ");
    }

    /// What the tasks of a busy runtime waited for stands on the spans that were open meanwhile.
    fn spans_of_a_blocked_runtime(
        schedule_latency: bool,
    ) -> Vec<throughline::testing::ReceivedSpan> {
        let capture = Capture::start();
        let _here = capture.attach();
        let mut builder = Builder::new_current_thread();
        let runtime = builder.schedule_latency(schedule_latency).build();
        runtime.expect("a runtime").block_on(
            async {
                let ready = Arc::new(tokio::sync::Notify::new());
                let waiter = tokio::spawn({
                    let ready = Arc::clone(&ready);
                    async move {
                        ready.notified().await;
                        tokio::task::yield_now().in_span(span!("young")).await;
                    }
                    .in_span(span!("waiter"))
                });
                tokio::task::yield_now().await;
                // The waiter is ready from here on, and the only thread is not.
                ready.notify_one();
                std::thread::sleep(BLOCKED);
                waiter.await.expect("no panic");
            }
            .in_span(span!("root")),
        );
        capture.spans()
    }

    const BLOCKED: Duration = Duration::from_millis(5);

    #[test]
    fn spans_say_how_long_their_tasks_were_ready_and_waited() {
        let spans = spans_of_a_blocked_runtime(true);
        let nanos = |name: &str, key: &str| {
            let span = spans.iter().find(|span| span.name == name).expect(name);
            match span.attribute(key) {
                Some(throughline::testing::Value::Int(nanos)) => *nanos,
                None => 0,
                other => panic!("{key} of {name} is {other:?}"),
            }
        };
        let blocked = i64::try_from(BLOCKED.as_nanos()).expect("short");
        let waited = nanos("waiter", "schedule_latency_ns");
        assert!(waited >= blocked, "{waited}");
        assert!(waited <= nanos("waiter", "idle_ns"), "{waited}");
        // It started in the poll that the other had waited for, so it did not.
        assert!(nanos("young", "schedule_latency_ns") < blocked);

        let spans = spans_of_a_blocked_runtime(false);
        let told = |key| {
            spans
                .iter()
                .filter(|span| span.attribute(key).is_some())
                .count()
        };
        assert_eq!((told("schedule_latency_ns"), told("idle_ns")), (0, 3));
    }

    #[test]
    fn hop_bare_fan_out_of_many() {
        let pictures = on_every_runtime(|| async {
            let mut set = JoinSet::new();
            // More than a thread remembers.
            for number in 0..3_000 {
                set.spawn(step(number));
            }
            assert_eq!(set.join_all().await.len(), 3_000);
        });
        assert_eq!(pictures.lines().count(), 3_001);
    }

    #[test]
    fn a_task_spawned_without_a_context_has_none_wherever_it_is_polled() {
        let runtime = current_thread();
        let task = runtime.spawn(async {
            let first = Context::current();
            tokio::task::yield_now().await;
            (first, Context::current())
        });
        let capture = Capture::start();
        let _here = capture.attach();
        let root = span!("root").enter();
        let (first, second) = runtime.block_on(task).expect("no panic");
        drop(root);
        assert!(!first.span_context().is_valid() && !second.span_context().is_valid());
    }

    #[test]
    fn places_can_be_excluded() {
        let capture = Capture::start();
        let mut builder = Builder::new_current_thread();
        let excluded = Arc::new(AtomicUsize::new(0));
        let line = Arc::clone(&excluded);
        builder.exclude_if(move |place| {
            place.file().ends_with("automatic.rs")
                && place.line() as usize == line.load(Ordering::Relaxed)
        });
        let runtime = builder.build().expect("a runtime");
        let _here = capture.attach();
        let work = async {
            for _ in 0..2 {
                excluded.store(line!() as usize + 1, Ordering::Relaxed);
                let excluded = tokio::spawn(async { Context::current() });
                let inherits = tokio::spawn(async { Context::current() });
                assert_eq!(
                    excluded.await.expect("no panic").span_context(),
                    Context::default().span_context()
                );
                assert_eq!(inherits.await.expect("no panic"), Context::current());
            }
        };
        runtime.block_on(work.in_span(span!("root")));
    }

    #[test]
    fn a_task_that_outlives_the_age_of_a_trace_starts_a_new_one() {
        let capture = Capture::start();
        let mut builder = Builder::new_current_thread();
        let runtime = builder
            .max_trace_age(Duration::ZERO)
            .build()
            .expect("a runtime");
        let _here = capture.attach();
        let work = async { tokio::spawn(step(1)).await.expect("no panic") };
        runtime.block_on(work.in_span(span!("root")));
        assert_eq!(capture.traces().len(), 2);
        insta::assert_snapshot!(picture(&capture), @r"
        root
        step {number=1}
        ");
    }

    #[test]
    fn hooks_of_the_user_run_in_the_context() {
        let capture = Capture::start();
        let counts: Arc<[AtomicUsize; 4]> = Arc::default();
        let count = |at: usize, needs_context: bool| {
            let counts = Arc::clone(&counts);
            move |_: &tokio::runtime::TaskMeta<'_>| {
                if !needs_context || Context::current().span_context().is_valid() {
                    counts[at].fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let mut builder = Builder::new_current_thread();
        builder
            .on_task_spawn(count(0, true))
            .on_before_task_poll(count(1, true))
            .on_after_task_poll(count(2, true))
            .on_task_terminate(count(3, false));
        let runtime = builder.build().expect("a runtime");
        let _here = capture.attach();
        let work = async { tokio::spawn(step(1)).await.expect("no panic") };
        runtime.block_on(work.in_span(span!("root")));
        drop(runtime);
        let counts = [0, 1, 2, 3].map(|at: usize| counts[at].load(Ordering::Relaxed));
        assert_eq!(counts, [1, 2, 2, 1]);
        insta::assert_snapshot!(picture(&capture), @r"
        root
        └─ step {number=1}
        ");
    }

    #[test]
    fn tasks_that_are_aborted_or_panic_leave_the_thread_as_it_was() {
        let capture = Capture::start();
        let runtime = current_thread();
        let _here = capture.attach();
        let work = async {
            let aborted = tokio::spawn(std::future::pending::<()>().in_span(span!("aborted")));
            let panics = tokio::spawn(
                async {
                    tokio::task::yield_now().await;
                    panic!("on purpose");
                }
                .in_span(span!("panics")),
            );
            tokio::task::yield_now().await;
            aborted.abort();
            assert!(aborted.await.is_err());
            assert!(panics.await.is_err());
            step(1).await;
        };
        runtime.block_on(work.in_span(span!("root")));
        assert_eq!(Context::current(), capture.context());
        insta::assert_snapshot!(picture(&capture), @r#"
        root
        ├─ aborted {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
        ├─ panics {span.outcome="panicked", error.type="panic"} error: panicked
        └─ step {number=1}
        "#);
    }
}
