//! Sending with a context: the requests are kameo's own, so that each of their forms is there.

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_core::Stream;
use kameo::Actor;
use kameo::actor::ActorRef;
use kameo::error::SendError;
use kameo::message::{Message, StreamMessage};
use kameo::reply::Reply;
use kameo::request::{AskRequest, TellRequest, WithoutRequestTimeout};
use throughline_core::FutureExt;
use throughline_messaging::Relation;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::lifecycle::identity;
use crate::traced::Traced;

/// Sends messages that bring their sender's context along.
///
/// What the methods return are kameo's requests, with all their forms: awaited, `send`, `try_send`, `blocking_send`,
/// `send_after`, `enqueue`, `forward`, with timeouts. The context is the one that is current where the method is called,
/// and the wait starts there. An error that gives the message back gives it as [`Traced`].
pub trait ActorRefExt<A: Actor> {
    /// [`ActorRef::tell`], with the context that is current now.
    ///
    /// # Errors
    ///
    /// The request's, as kameo has them.
    ///
    /// ```
    /// # use kameo::prelude::*;
    /// use throughline_kameo::{ActorRefExt, Traced};
    /// # #[derive(Actor)]
    /// # struct Counter;
    /// # struct Add(u32);
    /// # impl Message<Add> for Counter {
    /// #     type Reply = ();
    /// #     async fn handle(&mut self, _: Add, _: &mut Context<Self, ()>) {}
    /// # }
    /// # throughline_kameo::traced_actor!(Counter);
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let counter = Counter::spawn(Counter);
    /// counter.tell_traced(Add(1)).await?;
    /// if let Err(SendError::MailboxFull(add)) = counter.tell_traced(Add(2)).try_send() {
    ///     counter.tell(add).await?; // The message, its context and the begin of its wait.
    /// }
    /// # Ok::<(), SendError<Traced<Add>>>(())
    /// # }).map_err(drop).unwrap();
    /// ```
    #[track_caller]
    fn tell_traced<M>(&self, message: M) -> TellRequest<'_, A, Traced<M>, WithoutRequestTimeout>
    where
        A: Message<Traced<M>>,
        M: Send + 'static;

    /// [`ActorRef::ask`], with the context that is current now.
    ///
    /// # Errors
    ///
    /// The request's, as kameo has them.
    #[track_caller]
    fn ask_traced<M>(
        &self,
        message: M,
    ) -> AskRequest<'_, A, Traced<M>, WithoutRequestTimeout, WithoutRequestTimeout>
    where
        A: Message<Traced<M>>,
        M: Send + 'static;

    /// [`ask_traced`](Self::ask_traced), for so long and no longer: then the question is given up, and the actor finds that
    /// nobody waits.
    ///
    /// A question that is given up is an event of the current span, and is warned of with the place of this call. A timeout
    /// of the request itself is told of by nobody.
    ///
    /// # Errors
    ///
    /// The request's, as kameo has them; [`SendError::Timeout`] where the time is over.
    ///
    /// # Panics
    ///
    /// As Tokio's timers do, in a runtime without time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kameo::prelude::*;
    /// use throughline_kameo::ActorRefExt;
    /// # #[derive(Actor)]
    /// # struct Account;
    /// # struct Balance;
    /// # impl Message<Balance> for Account {
    /// #     type Reply = i64;
    /// #     async fn handle(&mut self, _: Balance, _: &mut Context<Self, i64>) -> i64 { 7 }
    /// # }
    /// # throughline_kameo::traced_actor!(Account);
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let account = Account::spawn(Account);
    /// let balance = account.ask_within(Duration::from_secs(60), Balance).await;
    /// assert_eq!(balance.ok(), Some(7));
    /// # });
    /// ```
    #[track_caller]
    fn ask_within<M>(
        &self,
        limit: Duration,
        message: M,
    ) -> impl Future<Output = Answer<A, M>> + Send
    where
        A: Message<Traced<M>>,
        M: Send + 'static;

    /// [`ActorRef::tell`] for a message that comes by itself, from a timer or from the actor: a tick that sets the next
    /// one makes no endless trace.
    ///
    /// Its handler gets no span, or where the actor's policy lets [timers start](throughline_messaging::Starts) a trace,
    /// one of its own that links the span which set the timer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kameo::prelude::*;
    /// use throughline_kameo::ActorRefExt;
    /// # #[derive(Actor)]
    /// # struct Clock;
    /// # struct Tick;
    ///
    /// impl Message<Tick> for Clock {
    ///     type Reply = ();
    ///
    ///     async fn handle(&mut self, _: Tick, ctx: &mut Context<Self, ()>) {
    ///         ctx.actor_ref().timer_traced(Tick).send_after(Duration::from_secs(1));
    ///     }
    /// }
    /// # throughline_kameo::traced_actor!(Clock);
    /// ```
    ///
    /// # Errors
    ///
    /// The request's, as kameo has them.
    #[track_caller]
    fn timer_traced<M>(&self, message: M) -> TellRequest<'_, A, Traced<M>, WithoutRequestTimeout>
    where
        A: Message<Traced<M>>,
        M: Send + 'static;

    /// [`ActorRef::attach_stream`], whose items bring the context along that is current now.
    ///
    /// A stream may go on for ever, so that each item's handler starts a trace of its own, which links the span that
    /// attached the stream; an actor whose [policy](throughline_messaging::Policy) says `child` continues that trace. The
    /// stream is polled in the current context.
    ///
    /// # Errors
    ///
    /// The task's, as kameo's has them: the actor does not run any more.
    ///
    /// # Panics
    ///
    /// As `tokio::spawn` does, outside of a runtime.
    ///
    /// ```
    /// # use kameo::prelude::*;
    /// use kameo::message::StreamMessage;
    /// use throughline_kameo::ActorRefExt;
    /// # #[derive(Actor)]
    /// # struct Sum(u32);
    ///
    /// impl Message<StreamMessage<u32, (), ()>> for Sum {
    ///     type Reply = ();
    ///
    ///     async fn handle(&mut self, item: StreamMessage<u32, (), ()>, _: &mut Context<Self, ()>) {
    ///         if let StreamMessage::Next(number) = item {
    ///             self.0 += number;
    ///         }
    ///     }
    /// }
    /// # throughline_kameo::traced_actor!(Sum);
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let sum = Sum::spawn(Sum(0));
    /// let numbers = futures::stream::iter([1, 2, 3]);
    /// assert!(sum.attach_stream_traced(numbers, (), ()).await.unwrap().is_ok());
    /// # });
    /// ```
    fn attach_stream_traced<M, S, T, F>(
        &self,
        stream: S,
        start_value: T,
        finish_value: F,
    ) -> JoinHandle<Attached<S, M, T, F>>
    where
        A: Message<Traced<StreamMessage<M, T, F>>>,
        S: Stream<Item = M> + Send + Unpin + 'static,
        M: Send + 'static,
        T: Send + 'static,
        F: Send + 'static;
}

impl<A: Actor> ActorRefExt<A> for ActorRef<A> {
    #[inline]
    fn tell_traced<M>(&self, message: M) -> TellRequest<'_, A, Traced<M>, WithoutRequestTimeout>
    where
        A: Message<Traced<M>>,
        M: Send + 'static,
    {
        self.tell(Traced::tell(message).to(<A as Actor>::name(), self.id()))
    }

    #[inline]
    fn ask_traced<M>(
        &self,
        message: M,
    ) -> AskRequest<'_, A, Traced<M>, WithoutRequestTimeout, WithoutRequestTimeout>
    where
        A: Message<Traced<M>>,
        M: Send + 'static,
    {
        self.ask(Traced::ask(message).to(<A as Actor>::name(), self.id()))
    }

    #[track_caller]
    fn ask_within<M>(
        &self,
        limit: Duration,
        message: M,
    ) -> impl Future<Output = Answer<A, M>> + Send
    where
        A: Message<Traced<M>>,
        M: Send + 'static,
    {
        let asker = Location::caller();
        let asked = self.ask_traced(message);
        async move {
            let answer = timeout(limit, asked.send()).await;
            answer.unwrap_or_else(|_| {
                identity::<A>(&self.id()).ask_timed_out(limit, asker);
                Err(SendError::Timeout(None))
            })
        }
    }

    fn timer_traced<M>(&self, message: M) -> TellRequest<'_, A, Traced<M>, WithoutRequestTimeout>
    where
        A: Message<Traced<M>>,
        M: Send + 'static,
    {
        self.tell(Traced::timer(message).to(<A as Actor>::name(), self.id()))
    }

    fn attach_stream_traced<M, S, T, F>(
        &self,
        mut stream: S,
        start_value: T,
        finish_value: F,
    ) -> JoinHandle<Attached<S, M, T, F>>
    where
        A: Message<Traced<StreamMessage<M, T, F>>>,
        S: Stream<Item = M> + Send + Unpin + 'static,
        M: Send + 'static,
        T: Send + 'static,
        F: Send + 'static,
    {
        let actor = self.clone();
        let attached = async move {
            let tell = |message| {
                let message = Traced::tell(message).with_relation(Relation::Link);
                let message = message.to(<A as Actor>::name(), actor.id());
                actor.tell(message).send()
            };
            tell(StreamMessage::Started(start_value)).await?;
            let mut shutdown = pin!(actor.wait_for_shutdown());
            loop {
                tokio::select! {
                    item = next(&mut stream) => match item {
                        Some(item) => tell(StreamMessage::Next(item)).await?,
                        None => break,
                    },
                    _ = &mut shutdown => return Ok(stream),
                }
            }
            tell(StreamMessage::Finished(finish_value)).await?;
            Ok(stream)
        };
        tokio::spawn(attached.in_current_context())
    }
}

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

/// What comes of a stream that was attached: the stream itself, or the item that the actor did not take.
type Attached<S, M, T, F> = Result<S, SendError<Traced<StreamMessage<M, T, F>>>>;

/// What a question comes to.
type Answer<A, M> = Result<OkOf<A, M>, SendError<Traced<M>, ErrorOf<A, M>>>;
/// What an actor replies to a message.
type OkOf<A, M> = <<A as Message<Traced<M>>>::Reply as Reply>::Ok;
/// What it replies if it cannot do what it is asked for.
type ErrorOf<A, M> = <<A as Message<Traced<M>>>::Reply as Reply>::Error;
