//! A message that arrived, and the span of whoever handles it.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use throughline_core::clock::{self, Ticks};
use throughline_core::{
    Callsite, CallsiteSpec, Context, FutureExt, InSpan, Level, Parent, Span, SpanKind, expansion,
};

use crate::envelope::Envelope;
use crate::keys;
use crate::relation::{Decision, Operation, Policy};
use crate::stats::Channel;

/// A message as it comes out of a channel: derefs to the message and starts the span of its handler.
///
/// Taking the message out with [`into_inner`](Self::into_inner) makes no span.
///
/// ```
/// use throughline_messaging::mpsc;
///
/// # async fn resize(_: String) -> Result<(), std::io::Error> { Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (tx, mut rx) = mpsc::named("thumbnails", 8);
/// tx.send("cat.png".to_owned()).await?;
/// let delivery = rx.recv().await.unwrap();
/// assert_eq!(delivery.len(), 7);
/// // The span `process thumbnails` has the sender's for a parent, its wait, and the error, if there is one.
/// delivery.try_handle(|name| resize(name)).await.unwrap();
/// # Ok::<(), mpsc::error::SendError<String>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "a message that arrived is there to be handled"]
pub struct Delivery<T> {
    envelope: Envelope<T>,
    channel: Option<&'static Channel>,
    policy: Policy,
}

impl<T> Delivery<T> {
    #[inline]
    pub(crate) const fn new(
        envelope: Envelope<T>,
        channel: Option<&'static Channel>,
        policy: Policy,
    ) -> Self {
        Self {
            envelope,
            channel,
            policy,
        }
    }

    /// Replaces the policy that the receiver has.
    pub const fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The context the message was sent under.
    #[inline]
    pub const fn context(&self) -> &Context {
        self.envelope.context()
    }

    /// When the message was enqueued.
    #[inline]
    pub const fn enqueued(&self) -> Ticks {
        self.envelope.enqueued()
    }

    /// How long ago that was.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_nanos(clock::nanos_between(self.enqueued(), clock::now()))
    }

    /// The name of the channel; none if the message did not come through a channel of this crate.
    #[must_use]
    pub const fn channel(&self) -> Option<&'static str> {
        match self.channel {
            Some(channel) => Some(channel.name()),
            None => None,
        }
    }

    /// The message, without the rest.
    #[inline]
    pub fn into_inner(self) -> T {
        self.envelope.into_message()
    }

    /// The message in its envelope, to send it on as it came.
    #[inline]
    pub fn into_envelope(self) -> Envelope<T> {
        self.envelope
    }

    /// The message, the context it was sent under, and when it was enqueued.
    #[inline]
    pub fn into_parts(self) -> (T, Context, Ticks) {
        self.envelope.into_parts()
    }

    /// What the policy says about this message now.
    #[must_use]
    pub fn decide(&self) -> Option<Decision> {
        let envelope = &self.envelope;
        self.policy.decide(
            envelope.context(),
            envelope.operation(),
            envelope.relation(),
            self.age(),
        )
    }

    /// Runs the handler in a span that starts now: current whenever the future is polled, ended when it is done.
    ///
    /// The span is called `process {channel}`, or by the type of the message where the channel has no name. It has
    /// the relation to the sender's span that the policy decided on and the reason, how long the message waited, and
    /// its outcome: completed, cancelled or panicked, or failed where the handler set that status. The handler is
    /// called with the first poll.
    ///
    /// ```
    /// # use throughline_messaging::mpsc;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let (tx, mut rx) = mpsc::named("sums", 8);
    /// # tx.send((1, 2)).await.unwrap();
    /// # let delivery = rx.recv().await.unwrap();
    /// let sum = delivery.handle(|(a, b)| async move { a + b }).await;
    /// # assert_eq!(sum, 3);
    /// # });
    /// ```
    pub fn handle<F: Future>(
        self,
        handler: impl FnOnce(T) -> F,
    ) -> impl Future<Output = F::Output> {
        let span = self.process_span();
        let message = self.into_inner();
        async move { handler(message).await }.in_span(span)
    }

    /// Like [`handle`](Self::handle) for a handler that may fail: an `Err` is recorded as the span's error.
    ///
    /// # Errors
    ///
    /// What the handler returns.
    pub fn try_handle<F, R, E>(
        self,
        handler: impl FnOnce(T) -> F,
    ) -> impl Future<Output = Result<R, E>>
    where
        F: Future<Output = Result<R, E>>,
        E: fmt::Display,
    {
        let span = self.process_span();
        let message = self.into_inner();
        InSpan::new(
            span,
            async move { handler(message).await },
            expansion::inspect_err_display::<R, E>,
        )
    }

    /// Starts the handler's span under a name, for a loop that is written by hand.
    ///
    /// ```
    /// # use throughline_messaging::mpsc;
    /// use throughline_core::FutureExt;
    /// # let (tx, mut rx) = mpsc::unbounded_channel::<u32>();
    /// # tx.send(1).unwrap();
    /// # let delivery = rx.try_recv().unwrap();
    /// let span = delivery.span("resize image");
    /// let work = async move { *delivery * 2 };
    /// let handled = work.in_span(span);
    /// # drop(handled);
    /// ```
    pub fn span(&self, name: &str) -> Span {
        let mut span = self.span_at(&PROCESS);
        span.update_name(name);
        span
    }

    /// Like [`span`](Self::span) with a callsite of its own, which has the name: for integrations.
    pub fn span_at(&self, callsite: &'static Callsite) -> Span {
        if !callsite.is_enabled() {
            return Span::disabled();
        }
        let Some(decision) = self.decide() else {
            return Span::disabled();
        };
        let sender = self.context();
        let mut span = match decision.parent(sender) {
            Some(sender) => Span::start_with(callsite, sender),
            None => start_root(callsite, sender),
        };
        span.edit(|span| {
            // Where the wait ends the span begins, by one reading of the clock.
            let wait = clock::nanos_between(self.enqueued(), span.start());
            if let Some(channel) = self.channel {
                span.attribute(&keys::MAILBOX_NAME, channel.name());
            }
            span.attribute(&keys::MAILBOX_WAIT, wait as f64 / NANOS_PER_SECOND);
            span.attribute(&keys::MESSAGE_TYPE, short_name::<T>());
            let operation = self.envelope.operation();
            if operation != Operation::Tell {
                span.attribute(&keys::MESSAGE_OPERATION, operation.name());
            }
            span.attribute(&keys::RELATION, decision.relation().name());
            span.attribute(&keys::RELATION_REASON, decision.reason().name());
            if let Some(sender) = decision.link(sender) {
                span.add_link(sender);
            }
        });
        span
    }

    fn process_span(&self) -> Span {
        let mut span = self.span_at(&PROCESS);
        span.edit(|span| {
            let channel = self.channel.and_then(Channel::chosen_name);
            let of = channel.unwrap_or_else(short_name::<T>);
            let mut name = String::with_capacity(PROCESS.name().len() + 1 + of.len());
            name.push_str(PROCESS.name());
            name.push(' ');
            name.push_str(of);
            span.update_name(&name);
        });
        span
    }
}

impl<T> Deref for Delivery<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.envelope.message()
    }
}

impl<T> DerefMut for Delivery<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.envelope.message_mut()
    }
}

impl<T> From<Envelope<T>> for Delivery<T> {
    /// A message from a queue of your own.
    fn from(envelope: Envelope<T>) -> Self {
        Self::new(envelope, None, Policy::new())
    }
}

/// Starts a trace in the recorder of the sender's: whoever receives may be a task that has none.
fn start_root(callsite: &'static Callsite, sender: &Context) -> Span {
    let _sender = sender.attach();
    Span::start_with(callsite, Parent::Root)
}

/// The name of the type without the path of its module; of `Vec<my::Order>`, `Vec`.
fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    let path = name.split('<').next().unwrap_or(name);
    if path.starts_with(|first: char| first.is_alphabetic() || first == '_') {
        path.rsplit("::").next().unwrap_or(path)
    } else {
        name
    }
}

/// The span of every handler that has no callsite of its own; it is renamed to say of what.
static PROCESS: Callsite = Callsite::new(CallsiteSpec {
    name: "process",
    kind: SpanKind::Internal,
    level: Level::Info,
    target: "throughline_messaging",
    scope_name: env!("CARGO_PKG_NAME"),
    scope_version: env!("CARGO_PKG_VERSION"),
    static_fields: &[],
});

const NANOS_PER_SECOND: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_are_short() {
        assert_eq!(short_name::<String>(), "String");
        assert_eq!(short_name::<Option<String>>(), "Option");
        assert_eq!(short_name::<u8>(), "u8");
        assert_eq!(short_name::<(u8, u8)>(), "(u8, u8)");
        assert_eq!(short_name::<Policy>(), "Policy");
    }
}
