//! A future or a call that is in one span after the other: a loop that handles each message in a span of its own.
//!
//! Owns when such a span is current, and how it ends. The code of the loop stays part of its function, so that `break`,
//! `continue`, `return` and `?` mean what they say; a [`Turn`] on its stack says where a span begins and where it is
//! left. Rules:
//!
//! 1. Between two polls the span lies beside the future. While the future is polled, it is current, and the thread knows
//!    the turns that it belongs to. A call is polled once.
//! 2. A turn that is left while the future is polled was left by the program: its span ends with the next turn, when the
//!    future waits, or with what the future returns, whichever is first, at the time when it was left.
//! 3. A turn that is left otherwise is one of a future that is dropped, and its span is cancelled, or one that a panic came
//!    out of.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::thread;

use pin_project_lite::pin_project;

use crate::clock::{self, Ticks};
use crate::kind::{Outcome, Status};
use crate::live::LiveSpan;
use crate::span::{Poll as PollOfSpan, Span};
use crate::unwound;

/// The span of a turn, and where the turn is.
struct Turns {
    span: Span,
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    /// There is none.
    Nowhere,
    /// The turn goes on, and the future waits.
    Waiting,
    /// The turn goes on, in this poll.
    Polled(PollOfSpan),
    /// The turn was left at that time.
    Left(Ticks),
}

thread_local! {
    /// The turns of the future that the thread polls.
    static TURNS: Cell<Option<Turns>> = const { Cell::new(None) };
}

/// Replaces the turns that the thread knows; a thread that is ending knows none.
fn replace(turns: Option<Turns>) -> Option<Turns> {
    TURNS
        .try_with(|cell| cell.replace(turns))
        .unwrap_or_default()
}

impl Turns {
    const fn none() -> Self {
        Self {
            span: Span::disabled(),
            place: Place::Nowhere,
        }
    }

    fn poll_begins(&mut self) {
        if matches!(self.place, Place::Waiting) {
            self.place = Place::Polled(self.span.begin_poll(false));
        }
    }

    fn poll_ends(&mut self) {
        if let Place::Polled(poll) = self.place {
            if thread::panicking() {
                self.span.end_poll(poll.uncounted());
                self.span.mark_unwound();
                unwound::note(&self.span);
            } else {
                self.span.end_poll(poll);
            }
            self.place = Place::Waiting;
        }
    }

    /// Lets `tell` see what the loop's function returned, if that was in a turn that has no error yet: what a handler
    /// within failed with is on the span already.
    fn told<R>(&mut self, output: &R, tell: impl FnOnce(&R)) {
        let failed = self.span.live().map(LiveSpan::status) == Some(Status::Error);
        if matches!(self.place, Place::Left(_)) && !failed {
            let poll = self.span.begin_uncounted();
            tell(output);
            self.span.end_poll(poll);
        }
    }

    /// What has become of a turn that nothing goes on with.
    fn outcome(&self) -> Outcome {
        if self.span.live().is_some_and(LiveSpan::was_unwound) {
            Outcome::Panicked
        } else {
            Outcome::Cancelled
        }
    }

    /// Ends the span of a turn that was left.
    fn settle(&mut self) {
        if let Place::Left(left) = self.place {
            self.place = Place::Nowhere;
            self.span.finish(Outcome::Completed, Some(left));
        }
    }
}

/// Begins a turn of the future that is polled here: its span was started just now.
///
/// Elsewhere nothing can make the span current, and it ends.
pub(crate) fn turn(span: Span) -> Turn {
    if let Some(mut turns) = replace(None) {
        turns.settle();
        turns.span = span;
        turns.place = Place::Polled(turns.span.begin_poll(true));
        replace(Some(turns));
    }
    Turn { _private: () }
}

/// A turn in which nothing is handled: it has no span, and what the function returns in it is nobody's.
pub(crate) const fn no_turn() -> Turn {
    Turn { _private: () }
}

/// Says that the turn before was left without leaving the function: what that returns is not the turn's.
pub(crate) fn turns_are_over() {
    if let Some(mut turns) = replace(None) {
        turns.settle();
        replace(Some(turns));
    }
}

/// A turn that goes on until this is dropped.
#[derive(Debug)]
#[must_use = "a turn goes on until this is dropped"]
pub struct Turn {
    _private: (),
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(mut turns) = replace(None) else {
            return;
        };
        // While the thread unwinds, whoever polls sees to it.
        if let Place::Polled(poll) = turns.place
            && !thread::panicking()
        {
            let left = turns.span.end_poll(poll);
            turns.place = Place::Left(left.unwrap_or_else(clock::now));
        }
        replace(Some(turns));
    }
}

pin_project! {
    /// What [`in_turns`](crate::expansion::in_turns) returns.
    #[must_use = "futures do nothing unless polled"]
    pub struct InTurns<F, T> {
        // Emptied by the destructor, so that the wrapped value is dropped while the span is current.
        #[pin]
        inner: Option<F>,
        turns: Turns,
        tell: T,
    }

    impl<F, T> PinnedDrop for InTurns<F, T> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.turns.settle();
            let outcome = this.turns.outcome();
            let span = &mut this.turns.span;
            // The turn that ends here is nobody else's.
            let outer = replace(None);
            let poll = span.begin_uncounted();
            this.inner.set(None);
            span.end_poll(poll);
            replace(outer);
            span.finish(outcome, None);
        }
    }
}

/// Runs a future that begins turns; `tell` sees what it returns, with the span current of a turn that was left with it.
pub(crate) const fn in_turns<F: Future, T: Fn(&F::Output)>(future: F, tell: T) -> InTurns<F, T> {
    InTurns {
        inner: Some(future),
        turns: Turns::none(),
        tell,
    }
}

/// Runs a call that begins turns, as [`in_turns`] runs a future.
pub(crate) fn call_in_turns<R>(call: impl FnOnce() -> R, tell: impl FnOnce(&R)) -> R {
    let mut here = Called(Turns::none());
    let polled = Here::new(&mut here.0);
    let output = call();
    drop(polled);
    here.0.told(&output, tell);
    output
}

/// The turns of a call, the last of which ends with it.
struct Called(Turns);

impl Drop for Called {
    fn drop(&mut self) {
        self.0.settle();
        let outcome = self.0.outcome();
        self.0.span.finish(outcome, None);
    }
}

/// The turns of a future on the thread that polls it, which go back to their place, also by unwinding.
struct Here<'a> {
    home: &'a mut Turns,
    outer: Option<Turns>,
}

impl<'a> Here<'a> {
    fn new(home: &'a mut Turns) -> Self {
        let mut turns = std::mem::replace(home, Turns::none());
        turns.poll_begins();
        Self {
            home,
            outer: replace(Some(turns)),
        }
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        if let Some(mut turns) = replace(self.outer.take()) {
            turns.poll_ends();
            *self.home = turns;
        }
    }
}

impl<F: Future, T: Fn(&F::Output)> Future for InTurns<F, T> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Pending;
        };
        let here = Here::new(this.turns);
        let polled = inner.poll(cx);
        drop(here);
        if let Poll::Ready(output) = &polled {
            this.turns.told(output, &*this.tell);
        }
        this.turns.settle();
        polled
    }
}

impl<F, T> fmt::Debug for InTurns<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InTurns").finish_non_exhaustive()
    }
}
