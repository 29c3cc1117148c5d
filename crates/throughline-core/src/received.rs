//! What a receive loop was given: the message in it, whether that brings a sender's context along, and the span that
//! follows from both.
//!
//! Owns the looking inside, which the compiler does: of several traits that have a method of one name, it takes the
//! first that the type fits. Not public API: it is for what the role attributes print.

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use futures_core::future::FusedFuture;
use pin_project_lite::pin_project;

use crate::callsite::Callsite;
use crate::live::LiveSpan;
use crate::span::Span;
use crate::type_name::short_type_name;

/// A message that brings its sender's context along.
pub trait Carries {
    /// Starts the span of whoever handles it.
    fn handler_span(&self, callsite: &'static Callsite) -> Span;

    /// The type of the message, as [`type_name`] has it.
    fn message_type(&self) -> &'static str;
}

/// What was received, be it a message or something with a message in it.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a, T>(pub &'a T);

/// The message that was received, if there was one.
#[derive(Debug)]
pub struct Message<'a, M>(Option<&'a M>);

/// Two layers around the message.
pub trait MessageInTwo {
    /// What is in them.
    type Message;

    /// Looks inside.
    fn message(&self) -> Self::Message;
}

/// One layer around the message.
pub trait MessageInOne {
    /// What is in it.
    type Message;

    /// Looks inside.
    fn message(&self) -> Self::Message;
}

/// The message itself.
pub trait MessageItself {
    /// What it is.
    type Message;

    /// Looks at it.
    fn message(&self) -> Self::Message;
}

impl<'a, M, E> MessageInTwo for &&Received<'a, Option<Result<M, E>>> {
    type Message = Message<'a, M>;

    fn message(&self) -> Message<'a, M> {
        Message(self.0.as_ref().and_then(|result| result.as_ref().ok()))
    }
}

impl<'a, M, E> MessageInTwo for &&Received<'a, Result<Option<M>, E>> {
    type Message = Message<'a, M>;

    fn message(&self) -> Message<'a, M> {
        Message(self.0.as_ref().ok().and_then(Option::as_ref))
    }
}

impl<'a, M> MessageInOne for &Received<'a, Option<M>> {
    type Message = Message<'a, M>;

    fn message(&self) -> Message<'a, M> {
        Message(self.0.as_ref())
    }
}

impl<'a, M, E> MessageInOne for &Received<'a, Result<M, E>> {
    type Message = Message<'a, M>;

    fn message(&self) -> Message<'a, M> {
        Message(self.0.as_ref().ok())
    }
}

impl<'a, M> MessageItself for Received<'a, M> {
    type Message = Message<'a, M>;

    fn message(&self) -> Message<'a, M> {
        Message(Some(self.0))
    }
}

/// A message with a sender.
pub trait ArrivedFromSender {
    /// Ends the wait of the message, if there is one.
    fn arrived(&self, callsite: &'static Callsite) -> Arrived;
}

/// A message that says nothing of its sender.
pub trait ArrivedFromNobody {
    /// Says what it is.
    fn arrived(&self, callsite: &'static Callsite) -> Arrived;
}

impl<M: Carries> ArrivedFromSender for &Message<'_, M> {
    fn arrived(&self, callsite: &'static Callsite) -> Arrived {
        Arrived {
            callsite,
            span: self.0.map(|message| message.handler_span(callsite)),
            message_type: self.0.map_or("", M::message_type),
        }
    }
}

impl<M> ArrivedFromNobody for Message<'_, M> {
    fn arrived(&self, callsite: &'static Callsite) -> Arrived {
        Arrived {
            callsite,
            span: None,
            message_type: type_name::<M>(),
        }
    }
}

pin_project! {
    /// What [`looking`] returns.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Looking<F, L> {
        #[pin]
        inner: F,
        look: L,
    }
}

/// A receive among others: what is received, and what a look at it says. It waits as the future does.
pub const fn looking<F, L>(future: F, look: L) -> Looking<F, L>
where
    F: Future,
    L: FnMut(&F::Output) -> Arrived,
{
    Looking {
        inner: future,
        look,
    }
}

impl<F: Future, L: FnMut(&F::Output) -> Arrived> Future for Looking<F, L> {
    type Output = (F::Output, Arrived);

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let received = ready!(this.inner.poll(cx));
        let arrived = (this.look)(&received);
        Poll::Ready((received, arrived))
    }
}

impl<F, L> FusedFuture for Looking<F, L>
where
    F: FusedFuture,
    L: FnMut(&F::Output) -> Arrived,
{
    fn is_terminated(&self) -> bool {
        self.inner.is_terminated()
    }
}

/// A message that a loop received and has not begun to handle.
pub struct Arrived {
    callsite: &'static Callsite,
    /// None if it is to be started under whatever is current.
    span: Option<Span>,
    message_type: &'static str,
}

impl Arrived {
    /// The callsite of the handler and the type of the message, as [`type_name`] has it, where nobody is known to have
    /// sent it.
    #[must_use]
    pub const fn from_nobody(&self) -> Option<(&'static Callsite, &'static str)> {
        match self.span {
            None => Some((self.callsite, self.message_type)),
            Some(_) => None,
        }
    }

    /// The type of the message, without its path; empty if there is none.
    pub fn message_type(&self) -> &'static str {
        short_type_name(self.message_type)
    }

    /// The span of the handler, with what `fill` records on it, which is given the type of the message without its path.
    pub fn into_span(self, fill: impl FnOnce(&mut LiveSpan, &'static str)) -> Span {
        let (callsite, message_type) = (self.callsite, self.message_type());
        let mut span = self.span.unwrap_or_else(|| {
            let mut span = Span::start(callsite);
            span.arrived(callsite, None);
            span
        });
        span.edit(|span| fill(span, message_type));
        span
    }
}

impl fmt::Debug for Arrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrived")
            .field("message_type", &self.message_type)
            .finish_non_exhaustive()
    }
}
