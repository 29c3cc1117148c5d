//! The bank on kameo: the actors are kameo's, and one line beside each lets it take messages that bring their sender's
//! context along.

use std::future::pending;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use kameo::error::Infallible;
use kameo::prelude::*;
use kameo::reply::{BoxReplySender, ReplyError};
use throughline::actor;
use throughline::channel::{Policy, Starts};
use throughline::kameo::{ActorRefExt, Traced, traced_actor};
use throughline::task::JoinSet;

use crate::bank::{
    Audit, BOOK, Balance, Bank, CHECKERS, Check, Deposit, Failure, GetTape, LookUp, Overdrawn,
    PRINTER_MAILBOX, Print, Refused, SETTLE_AFTER, Settle, Signals, Transfer, Withdraw,
};

/// The actors.
pub(crate) struct KameoBank {
    signals: Arc<Signals>,
    teller: ActorRef<Teller>,
    manager: ActorRef<Manager>,
    auditor: ActorRef<Auditor>,
    archive: ActorRef<Archive>,
    printer: ActorRef<Printer>,
}

impl Bank for KameoBank {
    async fn open() -> Result<Self, Failure> {
        let signals = Arc::new(Signals::default());
        let teller = Teller::spawn(Teller {
            checkers: (0..CHECKERS).map(|_| Checker::spawn(Checker)).collect(),
            from: Account::spawn(Account(Balance(100))),
            to: Account::spawn(Account(Balance(0))),
            signals: Arc::clone(&signals),
        });
        let manager = Manager::spawn(Manager);
        let auditor = Auditor::supervise(&manager, Auditor(Arc::clone(&signals)));
        let auditor = auditor.spawn().await;
        auditor.wait_for_startup().await;
        let archive = Archive::spawn(Archive(Arc::clone(&signals)));
        let printer = Printer::spawn_with_mailbox(
            Printer(Arc::clone(&signals)),
            mailbox::bounded(PRINTER_MAILBOX),
        );
        printer.wait_for_startup().await;
        Ok(Self {
            signals,
            teller,
            manager,
            auditor,
            archive,
            printer,
        })
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }

    async fn transfer(&self, amount: i64) -> Result<i64, Failure> {
        let asked = self.teller.ask_traced(Transfer(amount)).await;
        asked.map_err(failure)
    }

    async fn audit(&self, page: usize) -> Result<(), Failure> {
        let told = self.auditor.tell_traced(Audit { page }).await;
        told.map_err(failure)
    }

    async fn get_tape(&self) -> Result<(), Failure> {
        self.archive.tell_traced(GetTape).await.map_err(failure)
    }

    async fn look_up(&self, limit: Duration) -> Result<i64, Failure> {
        let asked = self.archive.ask_within(limit, LookUp).await;
        asked.map_err(failure)
    }

    fn print(&self) -> Result<(), Failure> {
        // A message that comes back is a `Traced` one; dropped as such, it would be told of as undelivered.
        let told = self.printer.tell_traced(Print).try_send();
        told.map_err(|error| failure(error.map_msg(Traced::into_inner)))
    }

    async fn stop_printer(&mut self) {
        self.printer.kill();
        self.printer.wait_for_shutdown().await;
    }

    async fn close(self) -> Result<(), Failure> {
        stop(self.teller).await?;
        // The auditor goes with its supervisor.
        stop(self.manager).await?;
        self.auditor.wait_for_shutdown().await;
        stop(self.archive).await
    }
}

async fn stop<A: Actor>(actor: ActorRef<A>) -> Result<(), Failure> {
    actor.stop_gracefully().await.map_err(failure)?;
    actor.wait_for_shutdown().await;
    Ok(())
}

/// What the actor said, or that it said nothing.
fn failure<M, E: Into<Failure>>(error: SendError<M, E>) -> Failure {
    match error {
        SendError::HandlerError(error) => error.into(),
        SendError::MailboxFull(_) => "the mailbox is full".into(),
        SendError::Timeout(_) => "there was no answer in time".into(),
        _ => "the actor has stopped".into(),
    }
}

fn refused<M, E: Into<Failure>>(error: SendError<M, E>) -> Refused {
    Refused::because(failure(error))
}

#[derive(Actor)]
struct Teller {
    checkers: Vec<ActorRef<Checker>>,
    from: ActorRef<Account>,
    to: ActorRef<Account>,
    signals: Arc<Signals>,
}

// A timer that comes starts a trace of its own, linked to the span that set it. As a rule it makes none.
traced_actor!(Teller, Policy::new().starts(Starts::Everything));

#[actor]
impl Message<Transfer> for Teller {
    type Reply = Result<i64, Refused>;

    async fn handle(
        &mut self,
        Transfer(amount): Transfer,
        ctx: &mut Context<Self, Self::Reply>,
    ) -> Self::Reply {
        let mut checks: JoinSet<_> = (self.checkers.iter().cloned())
            .map(|checker| async move { checker.ask_traced(Check(amount)).await })
            .collect();
        while let Some(check) = checks.join_next().await {
            if !check.map_err(Refused::because)?.map_err(refused)? {
                return Err(Refused::because("a checker is against it"));
            }
        }
        let left = self.from.ask_traced(Withdraw(amount)).await;
        let left = left.map_err(refused)?;
        let told = self.to.tell_traced(Deposit(amount)).await;
        told.map_err(refused)?;
        ctx.actor_ref()
            .timer_traced(Settle)
            .send_after(SETTLE_AFTER);
        Ok(left)
    }
}

#[actor]
impl Message<Settle> for Teller {
    type Reply = ();

    async fn handle(&mut self, _: Settle, _: &mut Context<Self, ()>) {
        self.signals.settled.notify_one();
    }
}

#[derive(Actor)]
struct Checker;

traced_actor!(Checker);

#[actor]
impl Message<Check> for Checker {
    type Reply = bool;

    async fn handle(&mut self, check: Check, _: &mut Context<Self, bool>) -> bool {
        tokio::task::yield_now().await;
        check.passes()
    }
}

#[derive(Actor)]
struct Account(Balance);

traced_actor!(Account);

#[actor]
impl Message<Withdraw> for Account {
    type Reply = Result<i64, Overdrawn>;

    async fn handle(
        &mut self,
        Withdraw(amount): Withdraw,
        _: &mut Context<Self, Self::Reply>,
    ) -> Self::Reply {
        self.0.withdraw(amount)
    }
}

#[actor]
impl Message<Deposit> for Account {
    type Reply = ();

    async fn handle(&mut self, Deposit(amount): Deposit, _: &mut Context<Self, ()>) {
        self.0.0 += amount;
    }
}

/// Starts the auditor again.
#[derive(Actor)]
struct Manager;

/// Its life is told, too: the hooks of kameo run in short spans.
#[derive(Clone)]
struct Auditor(Arc<Signals>);

impl Actor for Auditor {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(auditor: Self, actor_ref: ActorRef<Self>) -> Result<Self, Infallible> {
        throughline::kameo::on_start(&actor_ref, async { Ok(auditor) }).await
    }

    async fn on_panic(
        &mut self,
        actor_ref: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        let stop = ControlFlow::Break(ActorStopReason::Panicked(error.clone()));
        throughline::kameo::on_panic(&actor_ref, &error, async { Ok(stop) }).await
    }

    async fn on_stop(
        &mut self,
        actor_ref: WeakActorRef<Self>,
        reason: ActorStopReason,
    ) -> Result<(), Infallible> {
        throughline::kameo::on_stop(&actor_ref, &reason, async { Ok(()) }).await
    }
}

traced_actor!(Auditor);

#[actor]
impl Message<Audit> for Auditor {
    type Reply = i64;

    async fn handle(&mut self, Audit { page }: Audit, _: &mut Context<Self, i64>) -> i64 {
        let entry = BOOK[page];
        self.0.audited.notify_one();
        entry
    }
}

struct Archive(Arc<Signals>);

impl Actor for Archive {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(archive: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(archive)
    }

    // Only here it is to be seen that nobody waits for the answer any more.
    async fn on_message(
        &mut self,
        message: BoxMessage<Self>,
        actor_ref: ActorRef<Self>,
        reply: Option<BoxReplySender>,
        stop: &mut bool,
    ) -> Result<(), Box<dyn ReplyError>> {
        throughline::kameo::on_message(self, message, actor_ref, reply, stop).await
    }
}

traced_actor!(Archive);

#[actor]
impl Message<GetTape> for Archive {
    type Reply = ();

    async fn handle(&mut self, _: GetTape, _: &mut Context<Self, ()>) {
        self.0.tape.notified().await;
    }
}

#[actor]
impl Message<LookUp> for Archive {
    type Reply = i64;

    async fn handle(&mut self, _: LookUp, _: &mut Context<Self, i64>) -> i64 {
        BOOK.iter().sum()
    }
}

struct Printer(Arc<Signals>);

impl Actor for Printer {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(printer: Self, actor_ref: ActorRef<Self>) -> Result<Self, Infallible> {
        throughline::kameo::on_start(&actor_ref, async { Ok(printer) }).await
    }

    async fn on_stop(
        &mut self,
        actor_ref: WeakActorRef<Self>,
        reason: ActorStopReason,
    ) -> Result<(), Infallible> {
        throughline::kameo::on_stop(&actor_ref, &reason, async { Ok(()) }).await
    }
}

traced_actor!(Printer);

#[actor]
impl Message<Print> for Printer {
    type Reply = ();

    async fn handle(&mut self, _: Print, _: &mut Context<Self, ()>) {
        self.0.printing.notify_one();
        pending().await
    }
}
