//! A message that arrived, and the span of whoever handles it.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use throughline_core::clock::Ticks;
use throughline_core::{Callsite, Context, Inspect, LiveSpan, NoInspection, Span, expansion};

use crate::arrival::{Arrival, Handler};
use crate::called::Called;
use crate::envelope::Envelope;
use crate::keys;
use crate::observe::{Observed, observe_with};
use crate::policy::Policy;
use crate::relation::{Decision, Operation};
use crate::selection::Subject;
use crate::stats::{Channel, PROCESS, message_type};

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

    /// When the message was enqueued; nobody looked at the clock where the sender's trace is not sampled, unless somebody
    /// [measures](throughline_core::Recorder::measure).
    #[inline]
    pub const fn enqueued(&self) -> Option<Ticks> {
        self.envelope.enqueued()
    }

    /// How long ago that was.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.arrival().age()
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

    /// The message, the context it was sent under, and [when it was enqueued](Self::enqueued).
    #[inline]
    pub fn into_parts(self) -> (T, Context, Option<Ticks>) {
        self.envelope.into_parts()
    }

    /// What the policy says about this message now.
    #[must_use]
    pub fn decide(&self) -> Option<Decision> {
        self.arrival().decide(&self.policy)
    }

    #[inline]
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
    #[inline(always)]
    pub fn handle<F: Future>(
        self,
        handler: impl FnOnce(T) -> F,
    ) -> impl Future<Output = F::Output> {
        self.observed(handler, NoInspection)
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
        self.observed(handler, expansion::ErrorInspection)
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
        let mut span = match self.channel {
            Some(channel) => {
                let mut span = span_of::<T>(&self.arrival(), channel, &self.policy);
                waited(self.enqueued(), channel, &mut span);
                span
            }
            None => self.span_at(&ELSEWHERE),
        };
        span.update_name(name);
        span
    }

    /// Like [`span`](Self::span) with a callsite of its own, which has the name: for integrations.
    pub fn span_at(&self, callsite: &'static Callsite) -> Span {
        let arrival = self.arrival();
        let mut span = arrival.span_of(&self.subject(), callsite, &self.policy);
        told(&mut span, arrival.operation());
        if !callsite.has_attribute(keys::MESSAGE_TYPE.name()) {
            span.label(label_of::<T>);
        }
        span.edit(|span| {
            if let Some(channel) = self.channel {
                span.attribute(&keys::MAILBOX_NAME, channel.name());
                count_wait(self.enqueued(), channel, span);
            }
            if !callsite.has_attribute(keys::MESSAGE_TYPE.name()) {
                span.attribute(&keys::MESSAGE_TYPE, message_type::<T>());
            }
        });
        span
    }

    #[inline]
    fn subject(&self) -> Subject<'static> {
        subject_of::<T>(self.channel)
    }

    /// The handler under observation. What makes a span is given the envelope, so that the one of a message that needs no
    /// span stays where it is.
    #[inline(always)]
    fn observed<H, F, I>(self, call: H, inspect: I) -> Observed<Called<H, T, F>, I>
    where
        H: FnOnce(T) -> F,
        F: Future,
        I: Inspect<F::Output>,
    {
        let Self {
            envelope,
            channel,
            policy,
        } = self;
        let (message, envelope) = envelope.open();
        let unsampled = channel.and_then(|channel| {
            let subject = subject_of::<T>(Some(channel));
            let arrival = envelope.arrival();
            arrival.unsampled(&subject, channel.callsite(), &policy)
        });
        let handler = match unsampled {
            Some(unsampled) => Handler::from(unsampled),
            None => handler_of::<T>(envelope, channel, policy),
        };
        // Last, since nothing unwinds from here on: what may have to be dropped meanwhile keeps a place in memory.
        observe_with(handler, Called::new(call, message), inspect)
    }
}

/// The handler of a message that may need a span.
#[inline(never)]
fn handler_of<T>(
    envelope: Envelope<()>,
    channel: Option<&'static Channel>,
    policy: Policy,
) -> Handler {
    let arrival = envelope.arrival();
    let Some(channel) = channel else {
        return handler_from_elsewhere::<T>(&arrival, &policy);
    };
    let mut span = span_of::<T>(&arrival, channel, &policy);
    waited(envelope.enqueued(), channel, &mut span);
    span.into()
}

/// The handler of a message that came through no channel of this crate.
fn handler_from_elsewhere<T>(arrival: &Arrival<'_>, policy: &Policy) -> Handler {
    let subject = subject_of::<T>(None);
    let mut handler = arrival.handler(&subject, &ELSEWHERE, policy, |span| {
        told(span, arrival.operation());
        let name = message_type::<T>();
        span.attribute(&keys::MESSAGE_TYPE, name);
        span.update_name(&format!("{} {name}", PROCESS.name));
    });
    handler.label(label_of::<T>);
    handler
}

/// The handler's span started, and with it the wait ended.
#[inline]
fn waited(enqueued: Option<Ticks>, channel: &Channel, span: &mut Span) {
    span.edit(|span| count_wait(enqueued, channel, span));
}

#[inline]
fn count_wait(enqueued: Option<Ticks>, channel: &Channel, span: &LiveSpan) {
    if let Some(enqueued) = enqueued {
        channel.waited(enqueued, span.start());
    }
}

/// Records what the sender does, unless it is what most do.
#[inline]
fn told(span: &mut Span, operation: Operation) {
    if operation != Operation::Tell {
        span.attribute(&keys::MESSAGE_OPERATION, operation.name());
    }
}

/// The span of a handler of messages in that channel.
pub(crate) fn span_of<T>(
    arrival: &Arrival<'_>,
    channel: &'static Channel,
    policy: &Policy,
) -> Span {
    let subject = subject_of::<T>(Some(channel));
    let mut span = arrival.span_of(&subject, channel.callsite(), policy);
    told(&mut span, arrival.operation());
    span
}

/// What a measurement says of a message whose callsite does not.
fn label_of<T>() -> [(&'static str, Option<&'static str>); 1] {
    [(keys::MESSAGE_TYPE.name(), Some(message_type::<T>()))]
}

/// What a selection knows a message by.
#[inline]
fn subject_of<T>(channel: Option<&'static Channel>) -> Subject<'static> {
    Subject::new()
        .message(std::any::type_name::<T>())
        .destination(channel.map(Channel::name))
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

/// The span of a handler whose message came through no channel of this crate; it is renamed to say of what.
static ELSEWHERE: Callsite = Callsite::new(PROCESS);
