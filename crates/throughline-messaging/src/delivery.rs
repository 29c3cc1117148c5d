//! A message that arrived, and the span of whoever handles it.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use throughline_core::clock::{self, Ticks};
use throughline_core::{Callsite, Context, Span, callsite, short_type_name};

use crate::arrival::Arrival;
use crate::envelope::Envelope;
use crate::keys;
use crate::observe::{observe, try_observe};
use crate::policy::Policy;
use crate::relation::{Decision, Operation};
use crate::selection::Subject;
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
        self.arrival().decide(&self.policy)
    }

    fn arrival(&self) -> Arrival<'_> {
        self.envelope.arrival()
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
        observe(span, async move { handler(message).await })
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
        try_observe(span, async move { handler(message).await })
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
        span_at::<T>(&self.arrival(), self.channel, callsite, &self.policy)
    }

    fn process_span(&self) -> Span {
        named_span::<T>(&self.arrival(), self.channel, &self.policy)
    }
}

/// The span of a handler of messages of type `T`.
fn span_at<T>(
    arrival: &Arrival<'_>,
    channel: Option<&'static Channel>,
    callsite: &'static Callsite,
    policy: &Policy,
) -> Span {
    let subject = Subject::new().message(std::any::type_name::<T>());
    let subject = subject.destination(channel.map(Channel::name));
    let mut span = arrival.span_of(&subject, callsite, policy);
    span.edit(|span| {
        if let Some(channel) = channel {
            span.attribute(&keys::MAILBOX_NAME, channel.name());
        }
        span.attribute(&keys::MESSAGE_TYPE, message_name::<T>());
        let operation = arrival.operation();
        if operation != Operation::Tell {
            span.attribute(&keys::MESSAGE_OPERATION, operation.name());
        }
    });
    span
}

/// The same, called `process {channel}`, or by the type of the message where the channel has no name.
pub(crate) fn named_span<T>(
    arrival: &Arrival<'_>,
    channel: Option<&'static Channel>,
    policy: &Policy,
) -> Span {
    let mut span = span_at::<T>(arrival, channel, &PROCESS, policy);
    span.edit(|span| match channel.and_then(Channel::process_name) {
        Some(name) => span.update_name(name),
        None => span.update_name(&format!("{} {}", PROCESS.name(), message_name::<T>())),
    });
    span
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

fn message_name<T>() -> &'static str {
    short_type_name(std::any::type_name::<T>())
}

/// The span of every handler that has no callsite of its own; it is renamed to say of what.
static PROCESS: Callsite = callsite!("process", Internal);
