//! The relation of a handler's span to its sender's: one vocabulary, decided by the receiver.
//!
//! Owns the rules and nothing else: it makes no span and reads no clock. In-process messages are the rows of the table
//! so far; batches, retries and projections add theirs to [`Operation`] and [`Reason`].

use std::fmt;
use std::time::Duration;

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
    /// By the rules of [`Policy`], from the kind of message, its age and its hops. The default.
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
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What the sender does with a message.
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
}

impl Operation {
    /// The operation in lower case: what the attribute `actor.message.operation` holds.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::Ask => "ask",
            Self::Timer => "timer",
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

/// The rule of a receiver.
///
/// The age is that of one message, from its enqueueing to its handler; with the number of hops it bounds the whole trace.
///
/// ```
/// use std::time::Duration;
/// use throughline_messaging::{Policy, Relation};
///
/// let policy = Policy::new().max_age(Duration::from_secs(10)).max_hops(4);
/// assert_ne!(policy, Policy::from(Relation::Link));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    relation: Relation,
    starts: Starts,
    max_hops: u8,
    max_age: Duration,
}

impl Policy {
    /// The default: `auto`, two minutes, 16 hops, messages may start a trace and timers may not.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            relation: Relation::Auto,
            starts: Starts::Messages,
            max_hops: MAX_HOPS,
            max_age: MAX_AGE,
        }
    }

    /// The relation, whatever the sender hints at.
    #[must_use]
    pub const fn relation(mut self, relation: Relation) -> Self {
        self.relation = relation;
        self
    }

    /// Which messages may start a trace.
    #[must_use]
    pub const fn starts(mut self, starts: Starts) -> Self {
        self.starts = starts;
        self
    }

    /// How many messages a trace may pass through; the next one starts a new trace.
    #[must_use]
    pub const fn max_hops(mut self, hops: u8) -> Self {
        self.max_hops = hops;
        self
    }

    /// How long a message may have waited to be still part of the sender's trace.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Decides, for a message of that age that was sent under `sender`.
    ///
    /// The first rule that applies:
    ///
    /// | | relation | reason |
    /// |---|---|---|
    /// | no sender, or `root` wanted | root | `no_sender`, or who wanted it |
    /// | a timer, unless a relation is wanted | link | `timer` |
    /// | `link` wanted | link | `receiver` or `sender` |
    /// | an ask, unless a relation is wanted | child | `ask` |
    /// | more hops than allowed | link | `hops` |
    /// | older than allowed | link | `age` |
    /// | `child` wanted | child | `receiver` or `sender` |
    /// | else | child | `tell` |
    ///
    /// The receiver's wish goes before the sender's hint. Where this means a new trace that the policy does not let
    /// [start](Self::starts), there is no decision: the handler gets no span.
    ///
    /// ```
    /// use std::time::Duration;
    /// use throughline_core::Context;
    /// use throughline_messaging::{Operation, Policy, Relation, Starts};
    ///
    /// let nobody = Context::default();
    /// let decide = |policy: Policy| policy.decide(&nobody, Operation::Tell, Relation::Auto, Duration::ZERO);
    /// assert!(decide(Policy::new()).is_some_and(|decision| decision.relation() == Relation::Root));
    /// assert!(decide(Policy::new().starts(Starts::Nothing)).is_none());
    /// ```
    #[must_use]
    pub fn decide(
        &self,
        sender: &Context,
        operation: Operation,
        hint: Relation,
        age: Duration,
    ) -> Option<Decision> {
        let decision = self.rule(sender, operation, hint, age);
        let may_start = match self.starts {
            Starts::Nothing => false,
            Starts::Messages => operation != Operation::Timer,
            Starts::Everything => true,
        };
        // What outgrows its budgets goes on in a new trace, whoever may start one: the work is traced already.
        let continues = matches!(
            decision.reason,
            Reason::Hops | Reason::Age | Reason::Receiver | Reason::Sender
        ) && sender.span_context().is_valid();
        (decision.relation == Relation::Child || may_start || continues).then_some(decision)
    }

    fn rule(
        &self,
        sender: &Context,
        operation: Operation,
        hint: Relation,
        age: Duration,
    ) -> Decision {
        let (wanted, who) = if self.relation == Relation::Auto {
            (hint, Reason::Sender)
        } else {
            (self.relation, Reason::Receiver)
        };
        let of = |relation, reason| Decision { relation, reason };
        if !sender.span_context().is_valid() {
            return of(Relation::Root, Reason::NoSender);
        }
        match (wanted, operation) {
            (Relation::Root | Relation::Link, _) => return of(wanted, who),
            (Relation::Auto, Operation::Timer) => return of(Relation::Link, Reason::Timer),
            (Relation::Auto, Operation::Ask) => return of(Relation::Child, Reason::Ask),
            (Relation::Child, _) | (Relation::Auto, Operation::Tell) => (),
        }
        if sender.hops() > self.max_hops {
            of(Relation::Link, Reason::Hops)
        } else if age > self.max_age {
            of(Relation::Link, Reason::Age)
        } else if wanted == Relation::Child {
            of(Relation::Child, who)
        } else {
            of(Relation::Child, Reason::Tell)
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Relation> for Policy {
    fn from(relation: Relation) -> Self {
        Self::new().relation(relation)
    }
}

/// What a [`Policy`] decided: `child`, `link` or `root`, never `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    relation: Relation,
    reason: Reason,
}

impl Decision {
    /// The relation.
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

    /// The span to link.
    #[must_use]
    pub fn link(&self, sender: &Context) -> Option<SpanContext> {
        (self.relation == Relation::Link).then(|| sender.span_context())
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
        }
    }
}

/// Twelve levels of a fan-out fit, a pair of actors that write to each other for ever does not.
const MAX_HOPS: u8 = 16;
/// Past this, whoever looks at the sender's trace has it closed.
const MAX_AGE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use throughline_core::{SpanId, TraceFlags, TraceId};

    use super::*;

    const YOUNG: Duration = Duration::from_secs(1);
    const OLD: Duration = Duration::from_secs(121);

    fn sender(hops: u8) -> Context {
        let trace_id = TraceId::from_bytes([1; 16]);
        let span_id = SpanId::from_bytes([2; 8]);
        Context::from(SpanContext::new(
            trace_id,
            span_id,
            TraceFlags::SAMPLED,
            false,
        ))
        .with_hops(hops)
    }

    #[test]
    fn every_row_of_the_table() {
        use Operation::{Ask, Tell, Timer};
        use Relation::{Auto, Child, Link, Root};
        let nobody = Context::default();
        let rows = [
            // operation, the receiver's rule, the sender's hint, hops, age => relation and reason
            (Ask, Auto, Auto, 1, YOUNG, "child ask"),
            (Ask, Auto, Auto, 200, OLD, "child ask"),
            (Ask, Link, Auto, 1, YOUNG, "link receiver"),
            (Ask, Auto, Root, 1, YOUNG, "root sender"),
            (Tell, Auto, Auto, 1, YOUNG, "child tell"),
            (Tell, Auto, Auto, 16, YOUNG, "child tell"),
            (Tell, Auto, Auto, 17, YOUNG, "link hops"),
            (Tell, Auto, Auto, 1, OLD, "link age"),
            (Tell, Auto, Auto, 17, OLD, "link hops"),
            (Tell, Auto, Child, 1, YOUNG, "child sender"),
            (Tell, Auto, Child, 1, OLD, "link age"),
            (Tell, Child, Auto, 17, YOUNG, "link hops"),
            (Tell, Auto, Link, 1, YOUNG, "link sender"),
            (Tell, Child, Link, 1, YOUNG, "child receiver"),
            (Tell, Root, Child, 1, YOUNG, "root receiver"),
            (Timer, Auto, Auto, 1, YOUNG, "nothing"),
            (Timer, Child, Auto, 1, YOUNG, "child receiver"),
            (Timer, Auto, Child, 1, YOUNG, "child sender"),
            (Timer, Auto, Link, 1, YOUNG, "link sender"),
        ];
        let told = |policy: Policy, sender: &Context, operation, hint, age| {
            policy.decide(sender, operation, hint, age).map_or_else(
                || "nothing".to_owned(),
                |decision| format!("{} {}", decision.relation(), decision.reason().name()),
            )
        };
        for (operation, rule, hint, hops, age, expected) in rows {
            let policy = Policy::from(rule);
            assert_eq!(
                told(policy, &sender(hops), operation, hint, age),
                expected,
                "{operation:?} {rule:?} {hint:?} {hops} {age:?}"
            );
        }
        let starts = [
            (Starts::Nothing, Tell, "nothing", "child tell"),
            (Starts::Messages, Tell, "root no_sender", "child tell"),
            (Starts::Messages, Timer, "nothing", "nothing"),
            (Starts::Everything, Timer, "root no_sender", "link timer"),
        ];
        for (starts, operation, without, with) in starts {
            let policy = Policy::new().starts(starts);
            assert_eq!(told(policy, &nobody, operation, Auto, YOUNG), without);
            assert_eq!(told(policy, &sender(1), operation, Auto, YOUNG), with);
        }
    }

    #[test]
    fn a_parent_is_never_linked_too() {
        let sender = sender(1);
        for relation in [Relation::Child, Relation::Link, Relation::Root] {
            let decision = Policy::from(relation)
                .decide(&sender, Operation::Tell, Relation::Auto, YOUNG)
                .expect("messages may start traces");
            let both = (decision.parent(&sender), decision.link(&sender));
            assert_eq!(both.0.is_some(), relation == Relation::Child);
            assert_eq!(both.1.is_some(), relation == Relation::Link);
        }
    }
}
