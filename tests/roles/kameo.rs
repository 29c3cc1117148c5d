//! Actors of kameo: every way to send, every way to end, the lifecycle.

mod attribute; // `#[actor]` on an `impl Message`
mod budgets; // how large traces get, and what a stop leaves
mod edges;
mod measured;
mod passed_on; // pools, publishers, streams

use std::future::pending;
use std::ops::ControlFlow;
use std::time::Duration;

use kameo::error::Infallible;
use kameo::prelude::*;
use kameo::reply::{BoxReplySender, ReplyError};
use throughline::channel::{Policy, Starts, join};
use throughline::core::{Filter, Level, set_filter};
use throughline::kameo::{ActorRefExt, SpawnExt, Traced, traced_actor};
use throughline::task::spawn_blocking;
use throughline::testing::{Capture, TreeOptions};
use throughline::tracing::TraceLayer;
use throughline::{FutureExt, span, traced};
use tokio::sync::oneshot;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

use crate::in_request;

/// The picture, without how long messages waited and which actor of its type it was.
fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    let options = TreeOptions::new().sorted_by_name();
    let options = options.hide("actor.mailbox.wait").hide("actor.id");
    capture.tree_with(&options.hide("actor.system").hide("exception.stacktrace"))
}

/// The picture without what the names of the spans say.
fn outline(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    let options = TreeOptions::new().sorted_by_name().hide("*");
    capture.tree_with(&options.show("span.outcome").show("actor.message.operation"))
}

async fn stop<A: Actor>(actor: &ActorRef<A>) {
    actor.stop_gracefully().await.expect("runs");
    actor.wait_for_shutdown().await;
}

#[derive(Actor, Default)]
struct Account {
    balance: i64,
}

struct Deposit(i64);
struct Withdraw(i64);

#[derive(Debug, PartialEq)]
struct Overdrawn;

impl Message<Deposit> for Account {
    type Reply = ();

    async fn handle(&mut self, Deposit(amount): Deposit, _: &mut Context<Self, ()>) {
        book().await;
        self.balance += amount;
    }
}

impl Message<Withdraw> for Account {
    type Reply = Result<i64, Overdrawn>;

    async fn handle(
        &mut self,
        Withdraw(amount): Withdraw,
        _: &mut Context<Self, Self::Reply>,
    ) -> Self::Reply {
        if amount > self.balance {
            return Err(Overdrawn);
        }
        self.balance -= amount;
        Ok(self.balance)
    }
}

traced_actor!(Account);

#[traced]
async fn book() {
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn the_senders_span_ends_before_its_message_is_handled() {
    let capture = Capture::start();
    let prepared = Account::prepare();
    let account = prepared.actor_ref().clone();
    let send = async { account.tell_traced(Deposit(5)).await.expect("room") };
    in_request(&capture, send).await;
    assert_eq!(capture.stats().live(), 0, "the mailbox holds no span");
    prepared.spawn(Account::default());
    stop(&account).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ Account Deposit {actor.type="Account", actor.message.type="Deposit", actor.message.operation="tell", trace.relation="child", trace.relation.reason="tell"}
       └─ book
    "#);
    let spans = capture.spans();
    let handled = spans.iter().find(|span| span.name == "Account Deposit");
    let handled = format!("{:?}", handled.expect("handled").attributes);
    for key in ["actor.system", "kameo", "actor.id", "actor.mailbox.wait"] {
        assert!(handled.contains(key), "{key} in {handled}");
    }
}

#[tokio::test]
async fn ask_and_tell_are_told_apart() {
    let capture = Capture::start();
    let account = Account::spawn_default();
    let requests = async {
        account.tell_traced(Deposit(5)).await.expect("room");
        let left = account.ask_traced(Withdraw(3)).await.expect("covered");
        assert_eq!(left, 2);
    };
    in_request(&capture, requests).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ Account Deposit {actor.type="Account", actor.message.type="Deposit", actor.message.operation="tell", trace.relation="child", trace.relation.reason="tell"}
    │  └─ book
    └─ Account Withdraw {actor.type="Account", actor.message.type="Withdraw", actor.message.operation="ask", trace.relation="child", trace.relation.reason="ask"}
    "#);
}

#[tokio::test]
async fn every_way_to_tell_carries_the_context() {
    let capture = Capture::start();
    let account = Account::spawn_with_mailbox(Account::default(), mailbox::unbounded());
    let requests = async {
        let soon = Duration::from_secs(60);
        let tell = || account.tell_traced(Deposit(1));
        tell().await.expect("awaited");
        tell().send().await.expect("sent");
        tell().mailbox_timeout(soon).await.expect("in time");
        tell().try_send().expect("room");
        tell()
            .send_after(Duration::ZERO)
            .await
            .expect("joins")
            .expect("later");
        let blocking = account.clone();
        spawn_blocking(move || blocking.tell_traced(Deposit(1)).blocking_send())
            .await
            .expect("joins")
            .expect("room");
        let recipient = account.clone().recipient::<Traced<Deposit>>();
        recipient
            .tell(Traced::tell(Deposit(1)))
            .await
            .expect("room");
    };
    in_request(&capture, requests).await;
    assert_eq!(account.ask(Withdraw(0)).await.ok(), Some(7));
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    ├─ Account Deposit {actor.message.operation="tell"}
    │  └─ book
    ├─ Account Deposit {actor.message.operation="tell"}
    │  └─ book
    ├─ Account Deposit {actor.message.operation="tell"}
    │  └─ book
    ├─ Account Deposit {actor.message.operation="tell"}
    │  └─ book
    ├─ Account Deposit {actor.message.operation="tell"}
    │  └─ book
    ├─ Account Deposit {actor.message.operation="tell"}
    │  └─ book
    └─ Account Deposit {actor.message.operation="tell"}
       └─ book
    "#);
}

#[tokio::test]
async fn every_way_to_ask_carries_the_context() {
    let capture = Capture::start();
    let account = Account::spawn(Account { balance: 100 });
    let requests = async {
        let soon = Duration::from_secs(60);
        let ask = || account.ask_traced(Withdraw(1));
        let mut left = vec![
            ask().await.ok(),
            ask().send().await.ok(),
            ask().mailbox_timeout(soon).reply_timeout(soon).await.ok(),
            ask().try_send().await.ok(),
            ask().enqueue().await.expect("room").await.ok(),
            ask().try_enqueue().expect("room").await.ok(),
        ];
        let blocking = account.clone();
        let blocked = spawn_blocking(move || {
            let ask = || blocking.ask_traced(Withdraw(1));
            let pending = ask().blocking_enqueue().expect("room");
            [pending.recv().ok(), ask().blocking_send().ok()]
        });
        left.extend(blocked.await.expect("joins"));
        let recipient = account.clone().reply_recipient::<Traced<Withdraw>>();
        left.push(recipient.ask(Traced::ask(Withdraw(1))).await.ok());
        assert_eq!(left, (91..100).rev().map(Some).collect::<Vec<_>>());
    };
    in_request(&capture, requests).await;
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    ├─ Account Withdraw {actor.message.operation="ask"}
    ├─ Account Withdraw {actor.message.operation="ask"}
    ├─ Account Withdraw {actor.message.operation="ask"}
    ├─ Account Withdraw {actor.message.operation="ask"}
    ├─ Account Withdraw {actor.message.operation="ask"}
    ├─ Account Withdraw {actor.message.operation="ask"}
    ├─ Account Withdraw {actor.message.operation="ask"}
    ├─ Account Withdraw {actor.message.operation="ask"}
    └─ Account Withdraw {actor.message.operation="ask"}
    "#);
}

#[tokio::test]
async fn an_error_is_the_spans_though_the_asker_gets_it() {
    let capture = Capture::start();
    let account = Account::spawn_default();
    let request = async {
        let refused = account.ask_traced(Withdraw(3)).await;
        assert_eq!(
            refused.map_err(|error| error.map_msg(|_| ())),
            Err(SendError::HandlerError(Overdrawn))
        );
    };
    in_request(&capture, request).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ Account Withdraw {actor.type="Account", actor.message.type="Withdraw", actor.message.operation="ask", trace.relation="child", trace.relation.reason="ask", error.type="roles::kameo::Overdrawn"} error: Overdrawn
          • exception {exception.type="roles::kameo::Overdrawn", exception.message="Overdrawn"}
    "#);
}

/// Sends on what it gets.
#[derive(Actor)]
struct Teller(ActorRef<Account>);

struct Later(i64);

impl Message<Withdraw> for Teller {
    type Reply = ForwardedReply<Traced<Withdraw>, Result<i64, Overdrawn>>;

    async fn handle(&mut self, m: Withdraw, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        ctx.forward(&self.0, Traced::forward(m)).await
    }
}

impl Message<Later> for Teller {
    type Reply = DelegatedReply<i64>;

    async fn handle(&mut self, m: Later, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let joined = join(|span| span.set_attribute("joined", true));
        let reply = async move {
            book().await;
            if joined { m.0 } else { 0 }
        };
        ctx.spawn(reply.in_current_context())
    }
}

traced_actor!(Teller, Policy::new());

#[tokio::test]
async fn a_forwarded_message_and_a_delegated_reply_stay_in_the_trace() {
    let capture = Capture::start();
    let account = Account::spawn(Account { balance: 9 });
    let teller = Teller::spawn(Teller(account.clone()));
    let requests = async {
        let left = teller.ask_traced(Withdraw(3)).await.expect("covered");
        assert_eq!(left, 6);
        teller.tell_traced(Withdraw(1)).await.expect("room");
        let later = teller.ask_traced(Later(4)).await.expect("answers");
        assert_eq!(later, 4);
    };
    in_request(&capture, requests).await;
    assert_eq!(account.ask(Withdraw(0)).await.ok(), Some(5));
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    ├─ Teller Later {actor.message.operation="ask"}
    │  └─ book
    ├─ Teller Withdraw {actor.message.operation="ask"}
    │  └─ Account Withdraw {actor.message.operation="ask"}
    └─ Teller Withdraw {actor.message.operation="tell"}
       └─ Account Withdraw {actor.message.operation="tell"}
    "#);
}

/// Fails as told, and tells of its life.
#[derive(Clone, Debug)]
struct Worker;

#[derive(Clone, Copy)]
enum Job {
    Fail,
    Hang,
    Panic,
    Work,
}

impl Actor for Worker {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(worker: Self, actor_ref: ActorRef<Self>) -> Result<Self, Infallible> {
        throughline::kameo::on_start(&actor_ref, async { Ok(worker) }).await
    }

    async fn on_message(
        &mut self,
        message: BoxMessage<Self>,
        actor_ref: ActorRef<Self>,
        reply: Option<BoxReplySender>,
        stop: &mut bool,
    ) -> Result<(), Box<dyn ReplyError>> {
        throughline::kameo::on_message(self, message, actor_ref, reply, stop).await
    }

    async fn on_panic(
        &mut self,
        actor_ref: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        let next = if error.reason() == PanicReason::OnMessage {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(ActorStopReason::Panicked(error.clone()))
        };
        throughline::kameo::on_panic(&actor_ref, &error, async { Ok(next) }).await
    }

    async fn on_stop(
        &mut self,
        actor_ref: WeakActorRef<Self>,
        reason: ActorStopReason,
    ) -> Result<(), Infallible> {
        throughline::kameo::on_stop(&actor_ref, &reason, async { Ok(()) }).await
    }
}

impl Message<Job> for Worker {
    type Reply = Result<(), Overdrawn>;

    async fn handle(&mut self, job: Job, _: &mut Context<Self, Self::Reply>) -> Self::Reply {
        tokio::task::yield_now().await;
        match job {
            Job::Fail => Err(Overdrawn),
            Job::Hang => pending().await,
            Job::Panic => panic!("told to"),
            Job::Work => Ok(()),
        }
    }
}

traced_actor!(Worker);

#[tokio::test]
async fn an_actor_lives_in_short_spans_that_are_linked() {
    let capture = Capture::start();
    let worker = {
        let _request = span!(parent: capture.context(), "request").enter();
        Worker::spawn_traced(Worker)
    };
    worker.wait_for_startup().await;
    let tell = async { worker.tell_traced(Job::Fail).await.expect("room") };
    tell.in_span(span!(parent: capture.context(), "order"))
        .await;
    stop(&worker).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    Worker start {trace.relation="link", trace.relation.reason="receiver", actor.type="Worker"}
       → request (another trace)
    order
    └─ Worker Job {actor.type="Worker", actor.message.type="Job", actor.message.operation="tell", trace.relation="child", trace.relation.reason="tell", error.type="roles::kameo::Overdrawn"} error: Overdrawn
          • exception {exception.type="roles::kameo::Overdrawn", exception.message="Overdrawn"}
    Worker panic {trace.relation="link", trace.relation.reason="receiver", actor.type="Worker", error.type="kameo::error::PanicError"} error: on_message returned error
       • exception {exception.type="kameo::error::PanicError", exception.message="on_message returned error"}
       → Worker Job (another trace)
    Worker stop {trace.relation="link", trace.relation.reason="receiver", actor.type="Worker", actor.stop.reason="normal"}
       → Worker start (another trace)
    "#);
}

#[derive(Actor)]
struct Supervisor;

#[tokio::test]
async fn a_panic_is_the_messages_and_a_restart_links_it() {
    let capture = Capture::start();
    let supervisor = Supervisor::spawn(Supervisor);
    let worker = Worker::supervise(&supervisor, Worker).spawn().await;
    worker.wait_for_startup().await;
    let requests = async {
        worker.tell_traced(Job::Panic).await.expect("room");
        // This one waits in the mailbox until the restart.
        worker.tell_traced(Job::Work).await.expect("room");
    };
    in_request(&capture, requests).await;
    while worker.ask(Job::Work).await.is_err() {
        tokio::task::yield_now().await;
    }
    stop(&supervisor).await;
    worker.wait_for_shutdown().await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ Worker Job {actor.type="Worker", actor.message.type="Job", actor.message.operation="tell", trace.relation="child", trace.relation.reason="tell", span.outcome="panicked", error.type="panic"} error: panicked
    └─ Worker Job {actor.type="Worker", actor.message.type="Job", actor.message.operation="tell", trace.relation="child", trace.relation.reason="tell"}
    Worker panic {trace.relation="link", trace.relation.reason="receiver", actor.type="Worker", error.type="kameo::error::PanicError"} error: message handler panicked: told to
       • exception {exception.type="kameo::error::PanicError", exception.message="message handler panicked: told to"}
       → Worker Job (another trace)
    Worker stop {trace.relation="link", trace.relation.reason="receiver", actor.type="Worker", actor.stop.reason="panicked"}
       → Worker Job (another trace)
    Worker restart {trace.relation="link", trace.relation.reason="receiver", actor.type="Worker"}
       → Worker Job (another trace)
    Worker stop {trace.relation="link", trace.relation.reason="receiver", actor.type="Worker", actor.stop.reason="normal"}
       → Worker restart (another trace)
    "#);
}

#[tokio::test]
async fn what_is_left_in_the_mailbox_is_undelivered() {
    let capture = Capture::start();
    let prepared = Worker::prepare();
    let worker = prepared.actor_ref().clone();
    let requests = async {
        worker.tell_traced(Job::Hang).await.expect("room");
        worker.tell_traced(Job::Work).await.expect("room");
    };
    in_request(&capture, requests).await;
    let handle = prepared.spawn(Worker);
    worker.wait_for_startup().await;
    tokio::task::yield_now().await;
    worker.kill();
    handle.await.expect("joins").expect("started");
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    ├─ Worker Job {actor.message.operation="tell", span.outcome="cancelled"} error: dropped before it was ready
    └─ Worker Job {actor.message.operation="tell", span.outcome="undelivered"}
    "#);
}

#[tokio::test]
async fn an_asker_that_goes_abandons_its_message() {
    let capture = Capture::start();
    let prepared = Worker::prepare();
    let worker = prepared.actor_ref().clone();
    let ask = async {
        drop(worker.ask_traced(Job::Work).enqueue().await.expect("room"));
    };
    in_request(&capture, ask).await;
    prepared.spawn(Worker);
    stop(&worker).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ Worker Job {actor.type="Worker", actor.message.type="Job", actor.message.operation="ask", trace.relation="child", trace.relation.reason="ask", span.outcome="abandoned"}
    "#);
}

#[tokio::test]
async fn a_refused_message_can_be_sent_again() {
    let capture = Capture::start();
    let prepared = Account::prepare_with_mailbox(mailbox::bounded(1));
    let account = prepared.actor_ref().clone();
    let requests = async {
        account.tell_traced(Deposit(1)).try_send().expect("room");
        let refused = account.tell_traced(Deposit(2)).try_send();
        let Err(SendError::MailboxFull(again)) = refused else {
            panic!("{:?}", refused.map_err(|error| error.map_msg(|_| ())));
        };
        let refused = account.tell_traced(Deposit(3)).try_send();
        let refused = refused.expect_err("full").map_msg(Traced::into_inner);
        assert!(matches!(refused, SendError::MailboxFull(Deposit(3))));
        prepared.spawn(Account::default());
        account.tell(again).await.expect("room");
    };
    in_request(&capture, requests).await;
    assert_eq!(account.ask(Withdraw(0)).await.ok(), Some(3));
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    ├─ Account Deposit {actor.message.operation="tell"}
    │  └─ book
    └─ Account Deposit {actor.message.operation="tell"}
       └─ book
    "#);
}

/// Ticks by itself until it is done.
#[derive(Actor)]
struct Clock {
    left: u32,
    done: Option<oneshot::Sender<()>>,
}

struct Tick;

impl Message<Tick> for Clock {
    type Reply = ();

    async fn handle(&mut self, _: Tick, ctx: &mut Context<Self, ()>) {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                let tick = ctx.actor_ref().timer_traced(Tick);
                tick.try_send().expect("room");
            }
            None => drop(self.done.take()),
        }
    }
}

traced_actor!(Clock, Policy::new().starts(Starts::Everything));

#[tokio::test]
async fn ticks_make_no_endless_trace() {
    let capture = Capture::start();
    let (done, rang) = oneshot::channel();
    let clock = Clock::spawn(Clock {
        left: 2,
        done: Some(done),
    });
    let start = async { clock.tell_traced(Tick).await.expect("room") };
    in_request(&capture, start).await;
    rang.await.expect_err("dropped");
    stop(&clock).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ Clock Tick {actor.type="Clock", actor.message.type="Tick", actor.message.operation="tell", trace.relation="child", trace.relation.reason="tell"}
    Clock Tick {actor.type="Clock", actor.message.type="Tick", actor.message.operation="timer", trace.relation="link", trace.relation.reason="timer"}
       → Clock Tick (another trace)
    Clock Tick {actor.type="Clock", actor.message.type="Tick", actor.message.operation="timer", trace.relation="link", trace.relation.reason="timer"}
       → Clock Tick (another trace)
    "#);
}

#[tokio::test]
async fn kameos_own_spans_give_way() {
    let subscriber = || tracing_subscriber::registry().with(TraceLayer::new());
    let filter = Filter::at(Level::Trace);
    for (filter, own) in [
        (filter.clone(), true),
        (filter.with_target("kameo::actor", None), false),
    ] {
        set_filter(filter);
        let capture = Capture::start();
        let prepared = Account::prepare();
        let account = prepared.actor_ref().clone();
        let run = prepared.run(Account::default());
        let run = run.with_context(capture.context());
        let request = async {
            account.ask_traced(Withdraw(0)).await.expect("covered");
            account.stop_gracefully().await.expect("runs");
        };
        let request = request.in_span(span!(parent: capture.context(), "request"));
        let (ran, ()) = async { tokio::join!(run, request) }
            .with_subscriber(subscriber())
            .await;
        ran.expect("started");
        let names = capture.spans().into_iter().map(|span| span.name);
        let kameos = names.filter(|name| name.starts_with("actor."));
        assert_eq!(kameos.count() > 0, own);
        if !own {
            insta::assert_snapshot!(outline(&capture), @r#"
            request
            └─ Account Withdraw {actor.message.operation="ask"}
            "#);
        }
    }
}
