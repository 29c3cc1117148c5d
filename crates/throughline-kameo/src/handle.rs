//! The handler of one message in its span.
//!
//! Owns what the task of an actor knows about the message that it handles: whether it was asked, and whether somebody
//! waits. Both are set around a handler and gone after it.

use std::any::{Any, type_name};
use std::future::Future;
use std::thread;

use kameo::Actor;
use kameo::actor::{ActorId, ActorRef};
use kameo::message::{BoxMessage, Context, Message};
use kameo::reply::{BoxReplySender, Reply, ReplyError};
use throughline_core::{Callsite, Inspect, Span, callsite, expansion};
use throughline_messaging::{Operation, Policy, Subject, actor as role, observe_with};

use crate::id::Id;
use crate::traced::{Traced, arrival};
use crate::{SYSTEM, lifecycle};

/// Handles a message as [`Actor::on_message`] does, and lets its span know what only kameo knows.
///
/// That is whether the message was asked or told, where the sender could not say, and whether the asker has gone before
/// the handler starts: then the span has the outcome *abandoned*. Without it, all else is the same. A message that is
/// not [`Traced`] is handled as ever.
///
/// ```
/// use kameo::error::Infallible;
/// use kameo::prelude::*;
/// use kameo::reply::{BoxReplySender, ReplyError};
///
/// struct Account;
///
/// impl Actor for Account {
///     type Args = Self;
///     type Error = Infallible;
///
///     async fn on_start(account: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
///         Ok(account)
///     }
///
///     async fn on_message(
///         &mut self,
///         message: BoxMessage<Self>,
///         actor_ref: ActorRef<Self>,
///         reply: Option<BoxReplySender>,
///         stop: &mut bool,
///     ) -> Result<(), Box<dyn ReplyError>> {
///         throughline_kameo::on_message(self, message, actor_ref, reply, stop).await
///     }
/// }
/// ```
///
/// # Errors
///
/// What the handler of a tell returned as its error.
pub async fn on_message<A: Actor>(
    actor: &mut A,
    message: BoxMessage<A>,
    actor_ref: ActorRef<A>,
    reply: Option<BoxReplySender>,
    stop: &mut bool,
) -> Result<(), Box<dyn ReplyError>> {
    let seen = Seen {
        asked: reply.is_some(),
        abandoned: reply.as_ref().is_some_and(BoxReplySender::is_closed),
    };
    SEEN.scope(seen, message.handle_dyn(actor, actor_ref, reply, stop))
        .await
}

/// Runs the handler of the message in its span: what [`traced_actor!`](crate::traced_actor!) prints.
#[inline]
pub fn handle<'actor, 'ctx, A, M>(
    actor: &'actor mut A,
    traced: Traced<M>,
    ctx: &'ctx mut Context<A, <A as Message<M>>::Reply>,
    policy: &Policy,
) -> impl Future<Output = <A as Message<M>>::Reply> + Send + use<'actor, 'ctx, A, M>
where
    A: Message<M>,
    M: Send + 'static,
{
    let (message, envelope) = traced.open();
    let seen = SEEN.try_with(|seen| *seen).ok();
    let operation = match (envelope.operation(), seen) {
        (Operation::Tell | Operation::Ask, Some(seen)) if seen.asked => Operation::Ask,
        (Operation::Tell | Operation::Ask, Some(_)) => Operation::Tell,
        (said, _) => said,
    };
    let id = ctx.actor_ref().id();
    let name = <A as Message<M>>::name();
    let subject = Subject::new().actor(<A as Actor>::name()).message(name);
    let arrival = arrival(&envelope, operation);
    let written = Id(id);
    let known = role::Identity::of(SYSTEM)
        .actor_type(<A as Actor>::name())
        .id(&written);
    let handlers = known.handlers(&HANDLE, name, operation);
    let mut observed = arrival.handler(&subject, handlers.callsite(), policy, |span| {
        handlers.describe(span);
        if seen.is_some_and(|seen| seen.abandoned) {
            role::abandoned(span);
        }
    });
    handlers.describe_unsampled(&mut observed);
    let failing = Failing(id);
    let handler = async move {
        let failing = failing;
        let reply = <A as Message<M>>::handle(actor, message, ctx).await;
        // An error goes to the asker, where there is one; else it is the actor's.
        if operation != Operation::Ask {
            failing.came_back(&reply);
        }
        reply
    };
    let observed = observe_with(observed, handler, ReplyInspection);
    OPERATION.scope(operation, observed)
}

/// Whether the handler that runs here answers an ask.
pub(crate) fn operation_here() -> Operation {
    OPERATION
        .try_with(|operation| *operation)
        .unwrap_or_default()
}

/// Records the error that a handler replied with. Of replies that come from elsewhere nothing is known yet.
struct ReplyInspection;

impl<R: Reply> Inspect<R> for ReplyInspection {
    fn inspect(&mut self, reply: &R, span: &mut Span) {
        if let Some(result) = as_result(reply) {
            expansion::inspect_err_debug(result, span);
        }
    }

    fn error_type(&self, reply: &R) -> Option<&'static str> {
        as_result(reply)?.is_err().then(type_name::<R::Error>)
    }
}

/// A reply that says of itself whether it is an error: `Result`s do.
fn as_result<R: Reply>(reply: &R) -> Option<&Result<R::Ok, R::Error>> {
    (reply as &dyn Any).downcast_ref()
}

/// Remembers which message an actor failed at, for the span of what the actor does about it.
struct Failing(ActorId);

impl Failing {
    fn came_back<R: Reply>(self, reply: &R) {
        if as_result(reply).is_some_and(Result::is_err) {
            lifecycle::failed_here(self.0);
        }
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        if thread::panicking() {
            lifecycle::failed_here(self.0);
        }
    }
}

/// What kameo knows about the message that is handled.
#[derive(Clone, Copy, Debug)]
struct Seen {
    asked: bool,
    abandoned: bool,
}

tokio::task_local! {
    static SEEN: Seen;
    static OPERATION: Operation;
}

/// What the callsites of all handlers have in common.
pub(crate) static HANDLE: Callsite = callsite!("handle", Internal);
