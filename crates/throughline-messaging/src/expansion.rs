//! What the expansions of the role attributes call. Not public API: it changes with the macros.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;
use throughline_core::expansion::{Arrived, Carries};
use throughline_core::{Callsite, Context, LiveSpan, Span, current, expansion};

use crate::delivery::Delivery;
use crate::keys;
use crate::observe::{HOP, Hop, join};
use crate::policy::Policy;
use crate::selection::{Subject, selected};
use crate::swapped::Swapped;

/// Starts the span of a handler and lets `fill` record what it starts with, unless a layer further out observes the
/// same message: then that span becomes one of this callsite and takes over what `fill` records, and the one that is
/// returned is disabled.
pub fn start_handler(callsite: &'static Callsite, fill: impl FnOnce(&mut LiveSpan)) -> Span {
    if !callsite.is_enabled() {
        return Span::disabled();
    }
    let mut fill = Some(fill);
    let joined = join(|current| {
        current.edit(|span| {
            span.adopt(callsite);
            if let Some(fill) = fill.take() {
                fill(span);
            }
        });
    });
    if joined {
        return Span::disabled();
    }
    match fill {
        Some(fill) if may_start(&Subject::new(), callsite) => expansion::start(callsite, fill),
        _ => Span::disabled(),
    }
}

/// Whether the selection of the process lets a handler have a span here that nobody else observes.
fn may_start(subject: &Subject<'_>, callsite: &'static Callsite) -> bool {
    let selected = selected(subject, callsite, &Policy::new());
    selected.start || selected.trace && Context::current().span_context().is_valid()
}

impl<T> Carries for Delivery<T> {
    fn handler_span(&self, callsite: &'static Callsite) -> Span {
        self.span_at(callsite)
    }

    fn message_type(&self) -> &'static str {
        std::any::type_name::<T>()
    }
}

/// Runs a function that handles each message it receives in a turn; `tell` looks at what it returns, if it returns from
/// within one.
pub fn in_turns<F: Future, T: Fn(&F::Output)>(
    future: F,
    tell: T,
) -> InTurns<expansion::InTurns<F, T>> {
    InTurns {
        inner: expansion::in_turns(future, tell),
        hop: Hop::NONE,
    }
}

/// Begins to handle a message that was received: until the turn is dropped. A layer further in joins its span.
pub fn turn(arrived: Arrived, fill: impl FnOnce(&mut LiveSpan, &'static str)) -> Turn {
    let span = match arrived.from_nobody() {
        Some((callsite, message)) if !may_start(&Subject::new().message(message), callsite) => {
            Span::disabled()
        }
        _ => arrived.into_span(fill),
    };
    HOP.set(Some(Hop::of(&span)));
    Turn {
        _inner: expansion::turn_in(span),
    }
}

/// A turn that goes on until this is dropped.
#[derive(Debug)]
#[must_use = "a turn goes on until this is dropped"]
pub struct Turn {
    _inner: expansion::Turn,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Of a future that is dropped the thread knows no hop, or somebody else's.
        if HOP.get().is_some_and(|hop| hop.is_here() && hop.abandoned) {
            current().set_attribute(keys::OUTCOME, "abandoned");
        }
    }
}

pin_project! {
    /// What [`in_turns`] returns.
    #[must_use = "futures do nothing unless polled"]
    pub struct InTurns<F> {
        #[pin]
        inner: F,
        hop: Hop,
    }
}

impl<F: Future> Future for InTurns<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let here = Swapped::lend(&HOP, this.hop);
        let polled = this.inner.poll(cx);
        drop(here);
        polled
    }
}

impl<F> fmt::Debug for InTurns<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InTurns").finish_non_exhaustive()
    }
}
