//! A future that is polled by a function: [`std::future::poll_fn`], compiled into whoever polls it.
//!
//! What it returns is a message or room for one, so that each call on the way costs a copy.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

/// Polled by that function.
pub(crate) struct Polled<F>(pub(crate) F);

// The function is called in place and never pinned.
impl<F> Unpin for Polled<F> {}

impl<T, F: FnMut(&mut TaskContext<'_>) -> Poll<T>> Future for Polled<F> {
    type Output = T;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<T> {
        (self.0)(cx)
    }
}
