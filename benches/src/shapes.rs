//! The shapes of traces, written once for every path. Generic code is compiled for each path, so that
//! a shape costs a path nothing but a loop.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use crate::order::Order;
use crate::paths::Path;
use crate::scenario::Shape;

/// Records `traces` traces of one shape on the calling thread.
pub(crate) type Record<P> = fn(&P, u64);

/// The function that records `shape` with `A` attributes on every span.
pub(crate) fn recorder<P: Path, const A: usize>(shape: Shape) -> Record<P> {
    match shape {
        Shape::Wide => wide::<P, A>,
        Shape::Deep => deep::<P, A>,
        Shape::Async => concurrent::<P, A>,
    }
}

/// Spans in one trace of `shape`.
pub(crate) const fn spans_per_trace(shape: Shape) -> u64 {
    match shape {
        Shape::Wide | Shape::Async => 1 + CHILDREN,
        Shape::Deep => DEPTH,
    }
}

/// Polls `future` to its end without a runtime and without a wake-up.
pub(crate) fn drive(future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    while future.as_mut().poll(&mut context).is_pending() {}
}

/// A future that is polled a fixed number of times.
#[derive(Debug)]
pub(crate) struct Polls {
    left: u32,
}

impl Polls {
    /// A future that is ready at its poll number `polls`.
    pub(crate) const fn new(polls: u32) -> Self {
        Self { left: polls }
    }
}

impl Future for Polls {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<()> {
        self.left -= 1;
        if self.left == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

fn wide<P: Path, const A: usize>(path: &P, traces: u64) {
    for _ in 0..traces {
        path.root::<A>(&Order::new(), || {
            for _ in 0..CHILDREN {
                path.child::<A>(&Order::new(), || ());
            }
        });
    }
}

fn deep<P: Path, const A: usize>(path: &P, traces: u64) {
    fn descend<P: Path, const A: usize>(path: &P, levels: u64) {
        if levels > 0 {
            path.child::<A>(&Order::new(), || descend::<P, A>(path, levels - 1));
        }
    }
    for _ in 0..traces {
        path.root::<A>(&Order::new(), || descend::<P, A>(path, DEPTH - 1));
    }
}

fn concurrent<P: Path, const A: usize>(path: &P, traces: u64) {
    let child = || path.child_future::<A, _>(Order::new(), Polls::new(POLLS));
    for _ in 0..traces {
        drive(path.root_future::<A, _>(Order::new(), async {
            // The children are made at the root's first poll, when it is the current span; all ten
            // futures are then polled four times.
            futures::join!(
                child(),
                child(),
                child(),
                child(),
                child(),
                child(),
                child(),
                child(),
                child(),
            );
        }));
    }
}

const CHILDREN: u64 = 9;
const DEPTH: u64 = 50;
const POLLS: u32 = 4;
