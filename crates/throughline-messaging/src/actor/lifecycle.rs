//! The life of an actor that is a task: whoever spawns it sees to its start, its restarts and its end.
//!
//! Owns when the spans of such a life are made. What starts an actor again is the program's.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;
use throughline_core::{FutureExt, Span, Status, WithContext, expansion};

use super::{Identity, Life, StopReason};
use crate::keys;
use crate::observe::{observe, try_observe};

/// The life of an actor on plain Tokio, or on any other runtime: spans for its start, its panics, its restarts and its stop.
///
/// They are short, each is of a trace of its own, and each links what it follows from: the start the span that is current
/// where this is made, a restart the message that the actor panicked at, a stop the start. The actor's future runs in no
/// span at all, whatever span it was spawned in, so that nothing lasts as long as the actor. Its messages have theirs from
/// the [channel](crate::mpsc) or the attribute on its loop; what is left in its mailbox is undelivered once the receiver is
/// dropped. While it runs it is one of those that [`stats`](super::stats) and metrics count as live.
///
/// ```
/// use throughline_messaging::actor::Lifecycle;
/// use throughline_messaging::mpsc;
///
/// struct Account { balance: i64 }
///
/// impl Account {
///     async fn run(mut self, inbox: &mut mpsc::Receiver<i64>) {
///         while let Some(amount) = inbox.recv().await {
///             self.balance = self.balance.checked_add(*amount).expect("no fortune is that large");
///         }
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (tx, mut inbox) = mpsc::named("account", 16);
/// let mut life = Lifecycle::of::<Account>();
/// let account = tokio::spawn(async move {
///     // A panic restarts the actor, with the mailbox it had.
///     while let Err(panicked) = life.run(Account { balance: 0 }.run(&mut inbox)).await {
///         drop(panicked);
///     }
/// });
/// # for amount in [1, i64::MAX, 1] { tx.send(amount).await.unwrap(); }
/// drop(tx);
/// account.await.unwrap();
/// # });
/// ```
#[derive(Debug)]
pub struct Lifecycle {
    actor_type: &'static str,
    id: u64,
    life: Life,
    /// Whether the span of this start was made.
    started: bool,
}

impl Lifecycle {
    /// An actor of that type, which the current span spawns.
    #[must_use]
    pub fn of<A: ?Sized>() -> Self {
        Self::named(std::any::type_name::<A>())
    }

    /// The same by the name of its type.
    ///
    /// ```
    /// let life = throughline_messaging::actor::Lifecycle::named("Account");
    /// ```
    #[must_use]
    pub fn named(actor_type: &'static str) -> Self {
        Self {
            actor_type,
            // Relaxed: the numbers differ, and that is all.
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            life: Life::spawned_here(),
            started: false,
        }
    }

    /// Does what the actor has to do before its first message, in the span `{actor type} start`, or `restart`.
    ///
    /// An actor that has nothing to do leaves it out: [`run`](Self::run) makes the span then.
    ///
    /// ```
    /// # use throughline_messaging::actor::Lifecycle;
    /// # struct Account(u32);
    /// # impl Account { async fn load() -> Self { Self(0) } async fn run(self) {} }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let mut life = Lifecycle::of::<Account>();
    /// let account = life.start(Account::load()).await;
    /// life.run(account.run()).await?;
    /// # Ok::<(), throughline_messaging::actor::Panicked>(())
    /// # }).unwrap();
    /// ```
    pub fn start<F: Future>(&mut self, work: F) -> impl Future<Output = F::Output> + use<F> {
        observe(self.start_span(), work)
    }

    /// The same for what may fail: an `Err` is recorded as the span's error.
    pub fn try_start<F, R, E>(
        &mut self,
        work: F,
    ) -> impl Future<Output = Result<R, E>> + use<F, R, E>
    where
        F: Future<Output = Result<R, E>>,
        E: fmt::Display,
    {
        try_observe(self.start_span(), work)
    }

    fn start_span(&mut self) -> Span {
        self.started = true;
        self.life.start(&identity(self.actor_type, &self.id))
    }

    /// Runs the actor until it ends: with its output, which makes the span `{actor type} stop` say `normal`, by a panic,
    /// which makes the span `{actor type} panic` and a stop that says `panicked`, or by being dropped, as the future of a task
    /// is that is aborted: `killed`.
    ///
    /// # Errors
    ///
    /// The actor panicked. Run it again to restart it, or let the panic [go on](Panicked::resume).
    ///
    /// As after a panic of a task, what the actor's future had borrowed is as the panic left it.
    pub fn run<F: Future>(
        &mut self,
        actor: F,
    ) -> impl Future<Output = Result<F::Output, Panicked>> + use<'_, F> {
        self.running(actor, |_| StopReason::Normal, |_, _| ())
    }

    /// Like [`run`](Self::run) for an actor that may return an error, which makes the stop say `failed`, and is its error.
    ///
    /// # Errors
    ///
    /// The actor panicked.
    ///
    /// ```
    /// # use throughline_messaging::actor::Lifecycle;
    /// # async fn account() -> Result<(), std::io::Error> { Ok(()) }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let ended = Lifecycle::named("Account").try_run(account()).await;
    /// assert!(matches!(ended, Ok(Ok(()))));
    /// # });
    /// ```
    pub fn try_run<F, R, E>(
        &mut self,
        actor: F,
    ) -> impl Future<Output = Result<Result<R, E>, Panicked>> + use<'_, F, R, E>
    where
        F: Future<Output = Result<R, E>>,
        E: fmt::Display,
    {
        let reason = |result: &Result<R, E>| match result {
            Ok(_) => StopReason::Normal,
            Err(_) => StopReason::Failed,
        };
        self.running(actor, reason, expansion::inspect_err_display::<R, E>)
    }

    fn running<F: Future>(
        &mut self,
        actor: F,
        reason: fn(&F::Output) -> StopReason,
        inspect: fn(&F::Output, &mut Span),
    ) -> Running<'_, F> {
        // The span that spawns the actor is not the parent of all it does.
        let nowhere = self.life.origin().without_span();
        Running {
            inner: actor.with_context(nowhere),
            stopping: Stopping {
                lifecycle: self,
                runs: false,
            },
            reason,
            inspect,
        }
    }

    fn stop(&mut self, reason: StopReason) -> Span {
        self.started = false;
        let actor = identity(self.actor_type, &self.id);
        actor.stopped();
        self.life.stop(&actor, reason)
    }

    fn panicked(&mut self, panicked: &Panicked) {
        if let Some(message) = expansion::take_unwound() {
            self.life.failed_at(message);
        }
        let mut span = self.life.panic(&identity(self.actor_type, &self.id));
        span.edit(|span| {
            span.set_attribute(keys::ERROR_TYPE, "panic");
            span.record_error(panicked);
            span.set_status(Status::Error, &panicked.to_string());
        });
        span.end();
        self.stop(StopReason::Panicked).end();
    }
}

fn identity<'a>(actor_type: &'static str, id: &'a u64) -> Identity<'a> {
    Identity::of("tokio").actor_type(actor_type).id(id)
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// An actor that panicked, and what it panicked with.
pub struct Panicked(Box<dyn Any + Send>);

impl Panicked {
    /// What the panic says, if it says something.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        let text = self.0.downcast_ref::<&str>().copied();
        text.or_else(|| self.0.downcast_ref::<String>().map(String::as_str))
    }

    /// Lets the panic go on here, as if nobody had caught it.
    ///
    /// # Panics
    ///
    /// That is what it is for.
    pub fn resume(self) -> ! {
        resume_unwind(self.0)
    }

    /// What the actor panicked with.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn Any + Send> {
        self.0
    }
}

impl fmt::Debug for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panicked").field(&self.message()).finish()
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(message) => write!(f, "the actor panicked: {message}"),
            None => f.write_str("the actor panicked"),
        }
    }
}

impl Error for Panicked {}

pin_project! {
    /// The future of an actor, and what is made of its end.
    struct Running<'a, F: Future> {
        // Dropped before the next field, so that what is dropped with the actor comes before its stop.
        #[pin]
        inner: WithContext<F>,
        stopping: Stopping<'a>,
        reason: fn(&F::Output) -> StopReason,
        inspect: fn(&F::Output, &mut Span),
    }
}

/// An actor that is killed if this is dropped while it runs.
struct Stopping<'a> {
    lifecycle: &'a mut Lifecycle,
    runs: bool,
}

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        if self.runs {
            self.lifecycle.stop(StopReason::Killed).end();
        }
    }
}

impl<F: Future> Future for Running<'_, F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Stopping { lifecycle, runs } = this.stopping;
        if !*runs {
            *runs = true;
            if !lifecycle.started {
                lifecycle.start_span().end();
            }
            identity(lifecycle.actor_type, &lifecycle.id).started();
        }
        // What the thread unwound out of before is not of this actor.
        expansion::take_unwound();
        let inner = this.inner;
        let ended = match catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(Panicked(payload)),
        };
        *runs = false;
        match &ended {
            Ok(output) => {
                let mut span = lifecycle.stop((this.reason)(output));
                (this.inspect)(output, &mut span);
            }
            Err(panicked) => lifecycle.panicked(panicked),
        }
        Poll::Ready(ended)
    }
}
