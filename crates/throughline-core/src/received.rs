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
use crate::turns::turns_are_over;
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
            sender: self.0.map_or(Sender::NoMessage, |message| {
                Sender::Known(message.handler_span(callsite))
            }),
            message_type: self.0.map_or("", M::message_type),
        }
    }
}

impl<M> ArrivedFromNobody for Message<'_, M> {
    fn arrived(&self, callsite: &'static Callsite) -> Arrived {
        Arrived {
            callsite,
            sender: self.0.map_or(Sender::NoMessage, |_| Sender::Unknown),
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

/// What [`each`] returns.
pub struct Each<I, L> {
    inner: I,
    look: L,
}

/// What a `for` receives, and what a look at each message says. The turn before is over when the next message is waited
/// for.
pub fn each<I, L>(receiver: I, look: L) -> Each<I::IntoIter, L>
where
    I: IntoIterator,
    L: FnMut(&I::Item) -> Arrived,
{
    Each {
        inner: receiver.into_iter(),
        look,
    }
}

impl<I: Iterator, L: FnMut(&I::Item) -> Arrived> Iterator for Each<I, L> {
    type Item = (I::Item, Arrived);

    fn next(&mut self) -> Option<Self::Item> {
        turns_are_over();
        let received = self.inner.next()?;
        let arrived = (self.look)(&received);
        Some((received, arrived))
    }
}

impl<I, L> fmt::Debug for Each<I, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Each").finish_non_exhaustive()
    }
}

/// What a loop received, and whose message it has not begun to handle.
pub struct Arrived {
    callsite: &'static Callsite,
    sender: Sender,
    message_type: &'static str,
}

/// What is known of the sender of what was received.
enum Sender {
    /// The message brought a context along, and this is the span of its handler.
    Known(Span),
    /// The handler's span is to be started under whatever is current.
    Unknown,
    /// No message was received: the channel is closed, or the receive failed.
    NoMessage,
}

impl Arrived {
    /// The callsite of the handler and the type of the message, as [`type_name`] has it, where nobody is known to have
    /// sent it.
    #[must_use]
    pub const fn from_nobody(&self) -> Option<(&'static Callsite, &'static str)> {
        match self.sender {
            Sender::Unknown => Some((self.callsite, self.message_type)),
            Sender::Known(_) | Sender::NoMessage => None,
        }
    }

    /// Whether a message was received at all.
    #[must_use]
    pub const fn is_message(&self) -> bool {
        !matches!(self.sender, Sender::NoMessage)
    }

    /// The type of the message, without its path; empty if there is none.
    pub fn message_type(&self) -> &'static str {
        short_type_name(self.message_type)
    }

    /// The span of the handler, with what `fill` records on it, which is given the type of the message without its path;
    /// disabled if there is no message.
    pub fn into_span(self, fill: impl FnOnce(&mut LiveSpan, &'static str)) -> Span {
        let (callsite, message_type) = (self.callsite, self.message_type());
        let mut span = match self.sender {
            Sender::Known(span) => span,
            Sender::Unknown => {
                let mut span = Span::start(callsite);
                span.arrived(callsite, None);
                span
            }
            Sender::NoMessage => return Span::disabled(),
        };
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
