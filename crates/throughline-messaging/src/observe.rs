//! Handling under observation: the future of a handler, and what code within it can tell about the message.
//!
//! Owns the one hop that a thread is in: which span handles a message, whether a second layer that observes the same
//! message has joined it, and whether anybody still waits for the reply. It is entered around every poll and held
//! across none.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;
use throughline_core::{
    Context, CurrentSpan, InSpan, Inspect, NoInspection, Span, SpanId, Status, current, expansion,
};

use crate::keys;
use crate::swapped::Swapped;

/// Runs a handler in its span: current whenever the future is polled, ended with its outcome when it is done.
///
/// The outcome is that of any span (completed, cancelled, panicked, error where the handler sets that status), and
/// *abandoned* where the handler replies and nobody waits any more. A layer further in that observes the same message
/// [joins](join) this span and makes none of its own.
///
/// ```
/// use throughline_core::Context;
/// use throughline_messaging::{Arrival, Operation, Policy, observe};
/// # use throughline_core::{Callsite, callsite};
/// # static HANDLE: Callsite = callsite!("Cart Add", Internal);
/// # async fn add() {}
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let sender = Context::current();
/// let span = Arrival::new(&sender, Operation::Tell).span(&HANDLE, &Policy::new());
/// observe(span, add()).await;
/// # });
/// ```
pub fn observe<F: Future>(span: Span, handler: F) -> Observed<F> {
    observe_with(span, handler, NoInspection)
}

/// Like [`observe`] for a handler that may fail: an `Err` is recorded as the span's error.
pub fn try_observe<F, R, E>(span: Span, handler: F) -> Observed<F, impl Inspect<Result<R, E>>>
where
    F: Future<Output = Result<R, E>>,
    E: fmt::Display,
{
    observe_with(span, handler, expansion::inspect_err_display::<R, E>)
}

/// Like [`observe`]; `inspect` sees what the handler returned before the span ends.
pub fn observe_with<F: Future, I: Inspect<F::Output>>(
    span: Span,
    handler: F,
    inspect: I,
) -> Observed<F, I> {
    let hop = Hop {
        span: span.context().span_context().span_id(),
        joined: false,
        abandoned: false,
    };
    Observed {
        inner: InSpan::new(span, handler, Ending(inspect)),
        hop,
    }
}

/// Joins the span of a layer further out that observes the same message, if there is one: runs `tell` on it.
///
/// It is the same message if the handler's span is current, and nobody joined it before; what a handler does after that
/// is work of its own. So a host's integration and an attribute on the handler make one span, whichever is there.
///
/// ```
/// use throughline_messaging::{join, observe};
/// # use throughline_core::{Callsite, Span, callsite};
/// # static HANDLE: Callsite = callsite!("handle", Internal);
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// assert!(!join(|_| ()), "nobody observes");
/// # let recorder = throughline_core::Recorder::start(throughline_core::RecorderConfig::default());
/// # let _here = recorder.context().attach();
/// # let span = Span::start(&HANDLE);
/// observe(span, async {
///     assert!(join(|span| span.update_name("Cart Add")));
///     assert!(!join(|_| ()), "the message is one already");
/// })
/// .await;
/// # });
/// ```
pub fn join(tell: impl FnOnce(&CurrentSpan)) -> bool {
    let Some(hop) = HOP.get().filter(|hop| !hop.joined) else {
        return false;
    };
    let here = Context::current().span_context().span_id();
    if !here.is_valid() || hop.span != here {
        return false;
    }
    HOP.set(Some(Hop {
        joined: true,
        ..hop
    }));
    tell(&current());
    true
}

/// Nobody waits for the reply of the handler that runs here.
#[cfg(feature = "tokio")]
pub(crate) fn abandon() {
    if let Some(hop) = HOP.get() {
        HOP.set(Some(Hop {
            abandoned: true,
            ..hop
        }));
    }
}

/// The handling of one message.
#[derive(Clone, Copy, Debug)]
struct Hop {
    span: SpanId,
    joined: bool,
    abandoned: bool,
}

thread_local! {
    static HOP: Cell<Option<Hop>> = const { Cell::new(None) };
}

pin_project! {
    /// What [`observe`] returns.
    #[must_use = "futures do nothing unless polled"]
    pub struct Observed<F, I = NoInspection> {
        #[pin]
        inner: InSpan<F, Ending<I>>,
        hop: Hop,
    }
}

impl<F: Future, I: Inspect<F::Output>> Future for Observed<F, I> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let here = Swapped::lend(&HOP, this.hop);
        let polled = this.inner.poll(cx);
        drop(here);
        polled
    }
}

impl<F, I> fmt::Debug for Observed<F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed")
            .field("hop", &self.hop)
            .finish_non_exhaustive()
    }
}

/// Tells how the handler ended before its span does.
struct Ending<I>(I);

impl<T, I: Inspect<T>> Inspect<T> for Ending<I> {
    #[inline]
    fn inspect(&mut self, output: &T, span: &mut Span) {
        let hop = HOP.get();
        // A layer that joined has told of its error already, and this one would tell of it again.
        if !hop.is_some_and(|hop| hop.joined)
            || span.edit(|span| span.status()) != Some(Status::Error)
        {
            self.0.inspect(output, span);
        }
        if hop.is_some_and(|hop| hop.abandoned) {
            span.attribute(&keys::OUTCOME, "abandoned");
        }
    }
}
