//! Spans of an actor's own life: short ones, each linked to what it follows from, and none that lasts as long as the
//! actor.

use throughline_core::{Callsite, Context, Span, callsite};

use super::Identity;
use crate::arrival::Arrival;
use crate::keys;
use crate::policy::Policy;
use crate::relation::{Operation, Relation};

/// What the next span of an actor's life links: the span that spawned it, then that of its start, and the message that it
/// failed at last.
///
/// It is for those who run actors: a library's integration keeps one for each actor. It holds identifiers, never a span.
/// Each span starts a trace of its own, since a trace that lasts as long as an actor can be looked at by nobody.
///
/// ```
/// use throughline_messaging::actor::{Identity, Life, StopReason};
///
/// let cart = Identity::of("mylibrary").actor_type("Cart");
/// let mut life = Life::spawned_here();
/// life.start(&cart).in_scope(|| { /* what the actor does first */ });
/// cart.started(); // one more that runs
/// cart.stopped();
/// life.stop(&cart, StopReason::Normal).in_scope(|| { /* and last */ });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// The span that spawned the actor; from its start on, that of the start.
    origin: Context,
    started: bool,
    /// The message that the actor failed at last.
    failed: Option<Context>,
}

/// Why an actor stops: what the attribute `actor.stop.reason` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// It was done, or told to stop.
    Normal,
    /// It returned an error.
    Failed,
    /// It was not asked.
    Killed,
    /// It panicked, or failed at a message as its library has it.
    Panicked,
    /// Its supervisor starts it again for the sake of others.
    SupervisorRestart,
    /// An actor that it depends on is gone.
    LinkDied,
    /// The process that runs the actor it depends on is gone.
    PeerDisconnected,
}

impl StopReason {
    /// The reason in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Panicked => "panicked",
            Self::SupervisorRestart => "supervisor_restart",
            Self::LinkDied => "link_died",
            Self::PeerDisconnected => "peer_disconnected",
        }
    }
}

impl Life {
    /// The life of an actor that the current span spawns. The default is one of unknown origin.
    #[must_use]
    pub fn spawned_here() -> Self {
        Self {
            origin: Context::current(),
            ..Self::default()
        }
    }

    /// The context that the next span links, unless the actor failed.
    pub(super) const fn origin(&self) -> &Context {
        &self.origin
    }

    /// Starts the span `{actor type} start`, or `{actor type} restart` where it was started before.
    ///
    /// It links the span that spawned the actor, or the message that the actor failed at.
    pub fn start(&mut self, actor: &Identity<'_>) -> Span {
        let span = self.span(actor, if self.started { "restart" } else { "start" });
        *self = Self {
            origin: if span.is_disabled() {
                self.origin.without_span()
            } else {
                span.context()
            },
            started: true,
            failed: None,
        };
        span
    }

    /// Says which message the actor failed at: the next span links it.
    pub fn failed_at(&mut self, message: Context) {
        self.failed = Some(message);
    }

    /// Starts the span `{actor type} panic`, of whatever is done about a failure, linked to the message that the actor failed
    /// at.
    pub fn panic(&self, actor: &Identity<'_>) -> Span {
        self.span(actor, "panic")
    }

    /// Starts the span `{actor type} stop`, which has the reason and links the actor's start, or where it stops because
    /// it failed at a message, this one.
    pub fn stop(&mut self, actor: &Identity<'_>, reason: StopReason) -> Span {
        if !matches!(reason, StopReason::Panicked | StopReason::Failed) {
            // It went on after what it failed at.
            self.failed = None;
        }
        let mut span = self.span(actor, "stop");
        span.attribute(&keys::STOP_REASON, reason.name());
        span
    }

    fn span(&self, actor: &Identity<'_>, what: &str) -> Span {
        let cause = self.failed.as_ref().unwrap_or(&self.origin);
        let policy = Policy::from(Relation::Link);
        let mut span = Arrival::new(cause, Operation::Tell).span(&LIFECYCLE, &policy);
        span.edit(|span| actor.describe(span, what));
        span
    }
}

static LIFECYCLE: Callsite = callsite!("lifecycle", Internal);
