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
/// let callsite = cart.handlers(&HANDLE, "shop::Add"); // its spans are called `Cart Add`
/// let mut span = Arrival::new(&sender, Operation::Ask).span(callsite, &Policy::new());
/// cart.describe_message(&mut span, callsite, "shop::Add", Operation::Ask);
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

    /// The callsite of the handlers of such messages by such actors: one like `library`, whose spans are called
    /// `{actor type} {message type}` and say what both are, once and for all; `message` is the name of its type, as
    /// [`actor_type`](Self::actor_type) takes it. `library` itself where the type of the actor is not known, or for more
    /// types than a program has.
    ///
    /// A few nanoseconds, unless the thread had not to do with such messages lately.
    #[must_use]
    pub fn handlers(&self, library: &'static Callsite, message: &'static str) -> &'static Callsite {
        let Some(actor) = self.actor_type else {
            return library;
        };
        let site = Site {
            library,
            system: self.system,
            actor,
            message,
        };
        site.callsite()
    }

    /// Says of the span of a handler, made at that callsite, which actor it is and what the sender does; and what the types
    /// of both are, unless the callsite is that of [their handlers](Self::handlers).
    pub fn describe_message(
        &self,
        span: &mut Span,
        callsite: &'static Callsite,
        message: &'static str,
        operation: Operation,
    ) {
        if callsite.has_attribute(keys::MESSAGE_TYPE.name()) {
            span.edit(|span| {
                self.put_id(span);
                span.attribute(&keys::MESSAGE_OPERATION, operation.name());
            });
            return;
        }
        let message = short_type_name(message);
        span.label(|| self.labels(message));
        span.edit(|span| {
            self.describe(span, message);
            span.attribute(&keys::MESSAGE_TYPE, message);
            span.attribute(&keys::MESSAGE_OPERATION, operation.name());
        });
    }

    /// Says the same of a handler whose trace is not sampled, as far as somebody measures it.
    pub fn describe_unsampled(
        &self,
        handler: &mut Handler,
        callsite: &'static Callsite,
        message: &'static str,
    ) {
        if !callsite.has_attribute(keys::MESSAGE_TYPE.name()) {
            handler.label_unsampled(|| self.labels(short_type_name(message)));
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
        span.attribute(&keys::ACTOR_SYSTEM, self.system);
        match self.short_type() {
            Some(actor) => {
                span.update_name(&format!("{actor} {what}"));
                span.attribute(&keys::ACTOR_TYPE, actor);
            }
            None => span.update_name(what),
        }
        self.put_id(span);
    }

    fn put_id(&self, span: &mut LiveSpan) {
        if let Some(id) = self.id {
            span.attribute(&keys::ACTOR_ID, format_args!("{id}"));
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
