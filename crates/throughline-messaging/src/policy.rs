//! The rule of a receiver: how its handlers' spans relate to the senders'.
//!
//! Owns the rules and nothing else: it makes no span and reads no clock.

use std::fmt;
use std::time::Duration;

use throughline_core::Context;

use crate::relation::{Decision, Operation, Reason, Redelivery, Relation, Starts};
use crate::rules::Rules;
use crate::selection::Selection;

/// The rule of a receiver.
///
/// The age is that of one message, from its enqueueing to its handler; with the number of hops and of spans it bounds
/// the whole trace.
///
/// ```
/// use std::time::Duration;
/// use throughline_messaging::{Policy, Relation};
///
/// let policy = Policy::new().max_age(Duration::from_secs(10)).max_hops(4);
/// assert_ne!(policy, Policy::from(Relation::Link));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    rules: Rules,
    /// Nanoseconds.
    max_age: u64,
    selection: Option<&'static Selection>,
}

impl Policy {
    /// The default: `auto`, two minutes, 16 hops, 5 000 spans, messages may start a trace and timers may not.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rules: Rules::new(Relation::Auto, Starts::Messages, MAX_HOPS, MAX_SPANS),
            max_age: nanos(MAX_AGE),
            selection: None,
        }
    }

    /// The relation, whatever the sender hints at.
    #[must_use]
    pub const fn relation(mut self, relation: Relation) -> Self {
        let rules = self.rules;
        self.rules = Rules::new(
            relation,
            rules.starts(),
            rules.max_hops(),
            rules.max_spans(),
        );
        self
    }

    /// Which messages may start a trace.
    #[must_use]
    pub const fn starts(mut self, starts: Starts) -> Self {
        let rules = self.rules;
        self.rules = Rules::new(
            rules.relation(),
            starts,
            rules.max_hops(),
            rules.max_spans(),
        );
        self
    }

    /// Which messages may be part of a trace or start one, beside what the process
    /// [installed](Selection::install): both have to admit a message.
    #[must_use]
    pub const fn select(mut self, selection: &'static Selection) -> Self {
        self.selection = Some(selection);
        self
    }

    pub(crate) const fn selection(&self) -> Option<&'static Selection> {
        self.selection
    }

    /// How many messages a trace may pass through; the next one starts a new trace.
    #[must_use]
    pub const fn max_hops(mut self, hops: u8) -> Self {
        let rules = self.rules;
        self.rules = Rules::new(rules.relation(), rules.starts(), hops, rules.max_spans());
        self
    }

    /// How many spans of handlers one trace may have in this process; the next one starts a new trace.
    ///
    /// They are counted in a table of a fixed size: where many traces are handled at once, the count of a small one may
    /// begin again, so that a trace may get some more spans than that, and never fewer.
    #[must_use]
    pub const fn max_spans(mut self, spans: u32) -> Self {
        let rules = self.rules;
        self.rules = Rules::new(rules.relation(), rules.starts(), rules.max_hops(), spans);
        self
    }

    /// How long a message may have waited to be still part of the sender's trace.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = nanos(age);
        self
    }

    /// Decides how the span of a handler in this situation relates to its sender's.
    ///
    /// The first rule that applies:
    ///
    /// | | relation | reason | parent |
    /// |---|---|---|---|
    /// | a replay | root | `replay` | – |
    /// | no sender | root | `no_sender` | for records and events, the current span |
    /// | `root` or `link` wanted | that | `receiver` or `sender` | – |
    /// | it comes again or late, unless a relation is wanted | link | `retry`, `delayed`, `dead_letter` | – |
    /// | a timer, unless a relation is wanted | link | `timer` | – |
    /// | an ask, unless a relation is wanted | child | `ask` | the sender |
    /// | several records | link, to each | `batch` | the current span |
    /// | an event, unless a relation is wanted | link | `event` | – |
    /// | a record, and a span is current | link | `ambient` | the current span |
    /// | more hops, spans or age than allowed | link | `hops`, `spans`, `age` | – |
    /// | `child` wanted | child | `receiver` or `sender` | the sender |
    /// | a record | child, and a link | `record` | the sender |
    /// | else | child | `tell` | the sender |
    ///
    /// The receiver's wish goes before the sender's hint. Where this means a new trace that the policy does not let
    /// [start](Self::starts), there is no decision: the handler gets no span.
    ///
    /// ```
    /// use throughline_core::Context;
    /// use throughline_messaging::{Operation, Policy, Relation, Situation, Starts};
    ///
    /// let nobody = Context::default();
    /// let told = Situation::new(&nobody, Operation::Tell);
    /// assert!(Policy::new().decide(&told).is_some_and(|decision| decision.relation() == Relation::Root));
    /// assert!(Policy::new().starts(Starts::Nothing).decide(&told).is_none());
    /// ```
    #[must_use]
    pub fn decide(&self, situation: &Situation<'_>) -> Option<Decision> {
        let decision = self.rule(situation);
        let may_start = match self.rules.starts() {
            Starts::Nothing => false,
            Starts::Messages => situation.operation != Operation::Timer,
            Starts::Everything => true,
        };
        // What outgrows its budgets goes on in a new trace, whoever may start one: the work is traced already.
        let continues =
            situation.has_sender() && !matches!(decision.reason(), Reason::Timer | Reason::Replay);
        (may_start || continues || decision.is_under_ambient()).then_some(decision)
    }

    /// Whether a message of that sender is a child of it by its operation and hops alone: what [`decide`](Self::decide)
    /// comes to in the usual course, at less cost.
    #[inline]
    pub(crate) const fn continues(
        &self,
        sender: &Context,
        operation: Operation,
        hint: Relation,
    ) -> bool {
        matches!(
            (self.rules.relation(), hint),
            (Relation::Auto, Relation::Auto)
        ) && match operation {
            Operation::Ask => true,
            Operation::Tell => sender.hops() <= self.rules.max_hops(),
            _ => false,
        }
    }

    /// What [`decide`](Self::decide) comes to in the usual course, at less cost; none where it has to be asked.
    #[inline]
    pub(crate) fn usual(
        &self,
        sender: &Context,
        operation: Operation,
        hint: Relation,
        age: Option<u64>,
        spans: u32,
    ) -> Option<Decision> {
        if !self.continues(sender, operation, hint) || !sender.span_context().is_valid() {
            return None;
        }
        match operation {
            Operation::Ask => Some(Decision::new(Relation::Child, Reason::Ask)),
            Operation::Tell if spans < self.rules.max_spans() && self.is_young(age) => {
                Some(Decision::new(Relation::Child, Reason::Tell))
            }
            _ => None,
        }
    }

    /// Whether a message of that age in nanoseconds, where it matters, is still part of its sender's trace.
    #[inline]
    pub(crate) fn is_young(&self, age: Option<u64>) -> bool {
        age.is_none_or(|age| age <= self.max_age)
    }

    fn rule(&self, situation: &Situation<'_>) -> Decision {
        let (wanted, who) = match self.rules.relation() {
            Relation::Auto => (situation.hint, Reason::Sender),
            relation => (relation, Reason::Receiver),
        };
        let operation = situation.operation;
        let ambient = situation.ambient && operation.heeds_ambient();
        let under = |decision: Decision| {
            if ambient {
                decision.under_ambient()
            } else {
                decision
            }
        };
        if operation == Operation::Replay {
            return Decision::new(Relation::Root, Reason::Replay);
        }
        if !situation.has_sender() {
            return under(Decision::new(Relation::Root, Reason::NoSender));
        }
        match (wanted, situation.redelivery, operation) {
            (Relation::Root | Relation::Link, ..) => return Decision::new(wanted, who),
            (Relation::Auto, Some(redelivery), _) => {
                return Decision::new(Relation::Link, redelivery.into());
            }
            (Relation::Auto, None, Operation::Timer) => {
                return Decision::new(Relation::Link, Reason::Timer);
            }
            (Relation::Auto, None, Operation::Ask) => {
                return Decision::new(Relation::Child, Reason::Ask);
            }
            (_, _, Operation::Batch) => {
                return under(Decision::new(Relation::Link, Reason::Batch));
            }
            (Relation::Auto, None, Operation::Event) => {
                return Decision::new(Relation::Link, Reason::Event);
            }
            (Relation::Auto, None, Operation::Record) if ambient => {
                return under(Decision::new(Relation::Link, Reason::Ambient));
            }
            _ => (),
        }
        if situation.sender.hops() > self.rules.max_hops() {
            Decision::new(Relation::Link, Reason::Hops)
        } else if situation.spans >= self.rules.max_spans() {
            Decision::new(Relation::Link, Reason::Spans)
        } else if nanos(situation.age) > self.max_age {
            Decision::new(Relation::Link, Reason::Age)
        } else if wanted == Relation::Child {
            Decision::new(Relation::Child, who)
        } else if operation == Operation::Record {
            Decision::new(Relation::Child, Reason::Record).linked()
        } else {
            Decision::new(Relation::Child, Reason::Tell)
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("relation", &self.rules.relation())
            .field("starts", &self.rules.starts())
            .field("max_hops", &self.rules.max_hops())
            .field("max_spans", &self.rules.max_spans())
            .field("max_age", &Duration::from_nanos(self.max_age))
            .field("selection", &self.selection)
            .finish()
    }
}

impl From<Relation> for Policy {
    fn from(relation: Relation) -> Self {
        Self::new().relation(relation)
    }
}

/// What a [`Policy`] decides about: a message, record or event at the moment its handler starts.
///
/// ```
/// use std::time::Duration;
/// use throughline_core::Context;
/// use throughline_messaging::{Operation, Situation};
///
/// let sender = Context::current();
/// let situation = Situation::new(&sender, Operation::Record).age(Duration::from_secs(3));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a situation is there to be decided about"]
pub struct Situation<'a> {
    sender: &'a Context,
    operation: Operation,
    hint: Relation,
    age: Duration,
    ambient: bool,
    redelivery: Option<Redelivery>,
    spans: u32,
}

impl<'a> Situation<'a> {
    /// A message that was sent just now, for the first time.
    pub const fn new(sender: &'a Context, operation: Operation) -> Self {
        Self {
            sender,
            operation,
            hint: Relation::Auto,
            age: Duration::ZERO,
            ambient: false,
            redelivery: None,
            spans: 0,
        }
    }

    /// The relation that the sender hints at.
    pub const fn hint(mut self, hint: Relation) -> Self {
        self.hint = hint;
        self
    }

    /// How long ago the message was sent.
    pub const fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Whether a span is current where the handler starts.
    pub const fn ambient(mut self, ambient: bool) -> Self {
        self.ambient = ambient;
        self
    }

    /// Why the message comes again, or late; none if it does neither.
    pub const fn redelivery(mut self, redelivery: Option<Redelivery>) -> Self {
        self.redelivery = redelivery;
        self
    }

    /// How many spans of handlers the sender's trace has already.
    pub const fn spans(mut self, spans: u32) -> Self {
        self.spans = spans;
        self
    }

    fn has_sender(&self) -> bool {
        self.sender.span_context().is_valid()
    }
}

/// In nanoseconds; half a thousand years are as good as for ever.
pub(crate) const fn nanos(age: Duration) -> u64 {
    let nanos = age.as_nanos();
    if nanos > u64::MAX as u128 {
        u64::MAX
    } else {
        nanos as u64
    }
}

/// Twelve levels of a fan-out fit, a pair of actors that write to each other for ever does not.
const MAX_HOPS: u8 = 16;
/// What viewers of traces still draw.
const MAX_SPANS: u32 = 5_000;
/// Past this, whoever looks at the sender's trace has it closed.
const MAX_AGE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use throughline_core::{SpanContext, SpanId, TraceFlags, TraceId};

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

    fn told(policy: Policy, situation: &Situation<'_>) -> String {
        let Some(decision) = policy.decide(situation) else {
            return "nothing".to_owned();
        };
        let parent = if decision.is_under_ambient() {
            ", under the current span"
        } else {
            ""
        };
        let link = decision.link(situation.sender).is_some();
        let link = if link && decision.relation() != Relation::Link {
            ", linked"
        } else {
            ""
        };
        format!(
            "{} {}{parent}{link}",
            decision.relation(),
            decision.reason().name()
        )
    }

    #[test]
    fn every_row_of_the_table_of_messages() {
        use Operation::{Ask, Tell, Timer};
        use Relation::{Auto, Child, Link, Root};
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
        for (operation, rule, hint, hops, age, expected) in rows {
            let sender = sender(hops);
            // A loop that was made in a span has it for ever: it decides nothing.
            for ambient in [false, true] {
                let situation = Situation::new(&sender, operation).hint(hint).age(age);
                assert_eq!(
                    told(Policy::from(rule), &situation.ambient(ambient)),
                    expected,
                    "{operation:?} {rule:?} {hint:?} {hops} {age:?}"
                );
            }
        }
        let starts = [
            (Starts::Nothing, Tell, "nothing", "child tell"),
            (Starts::Messages, Tell, "root no_sender", "child tell"),
            (Starts::Messages, Timer, "nothing", "nothing"),
            (Starts::Everything, Timer, "root no_sender", "link timer"),
        ];
        let nobody = Context::default();
        for (starts, operation, without, with) in starts {
            let policy = Policy::new().starts(starts);
            assert_eq!(told(policy, &Situation::new(&nobody, operation)), without);
            assert_eq!(told(policy, &Situation::new(&sender(1), operation)), with);
        }
    }

    #[test]
    fn every_row_of_the_table_of_records_and_events() {
        use Operation::{Batch, Event, Record, Replay};
        use Redelivery::{DeadLetter, Delayed, Retry};
        use Relation::{Auto, Child, Link, Root};
        let rows = [
            // operation, the receiver's rule, redelivery, a current span, age => relation, reason, parent
            (Record, Auto, None, false, YOUNG, "child record, linked"),
            (Record, Auto, None, false, OLD, "link age"),
            (
                Record,
                Auto,
                None,
                true,
                YOUNG,
                "link ambient, under the current span",
            ),
            (Record, Child, None, true, YOUNG, "child receiver"),
            (Record, Link, None, true, YOUNG, "link receiver"),
            (Record, Auto, Some(Retry), false, YOUNG, "link retry"),
            (Record, Auto, Some(Retry), true, YOUNG, "link retry"),
            (Record, Auto, Some(Delayed), false, YOUNG, "link delayed"),
            (
                Record,
                Auto,
                Some(DeadLetter),
                false,
                YOUNG,
                "link dead_letter",
            ),
            (Record, Child, Some(Retry), false, YOUNG, "child receiver"),
            (Batch, Auto, None, false, YOUNG, "link batch"),
            (Batch, Child, None, false, YOUNG, "link batch"),
            (
                Batch,
                Auto,
                None,
                true,
                OLD,
                "link batch, under the current span",
            ),
            (Batch, Root, None, false, YOUNG, "root receiver"),
            (Event, Auto, None, false, YOUNG, "link event"),
            (Event, Auto, None, true, YOUNG, "link event"),
            (Event, Child, None, false, YOUNG, "child receiver"),
            (Event, Child, None, false, OLD, "link age"),
            (Event, Auto, Some(Retry), false, YOUNG, "link retry"),
            (Replay, Child, None, true, YOUNG, "root replay"),
        ];
        let sender = sender(1);
        for (operation, rule, redelivery, ambient, age, expected) in rows {
            let situation = Situation::new(&sender, operation)
                .age(age)
                .ambient(ambient)
                .redelivery(redelivery);
            assert_eq!(
                told(Policy::from(rule), &situation),
                expected,
                "{operation:?} {rule:?} {redelivery:?} {ambient} {age:?}"
            );
        }
        let nobody = Context::default();
        let record = Situation::new(&nobody, Record);
        assert_eq!(told(Policy::new(), &record), "root no_sender");
        assert_eq!(
            told(Policy::new().starts(Starts::Nothing), &record.ambient(true)),
            "root no_sender, under the current span"
        );
    }

    #[test]
    fn a_trace_has_so_many_spans_and_no_more() {
        let policy = Policy::new().max_spans(3);
        let sender = sender(1);
        let told = |spans| {
            told(
                policy,
                &Situation::new(&sender, Operation::Tell).spans(spans),
            )
        };
        assert_eq!(
            [0, 2, 3, u32::MAX].map(told),
            ["child tell", "child tell", "link spans", "link spans"]
        );
    }

    #[test]
    fn a_parent_is_never_linked_too() {
        let sender = sender(1);
        for relation in [Relation::Child, Relation::Link, Relation::Root] {
            let decision = Policy::from(relation)
                .decide(&Situation::new(&sender, Operation::Tell))
                .expect("messages may start traces");
            let both = (decision.parent(&sender), decision.link(&sender));
            assert_eq!(both.0.is_some(), relation == Relation::Child);
            assert_eq!(both.1.is_some(), relation == Relation::Link);
        }
    }
}
