//! The relation of a handler's span to its sender's: one vocabulary for messages, records and events.
//!
//! Owns the words and what follows from a decision; the rules are `policy`'s.

use std::fmt;

use throughline_core::{Context, SpanContext};

/// How the span of a handler relates to the span of the sender.
///
/// ```
/// use throughline_messaging::Relation;
///
/// assert_eq!(Relation::default(), Relation::Auto);
/// assert_eq!(Relation::Link.to_string(), "link");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Relation {
    /// By the rules of [`Policy`](crate::Policy), from the kind of message, its age and its hops. The default.
    #[default]
    Auto,
    /// The sender's span is the parent.
    Child,
    /// The handler starts a trace, with a link to the sender's span.
    Link,
    /// The handler starts a trace that says nothing of the sender.
    Root,
}

impl Relation {
    /// The relation in lower case: what the attribute `trace.relation` holds.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Child => "child",
            Self::Link => "link",
            Self::Root => "root",
        }
    }

    /// The relation whose number (`as u8`) that is.
    #[inline]
    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Child,
            2 => Self::Link,
            3 => Self::Root,
            _ => Self::Auto,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What the sender does with a message, or what else is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Operation {
    /// Sends and goes on. The default.
    #[default]
    Tell,
    /// Sends and waits for the reply.
    Ask,
    /// Sends to itself, later or again and again.
    Timer,
    /// Puts a record on a topic or into a queue, which one handler takes by itself.
    Record,
    /// The same, and the handler takes several records at once.
    Batch,
    /// Stores an event, which a projection takes.
    Event,
    /// Stored events long ago, which a projection takes once more, a page at a time.
    Replay,
}

impl Operation {
    /// The operation in lower case: what the attribute `actor.message.operation` holds of messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::Ask => "ask",
            Self::Timer => "timer",
            Self::Record => "record",
            Self::Batch => "batch",
            Self::Event => "event",
            Self::Replay => "replay",
        }
    }

    /// The operation whose number (`as u8`) that is.
    #[inline]
    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Ask,
            2 => Self::Timer,
            3 => Self::Record,
            4 => Self::Batch,
            5 => Self::Event,
            6 => Self::Replay,
            _ => Self::Tell,
        }
    }

    /// Whether a span that is current where the handler starts is that of whoever took the message, and its parent. An
    /// actor's loop is not: it runs in whatever span it was made in.
    pub(crate) const fn heeds_ambient(self) -> bool {
        matches!(self, Self::Record | Self::Batch | Self::Event)
    }
}

/// Why a message comes again, or late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Redelivery {
    /// It was handled before and failed, or nobody settled it.
    Retry,
    /// It was sent to arrive later.
    Delayed,
    /// It was given up and put aside.
    DeadLetter,
}

impl Redelivery {
    const fn reason(self) -> Reason {
        match self {
            Self::Retry => Reason::Retry,
            Self::Delayed => Reason::Delayed,
            Self::DeadLetter => Reason::DeadLetter,
        }
    }
}

/// Which messages may start a trace, beside those that continue one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Starts {
    /// None: handlers are traced where a trace is going on.
    Nothing,
    /// Those that somebody sent, timers not. The default.
    #[default]
    Messages,
    /// All, timers too.
    Everything,
}

impl Starts {
    /// The one whose number (`as u8`) that is.
    #[inline]
    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Nothing,
            2 => Self::Everything,
            _ => Self::Messages,
        }
    }
}

/// What a [`Policy`](crate::Policy) decided: `child`, `link` or `root`, never `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    relation: Relation,
    reason: Reason,
    /// Whether the span that is current where the handler starts is the parent.
    ambient: bool,
    /// Whether the sender is linked, be it the parent or not.
    linked: bool,
}

impl Decision {
    pub(crate) const fn new(relation: Relation, reason: Reason) -> Self {
        Self {
            relation,
            reason,
            ambient: false,
            linked: matches!(relation, Relation::Link),
        }
    }

    pub(crate) const fn under_ambient(mut self) -> Self {
        self.ambient = true;
        self
    }

    pub(crate) const fn linked(mut self) -> Self {
        self.linked = true;
        self
    }

    /// The relation to the sender.
    #[must_use]
    pub const fn relation(&self) -> Relation {
        self.relation
    }

    /// Which rule led to it.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The context of the parent, if it is the sender.
    #[must_use]
    pub fn parent<'a>(&self, sender: &'a Context) -> Option<&'a Context> {
        (self.relation == Relation::Child).then_some(sender)
    }

    /// Whether the parent is the span that is current where the handler starts.
    #[must_use]
    pub const fn is_under_ambient(&self) -> bool {
        self.ambient
    }

    /// The span to link.
    #[must_use]
    pub fn link(&self, sender: &Context) -> Option<SpanContext> {
        self.linked.then(|| sender.span_context())
    }
}

/// Why a relation was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The sender waits for the reply.
    Ask,
    /// A message within its budgets.
    Tell,
    /// The receiver's own schedule sent it.
    Timer,
    /// The message waited too long.
    Age,
    /// The trace went through too many messages.
    Hops,
    /// The sender's hint.
    Sender,
    /// The receiver's policy.
    Receiver,
    /// There is no sender's span.
    NoSender,
    /// The trace has as many spans of handlers as it may.
    Spans,
    /// A record by itself, within its budgets.
    Record,
    /// A span is current where the handler starts, and goes before the sender's.
    Ambient,
    /// Records that have several senders.
    Batch,
    /// A stored event.
    Event,
    /// A page of events that are handled once more.
    Replay,
    /// The message was handled before.
    Retry,
    /// The message was meant to arrive later.
    Delayed,
    /// The message was given up.
    DeadLetter,
}

impl From<Redelivery> for Reason {
    fn from(redelivery: Redelivery) -> Self {
        redelivery.reason()
    }
}

impl Reason {
    /// The reason in lower case: what the attribute `trace.relation.reason` holds.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Tell => "tell",
            Self::Timer => "timer",
            Self::Age => "age",
            Self::Hops => "hops",
            Self::Sender => "sender",
            Self::Receiver => "receiver",
            Self::NoSender => "no_sender",
            Self::Spans => "spans",
            Self::Record => "record",
            Self::Ambient => "ambient",
            Self::Batch => "batch",
            Self::Event => "event",
            Self::Replay => "replay",
            Self::Retry => "retry",
            Self::Delayed => "delayed",
            Self::DeadLetter => "dead_letter",
        }
    }
}
