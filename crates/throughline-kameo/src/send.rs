//! Sending with a context: the requests are kameo's own, so that each of their forms is there.

use kameo::Actor;
use kameo::actor::ActorRef;
use kameo::message::Message;
use kameo::request::{AskRequest, TellRequest, WithoutRequestTimeout};

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
}

impl<A: Actor> ActorRefExt<A> for ActorRef<A> {
    fn tell_traced<M>(&self, message: M) -> TellRequest<'_, A, Traced<M>, WithoutRequestTimeout>
    where
        A: Message<Traced<M>>,
        M: Send + 'static,
    {
        self.tell(Traced::tell(message).to(<A as Actor>::name(), self.id()))
    }

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

    fn timer_traced<M>(&self, message: M) -> TellRequest<'_, A, Traced<M>, WithoutRequestTimeout>
    where
        A: Message<Traced<M>>,
        M: Send + 'static,
    {
        self.tell(Traced::timer(message).to(<A as Actor>::name(), self.id()))
    }
}
