//! The handler of an event, and whether the projection got on by it.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;
use throughline_core::NoInspection;

use crate::lag::Progress;
use crate::observe::Observed;
use crate::swapped::Swapped;

pin_project! {
    /// What [`Projection::handle`](crate::Projection::handle) and its siblings return.
    #[must_use = "futures do nothing unless polled"]
    pub struct Handled<F: Future, I = NoInspection> {
        #[pin]
        inner: Observed<F, I>,
        progress: Option<Progress>,
        failed: bool,
        succeeds: fn(&F::Output) -> bool,
    }
}

impl<F: Future, I> Handled<F, I> {
    /// A handler after which that progress was made, if it succeeds.
    pub(crate) const fn new(
        inner: Observed<F, I>,
        progress: Option<Progress>,
        succeeds: fn(&F::Output) -> bool,
    ) -> Self {
        Self {
            inner,
            progress,
            failed: false,
            succeeds,
        }
    }
}

impl<F, I> Future for Handled<F, I>
where
    F: Future,
    Observed<F, I>: Future<Output = F::Output>,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        if this.progress.is_none() {
            return this.inner.poll(cx);
        }
        let here = Swapped::lend(&FAILED, this.failed);
        let polled = this.inner.poll(cx);
        drop(here);
        if let Poll::Ready(output) = &polled
            && let Some(progress) = this.progress.take()
            && !*this.failed
            && (this.succeeds)(output)
        {
            progress.made();
        }
        polled
    }
}

impl<F: Future, I> fmt::Debug for Handled<F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handled")
            .field("inner", &self.inner)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

/// The event that the thread handles was not handled well.
pub(crate) fn failed() {
    if FAILED.get().is_some() {
        FAILED.set(Some(true));
    }
}

thread_local! {
    /// Whether the event that the thread handles failed, if somebody wants to know.
    static FAILED: Cell<Option<bool>> = const { Cell::new(None) };
}
