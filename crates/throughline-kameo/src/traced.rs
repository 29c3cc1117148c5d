//! A message on its way, which is accounted for wherever it ends.

use std::any;
use std::sync::atomic::{AtomicBool, Ordering};

use kameo::actor::ActorId;
use throughline_core::Context;
use throughline_messaging::actor::{Identity, undelivered};
use throughline_messaging::{Arrival, Envelope, Operation, Policy, Relation, Starts, Subject};

use crate::{SYSTEM, handle};

/// A message with the context it was sent under: what travels to an actor that is [`traced_actor!`](crate::traced_actor!).
///
/// It holds identifiers, never a span. [`tell_traced`](crate::ActorRefExt::tell_traced) and its siblings make it by
/// themselves; make it by hand where kameo takes a message by another way, as for a
/// [`Recipient`](kameo::actor::Recipient), for [`Context::pipe`](kameo::message::Context::pipe) and for
/// [`Context::forward`](kameo::message::Context::forward).
///
/// A message that is dropped before an actor handled it gets a span with the outcome *undelivered*, where its sender's
/// trace is recorded; so does one that a mailbox refused, if whoever gets it back in the error drops it.
/// [`into_inner`](Self::into_inner) takes the message out and makes no span.
///
/// ```
/// use kameo::prelude::*;
/// use throughline_kameo::Traced;
///
/// #[derive(Actor)]
/// struct Mailer;
/// struct Mail(&'static str);
///
/// impl Message<Mail> for Mailer {
///     type Reply = ();
///     async fn handle(&mut self, _: Mail, _: &mut Context<Self, ()>) {}
/// }
/// throughline_kameo::traced_actor!(Mailer);
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let recipient = Mailer::spawn(Mailer).recipient::<Traced<Mail>>();
/// recipient.tell(Traced::tell(Mail("welcome"))).await?;
/// # Ok::<(), kameo::error::SendError<Traced<Mail>>>(())
/// # }).map_err(drop).unwrap();
/// ```
#[derive(Debug)]
pub struct Traced<M> {
    message: M,
    ticket: Ticket,
}

/// All but the message. Where it is dropped unused, nobody handled the message.
#[derive(Debug)]
struct Ticket {
    envelope: Envelope<()>,
    /// The type and the identifier of the actor, where the sender knows them.
    to: Option<(&'static str, ActorId)>,
    /// The type of the message, as long as nobody took it.
    message: Option<&'static str>,
    /// Whether there are copies, which are accounted for in its stead.
    copied: AtomicBool,
}

impl<M> Traced<M> {
    /// The message, sent under the context that is current now; the sender goes on.
    #[inline]
    pub fn tell(message: M) -> Self {
        Self::new(message, Envelope::new(()))
    }

    /// The same, for a message whose reply the sender waits for.
    #[inline]
    pub fn ask(message: M) -> Self {
        Self::new(message, Envelope::ask(()))
    }

    /// The same, for a message that a timer sends, or the actor to itself, later or again and again.
    pub fn timer(message: M) -> Self {
        Self::new(message, Envelope::timer(()))
    }

    /// The same, for a message that is sent on by a handler which leaves the reply to the next actor: an ask or a tell as
    /// the message is that the handler has.
    ///
    /// ```
    /// # use kameo::prelude::*;
    /// use throughline_kameo::Traced;
    /// # #[derive(Actor)]
    /// # struct Worker;
    /// # struct Job;
    /// # impl Message<Job> for Worker {
    /// #     type Reply = u32;
    /// #     async fn handle(&mut self, _: Job, _: &mut Context<Self, u32>) -> u32 { 7 }
    /// # }
    /// # throughline_kameo::traced_actor!(Worker);
    /// # #[derive(Actor)]
    /// # struct Router(ActorRef<Worker>);
    ///
    /// impl Message<Job> for Router {
    ///     type Reply = ForwardedReply<Traced<Job>, u32>;
    ///
    ///     async fn handle(&mut self, job: Job, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
    ///         ctx.forward(&self.0, Traced::forward(job)).await
    ///     }
    /// }
    /// # throughline_kameo::traced_actor!(Router);
    /// ```
    pub fn forward(message: M) -> Self {
        match handle::operation_here() {
            Operation::Ask => Self::ask(message),
            _ => Self::tell(message),
        }
    }

    #[inline]
    fn new(message: M, envelope: Envelope<()>) -> Self {
        let ticket = Ticket {
            envelope,
            to: None,
            message: Some(any::type_name::<M>()),
            copied: AtomicBool::new(false),
        };
        Self { message, ticket }
    }

    #[inline]
    pub(crate) const fn to(mut self, name: &'static str, id: ActorId) -> Self {
        self.ticket.to = Some((name, id));
        self
    }

    /// The same message, sent under another context: one that was stored, or came from another process.
    #[must_use]
    pub fn with_context(mut self, context: Context) -> Self {
        self.ticket.envelope = self.ticket.take().with_context(context);
        self.ticket.message = Some(any::type_name::<M>());
        self
    }

    /// Hints at the relation of the handler's span to the sender's; the actor's own policy goes first.
    #[must_use]
    pub fn with_relation(mut self, hint: Relation) -> Self {
        self.ticket.envelope = self.ticket.take().with_relation(hint);
        self.ticket.message = Some(any::type_name::<M>());
        self
    }

    /// The message.
    #[must_use]
    pub const fn message(&self) -> &M {
        &self.message
    }

    /// The context it was sent under.
    #[must_use]
    pub const fn context(&self) -> &Context {
        self.ticket.envelope.context()
    }

    /// The message without the rest, for whoever sees to it in another way.
    ///
    /// ```
    /// # use kameo::error::SendError;
    /// # use throughline_kameo::Traced;
    /// # let refused: SendError<Traced<u32>> = SendError::MailboxFull(Traced::tell(7));
    /// let refused: SendError<u32> = refused.map_msg(Traced::into_inner);
    /// ```
    #[must_use]
    pub fn into_inner(self) -> M {
        self.open().0
    }

    #[inline]
    pub(crate) fn open(self) -> (M, Envelope<()>) {
        let Self {
            message,
            mut ticket,
        } = self;
        (message, ticket.take())
    }
}

impl<M: Clone> Clone for Traced<M> {
    /// The same message for one more actor, as a publisher makes it: each copy is accounted for, and the one that was
    /// copied may be dropped.
    fn clone(&self) -> Self {
        Self {
            message: self.message.clone(),
            ticket: self.ticket.copy(),
        }
    }
}

impl Ticket {
    fn copy(&self) -> Self {
        // Relaxed: it is read by whoever drops the ticket, and by then nobody else has it.
        self.copied.store(true, Ordering::Relaxed);
        Self {
            envelope: self.envelope.clone(),
            to: self.to,
            message: self.message,
            copied: AtomicBool::new(false),
        }
    }

    /// The envelope; from now on there is nothing undelivered.
    #[inline]
    fn take(&mut self) -> Envelope<()> {
        self.message = None;
        self.envelope.clone()
    }

    /// Nobody handled the message.
    #[cold]
    #[inline(never)]
    fn left_behind(&mut self, message: &'static str) {
        if !*self.copied.get_mut() && self.envelope.context().span_context().is_sampled() {
            self.undelivered(message);
        }
    }

    /// A span that says so: it starts and ends where the wait does.
    #[cold]
    fn undelivered(&self, message: &'static str) {
        let policy = Policy::new().starts(Starts::Nothing);
        let operation = self.envelope.operation();
        let mut subject = Subject::new().message(message);
        if let Some((actor, _)) = self.to {
            subject = subject.actor(actor);
        }
        let arrival = arrival(&self.envelope, operation);
        let mut known = Identity::of(SYSTEM);
        if let Some((actor, id)) = &self.to {
            known = known.actor_type(actor).id(id);
        }
        let handlers = known.handlers(&handle::HANDLE, message, operation);
        let mut span = arrival.span_of(&subject, handlers.callsite(), &policy);
        handlers.describe(&mut span);
        undelivered(&mut span);
    }
}

impl Drop for Ticket {
    #[inline]
    fn drop(&mut self) {
        if let Some(message) = self.message {
            self.left_behind(message);
        }
    }
}

/// The message at the moment somebody takes it.
#[inline]
pub(crate) fn arrival(envelope: &Envelope<()>, operation: Operation) -> Arrival<'_> {
    Arrival::new(envelope.context(), operation)
        .hint(envelope.relation())
        .sent(envelope.enqueued())
}
