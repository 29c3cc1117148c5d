//! What travels through a queue: the message, the sender's context, and when it was enqueued.

use std::fmt;

use throughline_core::Context;
use throughline_core::clock::{self, Ticks};
use throughline_core::handler::is_measured;

use crate::arrival::Arrival;
use crate::relation::{Operation, Relation};

/// A message with the context it was sent under and the instant it was enqueued.
///
/// It holds identifiers, never a span: a message in a queue does not keep its sender's span open. The channels of this
/// crate make envelopes by themselves; make one by hand to say more than `send` does, or for a queue of your own.
///
/// ```
/// use throughline_messaging::{Envelope, Relation, mpsc};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (tx, mut rx) = mpsc::channel(8);
/// tx.send_envelope(Envelope::new("nightly").with_relation(Relation::Link)).await?;
/// assert_eq!(*rx.recv().await.unwrap(), "nightly");
/// # Ok::<(), mpsc::error::SendError<&str>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "an envelope does nothing until it is sent"]
pub struct Envelope<T> {
    message: T,
    context: Context,
    enqueued: Ticks,
    manner: Manner,
}

impl<T> Envelope<T> {
    /// Puts the message into an envelope with the context that is current, one [hop](Context::hops) further.
    #[inline]
    pub fn new(message: T) -> Self {
        Self::of(message, Operation::Tell)
    }

    /// Like [`new`](Self::new), for a message whose reply the sender waits for.
    #[inline]
    pub fn ask(message: T) -> Self {
        Self::of(message, Operation::Ask)
    }

    /// Like [`new`](Self::new), for a message that a timer sends, or the receiver to itself.
    #[inline]
    pub fn timer(message: T) -> Self {
        Self::of(message, Operation::Timer)
    }

    #[inline]
    pub(crate) fn of(message: T, operation: Operation) -> Self {
        let context = Context::current();
        let hops = context.hops().saturating_add(1);
        Self {
            message,
            enqueued: time_of(&context),
            context: context.with_hops(hops),
            manner: Manner::new(operation, Relation::Auto),
        }
    }

    /// The same message, sent under another context: one that was stored, or came from another process.
    ///
    /// The context is taken as it is, its number of hops included.
    pub fn with_context(mut self, context: Context) -> Self {
        if self.enqueued == UNKNOWN {
            self.enqueued = time_of(&context);
        }
        self.context = context;
        self
    }

    /// Hints at the relation of the handler's span to the sender's; the receiver's own rule goes first.
    pub const fn with_relation(mut self, hint: Relation) -> Self {
        self.manner = Manner::new(self.manner.operation(), hint);
        self
    }

    /// The message.
    #[inline]
    pub const fn message(&self) -> &T {
        &self.message
    }

    /// The message, to change it.
    #[inline]
    pub const fn message_mut(&mut self) -> &mut T {
        &mut self.message
    }

    /// The context the message was sent under.
    #[inline]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// When the message was enqueued; nobody looked at the clock where the sender's trace is not sampled, unless somebody
    /// [measures](throughline_core::Recorder::measure).
    #[inline]
    pub const fn enqueued(&self) -> Option<Ticks> {
        if self.enqueued.get() == UNKNOWN.get() {
            None
        } else {
            Some(self.enqueued)
        }
    }

    /// What the sender does: tell, ask or timer.
    #[inline]
    pub const fn operation(&self) -> Operation {
        self.manner.operation()
    }

    /// The relation that the sender hints at.
    #[inline]
    pub const fn relation(&self) -> Relation {
        self.manner.hint()
    }

    /// The message, without the rest.
    #[inline]
    pub fn into_message(self) -> T {
        self.message
    }

    /// The message, the context it was sent under, and [when it was enqueued](Self::enqueued).
    #[inline]
    pub fn into_parts(self) -> (T, Context, Option<Ticks>) {
        let enqueued = self.enqueued();
        (self.message, self.context, enqueued)
    }

    /// The message, and the envelope without it.
    #[inline(always)]
    pub(crate) fn open(self) -> (T, Envelope<()>) {
        let envelope = Envelope {
            message: (),
            context: self.context,
            enqueued: self.enqueued,
            manner: self.manner,
        };
        (self.message, envelope)
    }

    /// The message at the moment somebody takes it.
    #[inline(always)]
    pub(crate) fn arrival(&self) -> Arrival<'_> {
        Arrival::new(&self.context, self.operation())
            .hint(self.relation())
            .sent(self.enqueued())
    }

    /// Starts the wait again: an envelope that was made early is enqueued now.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn enqueue(&mut self) {
        self.enqueued = time_of(&self.context);
    }

    /// The message was written again, here and now.
    #[cfg(feature = "tokio")]
    pub(crate) fn rewrite(&mut self) {
        let written = Envelope::of((), self.operation());
        self.context = written.context;
        self.enqueued = written.enqueued;
    }

    /// The message in the envelope, changed, and the rest as it is.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Envelope<U> {
        Envelope {
            message: change(self.message),
            context: self.context,
            enqueued: self.enqueued,
            manner: self.manner,
        }
    }
}

impl Envelope<()> {
    /// Nothing, from nobody.
    pub(crate) fn empty() -> Self {
        Self {
            message: (),
            context: Context::default(),
            enqueued: UNKNOWN,
            manner: Manner::new(Operation::Tell, Relation::Auto),
        }
    }
}

/// What the sender does, and the relation it hints at.
///
/// One word, as everything else in an envelope: where a single byte tells an envelope from none, moving it copies around
/// that byte in pieces, and the processor waits for each.
#[derive(Clone, Copy)]
struct Manner(u64);

impl Manner {
    #[inline]
    const fn new(operation: Operation, hint: Relation) -> Self {
        Self(operation as u64 | (hint as u64) << 8)
    }

    #[inline]
    const fn operation(self) -> Operation {
        Operation::from_number(self.0 as u8)
    }

    #[inline]
    const fn hint(self) -> Relation {
        Relation::from_number((self.0 >> 8) as u8)
    }
}

impl fmt::Debug for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation().name(), self.hint())
    }
}

/// The time, as far as anything is going to be measured by it: of a message in a trace that is not sampled, only metrics
/// are.
#[inline]
fn time_of(context: &Context) -> Ticks {
    let span = context.span_context();
    if span.is_valid() && !span.trace_flags().is_sampled() && !is_measured(context) {
        UNKNOWN
    } else {
        clock::now()
    }
}

/// No reading of the clock is zero.
const UNKNOWN: Ticks = Ticks::from_raw(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_grow_by_one_and_stop_at_the_end() {
        for (hops, next) in [(0, 1), (7, 8), (254, 255), (255, 255)] {
            let _here = Context::default().with_hops(hops).attach();
            assert_eq!(Envelope::new(()).context().hops(), next);
        }
    }

    #[test]
    fn an_envelope_comes_apart() {
        let envelope = Envelope::ask(1).map(|number| number + 1);
        let enqueued = envelope.enqueued();
        assert_eq!(envelope.operation(), Operation::Ask);
        assert_eq!(
            envelope.into_parts(),
            (2, Context::default().with_hops(1), enqueued)
        );
    }

    #[test]
    fn what_the_sender_does_and_hints_at_stays_what_it_is() {
        use Operation::{Ask, Batch, Event, Record, Replay, Tell, Timer};
        for operation in [Tell, Ask, Timer, Record, Batch, Event, Replay] {
            for hint in [
                Relation::Auto,
                Relation::Child,
                Relation::Link,
                Relation::Root,
            ] {
                let envelope = Envelope::of((), operation).with_relation(hint);
                assert_eq!(
                    (envelope.operation(), envelope.relation()),
                    (operation, hint)
                );
            }
        }
    }
}
