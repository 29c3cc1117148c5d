//! Rayon's jobs have the context of where they were made.

use rayon::prelude::*;
use throughline::rayon::{ParallelIteratorExt as _, ThreadPool, join, scope, spawn};
use throughline::testing::Capture;
use throughline::{Context, span};

use crate::runtimes::picture;

fn leaf(number: u32) -> u32 {
    span!("leaf", number = number).in_scope(|| number)
}

/// Runs the work on a pool of two threads, installed from within a span `root`, and returns the picture.
fn in_root(work: impl FnOnce(&ThreadPool) + Send) -> String {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let pool = ThreadPool::from(pool.expect("a pool"));
    let capture = Capture::start();
    let _here = capture.attach();
    span!("root").in_scope(|| work(&pool));
    pool.broadcast(|_| assert_eq!(Context::current(), Context::default()));
    picture(&capture)
}

#[test]
fn hop_rayon_install_and_join() {
    insta::assert_snapshot!(in_root(|pool| {
        pool.install(|| join(|| leaf(1), || join(|| leaf(2), || leaf(3))));
        pool.join(|| leaf(4), || leaf(5));
    }), @r"
    root
    ├─ leaf {number=1}
    ├─ leaf {number=2}
    ├─ leaf {number=3}
    ├─ leaf {number=4}
    └─ leaf {number=5}
    ");
}

#[test]
fn hop_rayon_scope_and_spawn() {
    insta::assert_snapshot!(in_root(|pool| {
        pool.scope(|scope| {
            scope.spawn(|scope| {
                span!("job").in_scope(|| scope.spawn(|_| _ = leaf(1)));
            });
        });
        pool.install(|| scope(|scope| scope.spawn(|_| _ = leaf(2))));
        let (done, is_done) = std::sync::mpsc::channel();
        let other = done.clone();
        pool.spawn(move || done.send(leaf(3)).expect("the test waits"));
        spawn(move || other.send(leaf(4)).expect("the test waits"));
        assert_eq!(is_done.iter().sum::<u32>(), 7);
    }), @r"
    root
    ├─ job
    │  └─ leaf {number=1}
    ├─ leaf {number=2}
    ├─ leaf {number=3}
    └─ leaf {number=4}
    ");
}

#[test]
fn hop_rayon_parallel_iterators() {
    insta::assert_snapshot!(in_root(|pool| {
        let sum: u32 = pool.install(|| {
            (1..=5_u32).into_par_iter().with_current_context().map(leaf).filter(|number| *number > 2).sum()
        });
        assert_eq!(sum, 12);
    }), @r"
    root
    ├─ leaf {number=1}
    ├─ leaf {number=2}
    ├─ leaf {number=3}
    ├─ leaf {number=4}
    └─ leaf {number=5}
    ");
}
