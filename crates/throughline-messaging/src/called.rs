//! A handler that is called with the first poll, and then is the future it returned.
//!
//! An `async` block would do the same. It keeps the handler, the message and the future beside each other, and whoever
//! handles the message moves all of them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// The handler and the message, and then the future.
    #[project = Projected]
    pub(crate) enum Called<H, T, F> {
        // Emptied by the call, which may unwind.
        Before { call: Option<(H, T)> },
        After { #[pin] future: F },
    }
}

impl<H: FnOnce(T) -> F, T, F> Called<H, T, F> {
    #[inline(always)]
    pub(crate) const fn new(handler: H, message: T) -> Self {
        Self::Before {
            call: Some((handler, message)),
        }
    }
}

impl<H: FnOnce(T) -> F, T, F: Future> Future for Called<H, T, F> {
    type Output = F::Output;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        if let Projected::Before { call } = self.as_mut().project() {
            let Some((handler, message)) = call.take() else {
                return Poll::Pending;
            };
            let future = handler(message);
            self.set(Self::After { future });
        }
        match self.project() {
            Projected::After { future } => future.poll(cx),
            Projected::Before { .. } => Poll::Pending,
        }
    }
}
