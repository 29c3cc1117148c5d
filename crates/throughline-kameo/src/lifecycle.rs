//! Spans of an actor's own life: short ones, each linked to what it follows from, and none that lasts as long as the
//! actor.
//!
//! Owns which life is whose: kameo has no place for it in an actor. One lock holds them for all actors; it is taken where an
//! actor starts, fails and stops, never for a message. What the spans say and link is the observer's.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kameo::Actor;
use kameo::actor::{ActorId, ActorRef, Spawn, WeakActorRef};
use kameo::error::{ActorStopReason, PanicError};
use throughline_core::{Context, Span, expansion};
use throughline_messaging::actor::{Identity, Life, StopReason};
use throughline_messaging::observe_with;

use crate::SYSTEM;

/// Spawns an actor whose [start](on_start) links the span that is current now.
pub trait SpawnExt: Actor {
    /// [`Spawn::spawn`]. For kameo's other ways to spawn, prepare the actor and call [`spawned_here`].
    ///
    /// ```
    /// # use kameo::prelude::*;
    /// use throughline_kameo::SpawnExt;
    /// # #[derive(Actor)]
    /// # struct Account;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let account = Account::spawn_traced(Account);
    /// # });
    /// ```
    fn spawn_traced(args: Self::Args) -> ActorRef<Self> {
        let prepared = Self::prepare();
        let actor_ref = prepared.actor_ref().clone();
        spawned_here(&actor_ref);
        prepared.spawn(args);
        actor_ref
    }
}

impl<A: Actor> SpawnExt for A {}

/// Says that the current span is what spawns the actor: to be called between [`Spawn::prepare`] and the spawn.
///
/// ```
/// # use kameo::prelude::*;
/// # #[derive(Actor)]
/// # struct Account;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let prepared = Account::prepare_with_mailbox(mailbox::unbounded());
/// throughline_kameo::spawned_here(prepared.actor_ref());
/// prepared.spawn(Account);
/// # });
/// ```
pub fn spawned_here<A: Actor>(actor_ref: &ActorRef<A>) {
    if Context::current().span_context().is_valid() {
        lives().set(actor_ref.id(), Life::spawned_here());
    }
}

/// Runs the body of [`Actor::on_start`] in a span `{actor type} start`, or `{actor type} restart` where a supervisor
/// starts the actor again.
///
/// The span starts a trace and links the span that spawned the actor, or the message that the actor failed at. An `Err` is
/// recorded as its error. What is remembered for the links is given back in [`on_stop`]: use both, or neither. Between them the
/// actor is one of those that [`stats`](throughline_messaging::actor::stats()) and metrics count as live; kameo calls no hook of
/// an actor whose runtime is dropped.
///
/// ```
/// use kameo::error::Infallible;
/// use kameo::prelude::*;
///
/// struct Account {
///     balance: i64,
/// }
///
/// impl Actor for Account {
///     type Args = i64;
///     type Error = Infallible;
///
///     async fn on_start(balance: i64, actor_ref: ActorRef<Self>) -> Result<Self, Infallible> {
///         throughline_kameo::on_start(&actor_ref, async { Ok(Self { balance }) }).await
///     }
///
///     async fn on_stop(&mut self, actor_ref: WeakActorRef<Self>, reason: ActorStopReason) -> Result<(), Infallible> {
///         throughline_kameo::on_stop(&actor_ref, &reason, async { Ok(()) }).await
///     }
/// }
/// ```
pub fn on_start<A, E, F>(actor_ref: &ActorRef<A>, start: F) -> impl Future<Output = Result<A, E>>
where
    A: Actor,
    E: fmt::Debug,
    F: Future<Output = Result<A, E>>,
{
    let id = actor_ref.id();
    let mut life = lives().take(id).unwrap_or_default();
    let span = life.start(&identity::<A>(&id));
    lives().set(id, life);
    let started = async move {
        let mut starting = Starting(Some(id));
        let actor = start.await?;
        starting.0 = None;
        identity::<A>(&id).started();
        Ok(actor)
    };
    observe_with(span, started, expansion::inspect_err_debug::<A, E>)
}

/// Runs the body of [`Actor::on_panic`] in a span `{actor type} panic`, linked to the message that the actor failed at.
///
/// The span has the error that kameo hands to the hook. The link is there for an actor with [`on_start`].
///
/// ```
/// # use std::ops::ControlFlow;
/// # use kameo::error::Infallible;
/// # use kameo::prelude::*;
/// # struct Account;
/// # impl Actor for Account {
/// #     type Args = Self;
/// #     type Error = Infallible;
/// #     async fn on_start(account: Self, _: ActorRef<Self>) -> Result<Self, Infallible> { Ok(account) }
/// async fn on_panic(
///     &mut self,
///     actor_ref: WeakActorRef<Self>,
///     error: PanicError,
/// ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
///     let go_on = async { Ok(ControlFlow::Continue(())) };
///     throughline_kameo::on_panic(&actor_ref, &error, go_on).await
/// }
/// # }
/// ```
pub fn on_panic<A, E, F>(
    actor_ref: &WeakActorRef<A>,
    error: &PanicError,
    hook: F,
) -> impl Future<Output = Result<ControlFlow<ActorStopReason>, E>>
where
    A: Actor,
    E: fmt::Debug,
    F: Future<Output = Result<ControlFlow<ActorStopReason>, E>>,
{
    let id = actor_ref.id();
    let life = lives().get(id).unwrap_or_default();
    let mut span = life.panic(&identity::<A>(&id));
    expansion::inspect_err_display::<(), _>(&Err(error.clone()), &mut span);
    observe_with(span, hook, expansion::inspect_err_debug::<_, E>)
}

/// Runs the body of [`Actor::on_stop`] in a span `{actor type} stop`, with the reason for the stop.
///
/// The span starts a trace and links that of the actor's [start](on_start), or where the actor stops because it failed
/// at a message, this one. An `Err` is recorded as its error.
pub fn on_stop<A, E, F>(
    actor_ref: &WeakActorRef<A>,
    reason: &ActorStopReason,
    stop: F,
) -> impl Future<Output = Result<(), E>>
where
    A: Actor,
    E: fmt::Debug,
    F: Future<Output = Result<(), E>>,
{
    let id = actor_ref.id();
    let actor = identity::<A>(&id);
    actor.stopped();
    let span = lives().stop(id, &actor, reason);
    observe_with(span, stop, expansion::inspect_err_debug::<(), E>)
}

/// A start that is not done. kameo calls no hook of an actor that never started, which its supervisor may yet start again.
struct Starting(Option<ActorId>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            lives().may_restart(id);
        }
    }
}

/// The message that is handled here is one that the actor fails at.
pub(crate) fn failed_here(id: ActorId) {
    lives().fail(id, Context::current());
}

pub(crate) fn identity<A: Actor>(id: &ActorId) -> Identity<'_> {
    Identity::of(SYSTEM).actor_type(A::name()).id(id)
}

#[expect(
    unreachable_patterns,
    reason = "another crate of the program may switch kameo's remote actors on, and with them one more reason"
)]
const fn kind_of(reason: &ActorStopReason) -> StopReason {
    match reason {
        ActorStopReason::Normal => StopReason::Normal,
        ActorStopReason::SupervisorRestart => StopReason::SupervisorRestart,
        ActorStopReason::Killed => StopReason::Killed,
        ActorStopReason::Panicked(_) => StopReason::Panicked,
        ActorStopReason::LinkDied { .. } => StopReason::LinkDied,
        _ => StopReason::PeerDisconnected,
    }
}

/// The lives of all actors that have such spans.
#[derive(Debug)]
struct Lives {
    of: BTreeMap<ActorId, Life>,
    /// Those that stopped and may be restarted, the earliest first.
    stopped: VecDeque<ActorId>,
}

impl Lives {
    const fn new() -> Self {
        Self {
            of: BTreeMap::new(),
            stopped: VecDeque::new(),
        }
    }

    fn get(&self, id: ActorId) -> Option<Life> {
        self.of.get(&id).cloned()
    }

    fn take(&mut self, id: ActorId) -> Option<Life> {
        self.stopped.retain(|stopped| *stopped != id);
        self.of.remove(&id)
    }

    fn set(&mut self, id: ActorId, life: Life) {
        if self.of.len() < MAX_ACTORS {
            self.of.insert(id, life);
        }
    }

    /// Only of an actor that is known: others would stay here for good.
    fn fail(&mut self, id: ActorId, failed: Context) {
        if let Some(life) = self.of.get_mut(&id) {
            life.failed_at(failed);
        }
    }

    /// Nobody tells the actor whether it will be restarted; its supervisor may do it before this or after.
    fn stop(&mut self, id: ActorId, actor: &Identity<'_>, reason: &ActorStopReason) -> Span {
        let Some(life) = self.of.get_mut(&id) else {
            return Life::default().stop(actor, kind_of(reason));
        };
        let span = life.stop(actor, kind_of(reason));
        if reason.is_normal() {
            self.take(id);
            return span;
        }
        self.may_restart(id);
        span
    }

    fn may_restart(&mut self, id: ActorId) {
        self.stopped.push_back(id);
        if self.stopped.len() > MAX_STOPPED
            && let Some(earliest) = self.stopped.pop_front()
        {
            self.of.remove(&earliest);
        }
    }
}

fn lives() -> MutexGuard<'static, Lives> {
    LIVES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The spans of more actors than this link nothing.
const MAX_ACTORS: usize = 1 << 16;
/// Actors that stopped, not in the normal course, whose restart would still be linked.
const MAX_STOPPED: usize = 256;

static LIVES: Mutex<Lives> = Mutex::new(Lives::new());

#[cfg(test)]
mod tests {
    use kameo::prelude::{Actor, ActorRef};

    use super::*;

    #[derive(Debug)]
    struct Unstartable;

    impl Actor for Unstartable {
        type Args = bool;
        type Error = &'static str;

        async fn on_start(panics: bool, actor_ref: ActorRef<Self>) -> Result<Self, &'static str> {
            let start = async {
                assert!(!panics, "told to");
                Err("told to")
            };
            on_start(&actor_ref, start).await
        }
    }

    #[test]
    fn actors_that_never_start_are_forgotten() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(async {
            for number in 0..2 * MAX_STOPPED {
                let actor = Unstartable::spawn(number % 2 == 0);
                actor.wait_for_shutdown().await;
            }
        });
        assert!(lives().of.len() <= MAX_STOPPED);
    }
}
