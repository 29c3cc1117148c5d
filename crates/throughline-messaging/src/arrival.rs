//! A message, record or event at the moment somebody takes it, and the span of whoever handles it.
//!
//! Owns what all roles have in common: when the wait ends, whose child the span is, what it links. What the span is
//! called and what else it says is the role's.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use throughline_core::clock::{self, Ticks};
use throughline_core::handler::Unsampled;
use throughline_core::propagate::Baggage;
use throughline_core::{Callsite, Context, LinkFields, LiveSpan, Parent, Span, SpanContext};

use crate::budget;
use crate::keys;
use crate::policy::{self, Policy, Situation};
use crate::projection::is_replay;
use crate::relation::{Decision, Operation, Redelivery, Relation, Starts};
use crate::selection::{Selected, Subject, selected};
use crate::told;

/// A message, record or event that arrived: starts the span of its handler.
///
/// It is what an integration makes of whatever its host hands out. It borrows the sender's context and holds no span.
///
/// ```
/// use std::time::Duration;
/// use throughline_core::{Callsite, Context, callsite};
/// use throughline_messaging::{Arrival, Operation, Policy, observe};
///
/// static PROCESS: Callsite = callsite!("process orders", Consumer);
///
/// # async fn store(_: &str) {}
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// // What came with the record: in a header, a column, a field.
/// let sender = Context::default();
/// let arrival = Arrival::new(&sender, Operation::Record).waited(Duration::from_millis(40));
/// observe(arrival.span(&PROCESS, &Policy::new()), store("order 7")).await;
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "an arrival is there to be handled"]
pub struct Arrival<'a> {
    sender: &'a Context,
    operation: Operation,
    hint: Relation,
    wait: Wait,
    redelivery: Option<Redelivery>,
    attempt: Option<u32>,
    previous: Option<SpanContext>,
    others: &'a [SpanContext],
    differing: Option<Differing<'a>>,
}

/// Says on the link to each message of a batch what is not the same for all.
#[derive(Clone, Copy)]
struct Differing<'a>(&'a dyn Fn(usize, &mut LinkFields<'_, '_>));

impl fmt::Debug for Differing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Differing")
    }
}

/// What is known about the time between the send and the handler.
#[derive(Clone, Copy, Debug)]
enum Wait {
    Unknown,
    Since(Ticks),
    Known(Duration),
}

impl<'a> Arrival<'a> {
    /// A message that was sent under that context, for the first time; nobody knows when.
    pub const fn new(sender: &'a Context, operation: Operation) -> Self {
        Self {
            sender,
            operation,
            hint: Relation::Auto,
            wait: Wait::Unknown,
            redelivery: None,
            attempt: None,
            previous: None,
            others: &[],
            differing: None,
        }
    }

    /// Hints at the relation; the receiver's own rule goes first.
    pub const fn hint(mut self, hint: Relation) -> Self {
        self.hint = hint;
        self
    }

    /// When it was sent, in this process, if that is known.
    #[inline]
    pub fn sent(mut self, sent: impl Into<Option<Ticks>>) -> Self {
        if let Some(sent) = sent.into() {
            self.wait = Wait::Since(sent);
        }
        self
    }

    /// How long ago it was sent, as far as two processes' clocks agree.
    pub const fn waited(mut self, wait: Duration) -> Self {
        self.wait = Wait::Known(wait);
        self
    }

    /// It comes again, or late.
    pub const fn redelivered(mut self, redelivery: Redelivery) -> Self {
        self.redelivery = Some(redelivery);
        self
    }

    /// Which attempt at handling it this is, from one; past the first it is a [retry](Redelivery::Retry), if nothing
    /// else was said.
    pub const fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        if attempt > 1 && self.redelivery.is_none() {
            self.redelivery = Some(Redelivery::Retry);
        }
        self
    }

    /// The span of the attempt before, which is linked.
    pub const fn after(mut self, previous: SpanContext) -> Self {
        self.previous = Some(previous);
        self
    }

    /// The senders of a batch beside the first one. Each is linked once; past the limit of links they are counted. No
    /// sender's baggage is current in a batch.
    pub const fn with_others(mut self, others: &'a [SpanContext]) -> Self {
        self.others = others;
        self
    }

    /// What is different about the messages of a batch, to be said on their links: `tell` is given the number of a message,
    /// zero for the sender's and from one on for the [others'](Self::with_others). What is the same for all is the span's.
    ///
    /// ```
    /// use throughline_core::{Context, Key};
    /// use throughline_messaging::{Arrival, Operation};
    ///
    /// const OFFSET: Key = throughline_wire::key!("messaging.kafka.offset");
    ///
    /// let sender = Context::default();
    /// let others = [sender.span_context()];
    /// let offsets = [7, 9];
    /// let batch = Arrival::new(&sender, Operation::Batch).with_others(&others);
    /// let batch = batch.differing(&|message, link| {
    ///     link.attribute(&OFFSET, offsets[message]);
    /// });
    /// ```
    pub const fn differing(mut self, tell: &'a dyn Fn(usize, &mut LinkFields<'_, '_>)) -> Self {
        self.differing = Some(Differing(tell));
        self
    }

    /// What the sender does.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// How long ago it was sent, if that is known.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.age_at(clock::now()).map(Duration::from_nanos)
    }

    /// In nanoseconds.
    #[inline(always)]
    fn age_at(&self, now: Ticks) -> Option<u64> {
        match self.wait {
            Wait::Unknown => None,
            Wait::Since(sent) => Some(clock::nanos_between(sent, now)),
            Wait::Known(wait) => Some(policy::nanos(wait)),
        }
    }

    /// What the policy says about this now.
    #[must_use]
    pub fn decide(&self, policy: &Policy) -> Option<Decision> {
        self.decide_with(policy, self.age_at(clock::now()), 0)
    }

    #[inline]
    fn decide_with(&self, policy: &Policy, age: Option<u64>, spans: u32) -> Option<Decision> {
        let usual = policy.usual(self.sender, self.operation, self.hint, age, spans);
        match usual.filter(|_| self.redelivery.is_none()) {
            None => self.decide_anyhow(policy, age, spans),
            usual => usual,
        }
    }

    #[inline(never)]
    fn decide_anyhow(&self, policy: &Policy, age: Option<u64>, spans: u32) -> Option<Decision> {
        let situation = Situation::new(self.sender, self.operation)
            .hint(self.hint)
            .age(Duration::from_nanos(age.unwrap_or_default()))
            .ambient(self.operation.heeds_ambient() && Context::current().span_context().is_valid())
            .redelivery(self.redelivery)
            .spans(spans);
        policy.decide(&situation)
    }

    /// The handler of this: in a span, or where its trace is not sampled without one.
    ///
    /// It is what [`observe`](crate::observe()) takes. Where handlers of unsampled traces are many, it costs them a
    /// fraction of what an unsampled [`span_of`](Self::span_of) does. `fill` gives the span what the role knows of it.
    #[inline(always)]
    pub fn handler(
        &self,
        subject: &Subject<'_>,
        callsite: &'static Callsite,
        policy: &Policy,
        fill: impl FnOnce(&mut Span),
    ) -> Handler {
        match self.unsampled(subject, callsite, policy) {
            Some(unsampled) => Handler(Kind::Unsampled(unsampled)),
            None => {
                // Copies, so that the two are in memory only where they have to be.
                let (arrival, subject) = (*self, *subject);
                arrival.filled(&subject, callsite, policy, fill)
            }
        }
    }

    #[inline(never)]
    fn filled(
        &self,
        subject: &Subject<'_>,
        callsite: &'static Callsite,
        policy: &Policy,
        fill: impl FnOnce(&mut Span),
    ) -> Handler {
        let mut span = self.span_of(subject, callsite, policy);
        fill(&mut span);
        Handler(Kind::Span(span))
    }

    /// The handler of a trace that is not sampled, if this continues one and no more than that has to be known.
    #[inline(always)]
    pub(crate) fn unsampled(
        &self,
        subject: &Subject<'_>,
        callsite: &'static Callsite,
        policy: &Policy,
    ) -> Option<Unsampled> {
        let waited = match self.wait {
            Wait::Unknown => None,
            Wait::Since(sent) if !self.sender.span_context().is_sampled() => {
                Some((sent, clock::now()))
            }
            Wait::Since(_) | Wait::Known(_) => return None,
        };
        let is_young = waited.is_none_or(|(_, now)| {
            self.operation == Operation::Ask || policy.is_young(self.age_at(now))
        });
        let goes_on = !self.sender.span_context().is_sampled()
            && policy.continues(self.sender, self.operation, self.hint)
            && self.redelivery.is_none()
            && is_young
            && selected(subject, callsite, policy).trace;
        goes_on
            .then(|| Unsampled::start(callsite, self.sender, waited))
            .flatten()
    }

    /// Starts the span of the handler, and with it ends the wait; disabled if the policy makes none, and for an event
    /// within a [replay](crate::Projection::replay_page).
    ///
    /// The span has the relation and its reason, the wait and the attempt, as far as they are known.
    pub fn span(&self, callsite: &'static Callsite, policy: &Policy) -> Span {
        self.span_of(&Subject::new(), callsite, policy)
    }

    /// Like [`span`](Self::span) for a message that is known by more than its handler's callsite: a
    /// [`Selection`](crate::Selection) may leave it out. Then the span records nothing, and what runs in it is part of the
    /// sender's trace.
    pub fn span_of(
        &self,
        subject: &Subject<'_>,
        callsite: &'static Callsite,
        policy: &Policy,
    ) -> Span {
        match selected(subject, callsite, policy) {
            Selected { start: true, .. } => self.start(callsite, policy),
            Selected { trace: true, .. } => self.start(callsite, &policy.starts(Starts::Nothing)),
            // The senders of a batch have nothing in common.
            _ if !callsite.is_enabled()
                || !self.others.is_empty()
                || !self.sender.span_context().is_valid() =>
            {
                Span::disabled()
            }
            _ => Span::standing_for(self.sender),
        }
    }

    fn start(&self, callsite: &'static Callsite, policy: &Policy) -> Span {
        if !callsite.is_enabled() || (self.operation == Operation::Event && is_replay()) {
            return Span::disabled();
        }
        let now = clock::now();
        let spans = budget::spend(self.sender.span_context(), now);
        let age = self.age_at(now);
        let Some(decision) = self.decide_with(policy, age, spans) else {
            return Span::disabled();
        };
        // Where the wait ends the span begins, by one reading of the clock.
        let mut span = match decision.parent(self.sender) {
            Some(sender) => Span::start_child_at(callsite, sender, now),
            None if decision.is_under_ambient() => Span::start(callsite),
            None => self.start_root(callsite),
        };
        if self.operation != Operation::Replay {
            let wait = match self.wait {
                Wait::Unknown => None,
                Wait::Since(sent) => Some(now.since(sent)),
                Wait::Known(wait) => Some(clock::nanos_to_ticks(policy::nanos(wait))),
            };
            span.arrived(callsite, wait);
        }
        span.edit(|span| {
            let role = keys::of(self.operation);
            if let Some(wait) = age {
                span.start_since(now);
                span.attribute(role.wait, wait as f64 / NANOS);
            }
            if let Some(attempt) = self.attempt {
                span.attribute(role.attempt, i64::from(attempt));
            }
            span.add_static(told::of(&decision));
            let link = |span: &mut LiveSpan, to: SpanContext, message: usize| match self.differing {
                Some(Differing(tell)) => span.add_link_with(to, "", |link| tell(message, link)),
                None => span.add_link(to),
            };
            if let Some(sender) = decision.link(self.sender) {
                link(span, sender, 0);
            }
            if let Some(previous) = self.previous {
                span.add_link(previous);
            }
            if decision.relation() == Relation::Link {
                let mut linked = HashSet::from([self.sender.span_context().span_id()]);
                for (number, other) in self.others.iter().enumerate() {
                    if linked.insert(other.span_id()) {
                        link(span, *other, number + 1);
                    }
                }
            }
        });
        span
    }

    /// Starts a trace in the recorder of the sender's: whoever receives may be a task that has none.
    fn start_root(&self, callsite: &'static Callsite) -> Span {
        let _sender = if self.operation == Operation::Batch {
            // Baggage is about one message, and must not be taken for the others'.
            let sender = self.sender.clone().with_baggage(Baggage::default());
            sender.attach()
        } else {
            self.sender.attach()
        };
        Span::start_with(callsite, Parent::Root)
    }
}

/// The handler of something that arrived: see [`Arrival::handler`].
#[derive(Debug)]
#[must_use = "it is there to be observed"]
pub struct Handler(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Span(Span),
    Unsampled(Unsampled),
}

impl Handler {
    /// Gives the measurement of the handler what it says beside the attributes of the callsite.
    pub(crate) fn label<'a, const N: usize>(
        &mut self,
        pairs: impl FnOnce() -> [(&'static str, Option<&'a str>); N],
    ) {
        match &mut self.0 {
            Kind::Span(span) => span.label(pairs),
            Kind::Unsampled(unsampled) => unsampled.label(pairs),
        }
    }

    /// The same, where it has no span.
    pub(crate) fn label_unsampled<'a, const N: usize>(
        &mut self,
        pairs: impl FnOnce() -> [(&'static str, Option<&'a str>); N],
    ) {
        if let Kind::Unsampled(unsampled) = &mut self.0 {
            unsampled.label(pairs);
        }
    }
}

impl From<Unsampled> for Handler {
    #[inline(always)]
    fn from(unsampled: Unsampled) -> Self {
        Self(Kind::Unsampled(unsampled))
    }
}

impl From<Span> for Handler {
    fn from(span: Span) -> Self {
        Self(Kind::Span(span))
    }
}

const NANOS: f64 = 1e9;
