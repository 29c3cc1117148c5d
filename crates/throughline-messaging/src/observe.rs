//! Handling under observation: the future of a handler, and what code within it can tell about the message.
//!
//! Owns how a handler's span ends, and that two layers which observe the same message make one span. The span is entered
//! around every poll and held across none.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;
use throughline_core::handler::{InUnsampled, TakenOver, take_over};
use throughline_core::{
    CurrentSpan, InSpan, Inspect, NoInspection, Span, Status, current, expansion,
};

use crate::arrival::{Handler, Kind};

/// Runs a handler in its span: current whenever the future is polled, ended with its outcome when it is done.
///
/// The outcome is that of any span (completed, cancelled, panicked, error where the handler sets that status), and
/// *abandoned* where the handler replies and nobody waits any more. A layer further in that observes the same message
/// [joins](join) this span and makes none of its own.
///
/// ```
/// use throughline_core::Context;
/// use throughline_messaging::{Arrival, Operation, Policy, Subject, observe};
/// # use throughline_core::{Callsite, callsite};
/// # static HANDLE: Callsite = callsite!("Cart Add", Internal);
/// # async fn add() {}
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let sender = Context::current();
/// let arrival = Arrival::new(&sender, Operation::Tell);
/// let handler = arrival.handler(&Subject::new(), &HANDLE, &Policy::new(), |_| ());
/// observe(handler, add()).await;
/// # });
/// ```
#[inline(always)]
pub fn observe<F: Future>(handler: impl Into<Handler>, future: F) -> Observed<F> {
    observe_with(handler, future, NoInspection)
}

/// Like [`observe`] for a handler that may fail: an `Err` is recorded as the span's error.
pub fn try_observe<F, R, E>(
    handler: impl Into<Handler>,
    future: F,
) -> Observed<F, impl Inspect<Result<R, E>>>
where
    F: Future<Output = Result<R, E>>,
    E: fmt::Display,
{
    observe_with(handler, future, expansion::ErrorInspection)
}

/// Like [`observe`]; `inspect` sees what the handler returned before the span ends.
#[inline(always)]
pub fn observe_with<F: Future, I: Inspect<F::Output>>(
    handler: impl Into<Handler>,
    future: F,
    inspect: I,
) -> Observed<F, I> {
    let running = match handler.into().0 {
        Kind::Span(mut span) => {
            span.offer();
            let inner = InSpan::new(span, future, Untold(inspect));
            Running::Span { inner }
        }
        Kind::Unsampled(handler) => {
            let inner = InUnsampled::new(handler, future, inspect);
            Running::Unsampled { inner }
        }
    };
    Observed { running }
}

/// Joins the span of a layer further out that observes the same message, if there is one: runs `tell` on it, unless its
/// trace is not sampled.
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
#[inline]
pub fn join(tell: impl FnOnce(&CurrentSpan)) -> bool {
    match take_over(None) {
        None => false,
        Some(TakenOver::Unsampled) => true,
        Some(TakenOver::Span) => {
            tell(&current());
            true
        }
    }
}

pin_project! {
    /// What [`observe`] returns.
    #[must_use = "futures do nothing unless polled"]
    pub struct Observed<F, I = NoInspection> {
        #[pin]
        running: Running<F, I>,
    }
}

pin_project! {
    #[project = Projected]
    enum Running<F, I> {
        Span { #[pin] inner: InSpan<F, Untold<I>> },
        Unsampled { #[pin] inner: InUnsampled<F, I> },
    }
}

impl<F: Future, I: Inspect<F::Output>> Future for Observed<F, I> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        match self.project().running.project() {
            Projected::Span { inner } => inner.poll(cx),
            Projected::Unsampled { inner } => inner.poll(cx),
        }
    }
}

impl<F, I> fmt::Debug for Observed<F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner: &dyn fmt::Debug = match &self.running {
            Running::Span { inner } => inner,
            Running::Unsampled { inner } => inner,
        };
        f.debug_tuple("Observed").field(inner).finish()
    }
}

/// Looks at what the handler returned, unless an error was told already: by a layer further in that observes the same
/// message, or by the handler.
struct Untold<I>(I);

impl<T, I: Inspect<T>> Inspect<T> for Untold<I> {
    #[inline]
    fn inspect(&mut self, output: &T, span: &mut Span) {
        if span.edit(|span| span.status()) != Some(Status::Error) {
            self.0.inspect(output, span);
        }
    }

    #[inline]
    fn error_type(&self, output: &T) -> Option<&'static str> {
        self.0.error_type(output)
    }
}
