//! The same work on every kind of runtime.

use std::future::Future;
use std::pin::Pin;

use throughline::testing::{Capture, TreeOptions};
use throughline::{FutureExt, runtime, span, traced};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// A traced function that is pending once.
#[traced(attrs(number = number))]
pub(crate) async fn step(number: u32) -> u32 {
    tokio::task::yield_now().await;
    number
}

/// What runs concurrently has no order, so siblings are drawn by name.
pub(crate) fn picture(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "spans that never ended");
    capture.tree_with(&TreeOptions::new().sorted_by_name())
}

pub(crate) fn multi_thread() -> Runtime {
    let mut builder = runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all();
    builder.build().expect("a runtime")
}

pub(crate) fn current_thread() -> Runtime {
    let mut builder = runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

type Boxed<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs the work in a span `root` on a current-thread and on a multi-thread runtime, and on both in a `LocalSet`.
/// Returns the picture, which is the same on all of them.
pub(crate) fn on_every_runtime<F: Future<Output = ()>>(work: impl Fn() -> F) -> String {
    let in_root = |drive: &dyn Fn(Boxed<'_>)| {
        let capture = Capture::start();
        let _here = capture.attach();
        drive(Box::pin(work().in_span(span!("root"))));
        picture(&capture)
    };
    let pictures = [
        in_root(&|work| current_thread().block_on(work)),
        in_root(&|work| multi_thread().block_on(work)),
        in_root(&|work| LocalSet::new().block_on(&current_thread(), work)),
        in_root(&|work| LocalSet::new().block_on(&multi_thread(), work)),
    ];
    all_the_same(pictures)
}

/// Like [`on_every_runtime`], for work that needs a `LocalSet`.
pub(crate) fn in_a_local_set<F: Future<Output = ()>>(work: impl Fn() -> F) -> String {
    let on = |runtime: Runtime| {
        let capture = Capture::start();
        let _here = capture.attach();
        LocalSet::new().block_on(&runtime, work().in_span(span!("root")));
        picture(&capture)
    };
    all_the_same([on(current_thread()), on(multi_thread())])
}

fn all_the_same<const N: usize>(pictures: [String; N]) -> String {
    let [first, rest @ ..] = pictures.as_slice() else {
        return String::new();
    };
    for other in rest {
        assert_eq!(first, other, "the same tree on every runtime");
    }
    first.clone()
}
