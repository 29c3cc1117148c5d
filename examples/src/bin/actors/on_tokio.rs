//! The bank on plain Tokio: an actor is a task that owns its state and takes one message at a time from a channel.
//!
//! The channels are Throughline's, whose messages bring their sender's context along, and the attribute on a handler
//! names its span.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use throughline::actor;
use throughline::channel::actor::Lifecycle;
use throughline::channel::{Envelope, Policy, Starts, mpsc, oneshot};
use throughline::task::JoinSet;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::bank::{
    Audit, BOOK, Balance, Bank, CHECKERS, Check, Deposit, Failure, GetTape, LookUp, Overdrawn,
    PRINTER_MAILBOX, Print, Refused, SETTLE_AFTER, Settle, Signals, Transfer, Withdraw,
};

/// The mailboxes of the actors, and their tasks. An actor stops when nobody can write to it any more.
pub(crate) struct TokioBank {
    signals: Arc<Signals>,
    teller: mpsc::Sender<ToTeller>,
    auditor: mpsc::Sender<Audit>,
    archive: mpsc::Sender<ToArchive>,
    printer: mpsc::Sender<Print>,
    printing: JoinHandle<()>,
    tasks: tokio::task::JoinSet<()>,
}

impl Bank for TokioBank {
    async fn open() -> Result<Self, Failure> {
        let signals = Arc::new(Signals::default());
        let mut tasks = tokio::task::JoinSet::new();
        let mut checkers = Vec::new();
        for _ in 0..CHECKERS {
            let (checker, inbox) = mpsc::named("checker", MAILBOX);
            tasks.spawn(Checker.run(inbox));
            checkers.push(checker);
        }
        let [from, to] = [100, 0].map(|balance| {
            let (account, inbox) = mpsc::named("account", MAILBOX);
            tasks.spawn(Account(Balance(balance)).run(inbox));
            account
        });
        let (teller, inbox) = mpsc::named("teller", MAILBOX);
        let me = teller.downgrade();
        let state = Teller {
            checkers,
            from,
            to,
            me,
            signals: Arc::clone(&signals),
        };
        tasks.spawn(state.run(inbox));
        let (auditor, inbox) = mpsc::named("auditor", MAILBOX);
        tasks.spawn(supervise(Arc::clone(&signals), inbox));
        let (archive, inbox) = mpsc::named("archive", MAILBOX);
        tasks.spawn(Archive(Arc::clone(&signals)).run(inbox));
        let (printer, mut inbox) = mpsc::named("printer", PRINTER_MAILBOX);
        let mut life = Lifecycle::of::<Printer>();
        let state = Printer(Arc::clone(&signals));
        let printing = tokio::spawn(async move {
            // That the task is aborted is what the story wants; a panic of the printer would show in its span.
            let _ = life.run(state.run(&mut inbox)).await;
        });
        Ok(Self {
            signals,
            teller,
            auditor,
            archive,
            printer,
            printing,
            tasks,
        })
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }

    async fn transfer(&self, amount: i64) -> Result<i64, Failure> {
        let question = |reply| ToTeller::Transfer(Transfer(amount), reply);
        Ok(self.teller.ask(question).await??)
    }

    async fn audit(&self, page: usize) -> Result<(), Failure> {
        Ok(self.auditor.send(Audit { page }).await?)
    }

    async fn get_tape(&self) -> Result<(), Failure> {
        Ok(self.archive.send(ToArchive::GetTape(GetTape)).await?)
    }

    async fn look_up(&self, limit: Duration) -> Result<i64, Failure> {
        let question = |reply| ToArchive::LookUp(LookUp, reply);
        let answer = self.archive.ask_within(limit, question).await;
        answer.map_err(|error| {
            if error.is_timeout() {
                "there was no answer in time".into()
            } else {
                error.into()
            }
        })
    }

    fn print(&self) -> Result<(), Failure> {
        Ok(self.printer.try_send(Print)?)
    }

    async fn stop_printer(&mut self) {
        self.printing.abort();
        // It was aborted, which is no news.
        let _ = (&mut self.printing).await;
    }

    async fn close(self) -> Result<(), Failure> {
        let Self {
            teller,
            auditor,
            archive,
            mut tasks,
            ..
        } = self;
        drop((teller, auditor, archive));
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        Ok(())
    }
}

/// How many messages may wait; then senders do.
const MAILBOX: usize = 16;

struct Teller {
    checkers: Vec<mpsc::Sender<ToChecker>>,
    from: mpsc::Sender<ToAccount>,
    to: mpsc::Sender<ToAccount>,
    /// For the timer. It does not keep the actor alive.
    me: mpsc::WeakSender<ToTeller>,
    signals: Arc<Signals>,
}

#[derive(Debug)]
enum ToTeller {
    Transfer(Transfer, oneshot::Sender<Result<i64, Refused>>),
    Settle(Settle),
}

impl Teller {
    async fn run(mut self, inbox: mpsc::Receiver<ToTeller>) {
        // A timer that comes starts a trace of its own, linked to the span that set it. As a rule it makes none.
        let mut inbox = inbox.with_policy(Policy::new().starts(Starts::Everything));
        while let Some(delivery) = inbox.recv().await {
            let handler = async |message| match message {
                ToTeller::Transfer(transfer, reply) => {
                    let left = self.handle_transfer(transfer).await;
                    let _ = reply.send(left);
                }
                ToTeller::Settle(settle) => self.handle_settle(settle),
            };
            delivery.handle(handler).await;
        }
    }
}

#[actor]
impl Teller {
    async fn handle_transfer(&mut self, transfer: Transfer) -> Result<i64, Refused> {
        let Transfer(amount) = transfer;
        let mut checks: JoinSet<_> = (self.checkers.iter().cloned())
            .map(|checker| async move {
                let question = |reply| ToChecker(Check(amount), reply);
                checker.ask(question).await
            })
            .collect();
        while let Some(check) = checks.join_next().await {
            check.map_err(Refused::because)?.map_err(Refused::because)?;
        }
        let question = |reply| ToAccount::Withdraw(Withdraw(amount), reply);
        let left = self.from.ask(question).await.map_err(Refused::because)?;
        let left = left.map_err(Refused::because)?;
        let told = self.to.send(ToAccount::Deposit(Deposit(amount))).await;
        told.map_err(Refused::because)?;
        let (settle, me) = (Envelope::timer(ToTeller::Settle(Settle)), self.me.clone());
        tokio::spawn(async move {
            sleep(SETTLE_AFTER).await;
            if let Some(me) = me.upgrade() {
                // An actor that has stopped needs no timer.
                let _ = me.send_envelope(settle).await;
            }
        });
        Ok(left)
    }

    fn handle_settle(&mut self, _: Settle) {
        self.signals.settled.notify_one();
    }
}

struct Checker;

#[derive(Debug)]
struct ToChecker(Check, oneshot::Sender<bool>);

impl Checker {
    async fn run(mut self, mut inbox: mpsc::Receiver<ToChecker>) {
        while let Some(delivery) = inbox.recv().await {
            let handler = async |ToChecker(check, reply)| {
                let passes = self.handle(check).await;
                let _ = reply.send(passes);
            };
            delivery.handle(handler).await;
        }
    }
}

#[actor]
impl Checker {
    async fn handle(&mut self, check: Check) -> bool {
        tokio::task::yield_now().await;
        check.passes()
    }
}

struct Account(Balance);

#[derive(Debug)]
enum ToAccount {
    Withdraw(Withdraw, oneshot::Sender<Result<i64, Overdrawn>>),
    Deposit(Deposit),
}

impl Account {
    async fn run(mut self, mut inbox: mpsc::Receiver<ToAccount>) {
        while let Some(delivery) = inbox.recv().await {
            let handler = async |message| match message {
                ToAccount::Withdraw(withdraw, reply) => {
                    let left = self.handle_withdraw(withdraw);
                    let _ = reply.send(left);
                }
                ToAccount::Deposit(deposit) => self.handle_deposit(deposit),
            };
            delivery.handle(handler).await;
        }
    }
}

#[actor]
impl Account {
    fn handle_withdraw(&mut self, withdraw: Withdraw) -> Result<i64, Overdrawn> {
        let Withdraw(amount) = withdraw;
        self.0.withdraw(amount)
    }

    fn handle_deposit(&mut self, deposit: Deposit) {
        let Deposit(amount) = deposit;
        self.0.0 += amount;
    }
}

struct Auditor(Arc<Signals>);

/// Starts the auditor again with the mailbox it had. Its life is told, too, in short spans.
async fn supervise(signals: Arc<Signals>, mut inbox: mpsc::Receiver<Audit>) {
    let mut life = Lifecycle::of::<Auditor>();
    loop {
        let auditor = Auditor(Arc::clone(&signals));
        if life.run(auditor.run(&mut inbox)).await.is_ok() {
            break;
        }
    }
}

impl Auditor {
    async fn run(mut self, inbox: &mut mpsc::Receiver<Audit>) {
        while let Some(delivery) = inbox.recv().await {
            delivery.handle(async |audit| self.handle(audit)).await;
        }
    }
}

#[actor]
impl Auditor {
    fn handle(&mut self, audit: Audit) -> i64 {
        let entry = BOOK[audit.page];
        self.0.audited.notify_one();
        entry
    }
}

struct Archive(Arc<Signals>);

#[derive(Debug)]
enum ToArchive {
    GetTape(GetTape),
    LookUp(LookUp, oneshot::Sender<i64>),
}

impl Archive {
    async fn run(mut self, mut inbox: mpsc::Receiver<ToArchive>) {
        while let Some(delivery) = inbox.recv().await {
            let handler = async |message| match message {
                ToArchive::GetTape(tape) => self.handle_tape(tape).await,
                ToArchive::LookUp(question, reply) => {
                    let answer = self.handle_question(question);
                    // That nobody waits any more shows in the span.
                    let _ = reply.send(answer);
                }
            };
            delivery.handle(handler).await;
        }
    }
}

#[actor]
impl Archive {
    async fn handle_tape(&mut self, _: GetTape) {
        self.0.tape.notified().await;
    }

    fn handle_question(&mut self, _: LookUp) -> i64 {
        BOOK.iter().sum()
    }
}

struct Printer(Arc<Signals>);

impl Printer {
    async fn run(mut self, inbox: &mut mpsc::Receiver<Print>) {
        while let Some(delivery) = inbox.recv().await {
            let handler = async |print| self.handle(print).await;
            delivery.handle(handler).await;
        }
    }
}

#[actor]
impl Printer {
    async fn handle(&mut self, _: Print) {
        self.0.printing.notify_one();
        pending().await
    }
}
