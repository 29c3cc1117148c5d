//! The role of actors: what the spans of their messages and of their lives are called, and what they say.
//!
//! Owns the names and attributes that are the same for every library of actors. OpenTelemetry's semantic conventions
//! (v1.44) have none for actors: these are this project's own, experimental. How a handler relates to its sender is the
//! [`Arrival`](crate::Arrival)'s; what wakes, restarts and stops an actor is the library's, or for actors on plain Tokio
//! [`Lifecycle`]'s.

mod asking;
mod life;
mod lifecycle;
mod live;
mod sites;

use std::fmt;

use throughline_core::{Callsite, LiveSpan, Span, short_type_name};

#[cfg(feature = "tokio")]
pub(crate) use self::asking::given_up;
pub use self::life::{Life, StopReason};
pub use self::lifecycle::{Lifecycle, Panicked};
pub use self::live::{ActorStats, stats};
use self::sites::Site;
use crate::arrival::Handler;
use crate::keys;
use crate::relation::Operation;

/// An actor, as the spans of its messages and of its [life](Life) tell it.
///
/// ```
/// use throughline_core::{Callsite, Context, callsite};
/// use throughline_messaging::actor::Identity;
/// use throughline_messaging::{Arrival, Operation, Policy, observe};
///
/// static HANDLE: Callsite = callsite!("handle", Internal);
///
/// # async fn add() {}
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let cart = Identity::of("mylibrary").actor_type("shop::Cart").id(&7);
/// let sender = Context::current();
/// // Their spans are called `Cart Add`.
/// let handlers = cart.handlers(&HANDLE, "shop::Add", Operation::Ask);
/// let mut span = Arrival::new(&sender, Operation::Ask).span(handlers.callsite(), &Policy::new());
/// handlers.describe(&mut span);
/// observe(span, add()).await;
/// # });
/// ```
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    system: &'static str,
    actor_type: Option<&'static str>,
    id: Option<&'a dyn fmt::Display>,
}

impl<'a> Identity<'a> {
    /// An actor of that library, which is all that is known of it.
    #[must_use]
    pub const fn of(system: &'static str) -> Self {
        Self {
            system,
            actor_type: None,
            id: None,
        }
    }

    /// The name of its type, as [`type_name`](std::any::type_name) gives it or shorter; spans have the
    /// [short](crate::short_type_name) one.
    #[must_use]
    pub const fn actor_type(mut self, name: &'static str) -> Self {
        self.actor_type = Some(name);
        self
    }

    /// Which actor of that type it is. Spans have it, metrics never: there are as many as actors.
    #[must_use]
    pub const fn id(mut self, id: &'a dyn fmt::Display) -> Self {
        self.id = Some(id);
        self
    }

    fn short_type(&self) -> Option<&'static str> {
        self.actor_type.map(short_type_name)
    }

    /// The handlers of such messages by such actors; `message` is the name of its type, as
    /// [`actor_type`](Self::actor_type) takes it, and `operation` what the sender does. Their callsites are like `library`, which belongs to the integration.
    ///
    /// A few nanoseconds, unless the thread had not to do with such messages lately.
    #[inline]
    #[must_use]
    pub fn handlers(
        &self,
        library: &'static Callsite,
        message: &'static str,
        operation: Operation,
    ) -> Handlers<'a> {
        let site = self.actor_type.map(|actor| Site {
            library,
            system: self.system,
            actor,
            message,
            operation,
        });
        let callsite = site.map_or(library, Site::callsite);
        Handlers {
            actor: *self,
            message,
            operation,
            callsite,
            says_all: !std::ptr::eq(callsite, library),
        }
    }

    /// What metrics say: never which actor it is.
    fn labels(&self, message: &'static str) -> [(&'static str, Option<&'static str>); 3] {
        [
            (keys::ACTOR_SYSTEM.name(), Some(self.system)),
            (keys::ACTOR_TYPE.name(), self.short_type()),
            (keys::MESSAGE_TYPE.name(), Some(message)),
        ]
    }

    /// Calls the span `{actor type} {what}`, and says who the actor is.
    fn describe(&self, span: &mut LiveSpan, what: &str) {
        self.describe_type(span, what);
        self.put_id(span);
    }

    fn describe_type(&self, span: &mut LiveSpan, what: &str) {
        span.attribute(&keys::ACTOR_SYSTEM, self.system);
        match self.short_type() {
            Some(actor) => {
                span.update_name_parts(&[actor, " ", what]);
                span.attribute(&keys::ACTOR_TYPE, actor);
            }
            None => span.update_name(what),
        }
    }

    fn put_id(&self, span: &mut LiveSpan) {
        if let Some(id) = self.id {
            span.attribute(&keys::ACTOR_ID, format_args!("{id}"));
        }
    }
}

/// The handlers of one type of messages, in one actor.
#[derive(Clone, Copy, Debug)]
pub struct Handlers<'a> {
    actor: Identity<'a>,
    message: &'static str,
    operation: Operation,
    callsite: &'static Callsite,
    /// Whether the callsite says all but which actor it is: else it is the library's.
    says_all: bool,
}

impl Handlers<'_> {
    /// Where their spans are made: they are called `{actor type} {message type}`, and say what both are and what the sender
    /// does, once and for all. It is the library's own callsite where the type of the actor is not known, or for more types
    /// than a program has.
    #[must_use]
    pub const fn callsite(&self) -> &'static Callsite {
        self.callsite
    }

    /// Says of the span which actor it is, and what the callsite does not say.
    pub fn describe(&self, span: &mut Span) {
        if !self.says_all {
            let message = short_type_name(self.message);
            span.label(|| self.actor.labels(message));
            span.edit(|span| {
                self.actor.describe_type(span, message);
                span.attribute(&keys::MESSAGE_TYPE, message);
                span.attribute(&keys::MESSAGE_OPERATION, self.operation.name());
            });
        }
        span.edit(|span| self.actor.put_id(span));
    }

    /// Says of a handler whose trace is not sampled what the callsite does not, as far as somebody measures it.
    #[inline]
    pub fn describe_unsampled(&self, handler: &mut Handler) {
        if !self.says_all {
            handler.label_unsampled(|| self.actor.labels(short_type_name(self.message)));
        }
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("system", &self.system)
            .field("actor_type", &self.actor_type)
            .field("id", &self.id.map(|id| format!("{id}")))
            .finish()
    }
}

/// Gives the span of a message the outcome *abandoned*: whoever asked is gone.
///
/// [`observe`](crate::observe) does so by itself where the handler replies through a channel of this crate.
pub fn abandoned(span: &mut Span) {
    span.attribute(&keys::OUTCOME, "abandoned");
}

/// Gives the span of a message the outcome *undelivered*: nobody handles it.
pub fn undelivered(span: &mut Span) {
    span.attribute(&keys::OUTCOME, "undelivered");
}
