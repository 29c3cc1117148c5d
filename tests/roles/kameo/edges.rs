//! What is rare: actors dropped at any poll, asks that nobody answers, messages to oneself, other threads.

use std::collections::HashMap;
use std::future::Future;
use std::task::{Context as TaskContext, Waker};

use throughline::actor;

use super::*;
use crate::in_request;

/// Takes its time, and says it on.
#[derive(Actor)]
struct Slow(ActorRef<Account>);

struct Steps(u32);
struct Piped(i64);
struct Tried(i64);

impl Message<Steps> for Slow {
    type Reply = ();

    async fn handle(&mut self, Steps(steps): Steps, _: &mut Context<Self, ()>) {
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
    }
}

impl Message<Deposit> for Slow {
    type Reply = ();

    async fn handle(&mut self, Deposit(amount): Deposit, _: &mut Context<Self, ()>) {
        self.0.tell_traced(Deposit(amount)).await.expect("room");
    }
}

impl Message<Piped> for Slow {
    type Reply = ();

    async fn handle(&mut self, Piped(amount): Piped, ctx: &mut Context<Self, ()>) {
        let later = async move { Traced::tell(Deposit(amount)) };
        ctx.pipe(later.in_current_context());
    }
}

impl Message<Tried> for Slow {
    type Reply = ForwardedReply<Traced<Withdraw>, Result<i64, Overdrawn>>;

    async fn handle(&mut self, m: Tried, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        ctx.try_forward(&self.0, Traced::forward(Withdraw(m.0)))
    }
}

traced_actor!(Slow);

#[tokio::test]
async fn an_actor_dropped_at_any_poll_ends_its_messages() {
    let capture = Capture::start();
    let account = Account::spawn_default();
    for polls in 0..5 {
        let prepared = Slow::prepare();
        let slow = prepared.actor_ref().clone();
        let request = async { slow.tell_traced(Steps(2)).try_send().expect("room") };
        request
            .in_span(span!(parent: capture.context(), "request", polls = polls))
            .await;
        let mut run = Box::pin(prepared.run(Slow(account.clone())));
        let mut task = TaskContext::from_waker(Waker::noop());
        for _ in 0..polls {
            assert!(run.as_mut().poll(&mut task).is_pending());
        }
        drop(run);
        drop(slow);
        assert_eq!(capture.stats().live(), 0, "after {polls} polls");
    }
    let options = TreeOptions::new().sorted_by_name().hide("*");
    let options = options.show("span.outcome").show("polls");
    insta::assert_snapshot!(capture.tree_with(&options), @r#"
    request {polls=0}
    └─ Slow Steps {span.outcome="undelivered"}
    request {polls=1}
    └─ Slow Steps {span.outcome="cancelled"} error: dropped before it was ready
    request {polls=2}
    └─ Slow Steps {span.outcome="cancelled"} error: dropped before it was ready
    request {polls=3}
    └─ Slow Steps
    request {polls=4}
    └─ Slow Steps
    "#);
}

#[tokio::test]
async fn an_ask_left_in_the_mailbox_goes_back_to_its_asker() {
    let capture = Capture::start();
    let prepared = Worker::prepare();
    let worker = prepared.actor_ref().clone();
    let handle = prepared.spawn(Worker);
    worker.wait_for_startup().await;
    let requests = async {
        worker.tell_traced(Job::Hang).await.expect("room");
        let pending = worker.ask_traced(Job::Work).enqueue().await.expect("room");
        tokio::task::yield_now().await;
        worker.kill();
        let back = pending.await.expect_err("killed");
        assert!(matches!(back, SendError::ActorNotRunning(_)));
    };
    in_request(&capture, requests).await;
    handle.await.expect("joins").expect("started");
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    ├─ Worker Job {actor.message.operation="ask", span.outcome="undelivered"}
    └─ Worker Job {actor.message.operation="tell", span.outcome="cancelled"} error: dropped before it was ready
    "#);
}

#[tokio::test]
async fn a_question_that_is_given_up_is_told_to_both_sides() {
    let capture = Capture::start();
    let prepared = Worker::prepare();
    let worker = prepared.actor_ref().clone();
    let ask = async {
        // The actor does not run yet.
        let given_up = worker.ask_within(Duration::ZERO, Job::Work).await;
        assert!(matches!(given_up, Err(SendError::Timeout(_))));
    };
    in_request(&capture, ask).await;
    prepared.spawn(Worker);
    stop(&worker).await;
    let options = TreeOptions::new().hide("code.line.number");
    let options = options.hide("actor.id").hide("actor.mailbox.wait");
    let asked = capture.traces().into_iter().next().expect("a request");
    insta::assert_snapshot!(asked.tree_with(&options), @r#"
    request
    │  • actor.ask.timeout {actor.system="kameo", actor.type="Worker", actor.ask.limit=0.0}
    └─ Worker Job {actor.system="kameo", actor.type="Worker", actor.message.type="Job", actor.message.operation="ask", trace.relation="child", trace.relation.reason="ask", span.outcome="abandoned"}
    "#);
}

/// It has the attribute beside the line of the integration.
#[derive(Actor)]
struct Strict;

#[actor]
impl Message<Withdraw> for Strict {
    type Reply = Result<i64, Overdrawn>;

    async fn handle(&mut self, _: Withdraw, _: &mut Context<Self, Self::Reply>) -> Self::Reply {
        Err(Overdrawn)
    }
}

traced_actor!(Strict);

#[tokio::test]
async fn an_error_that_the_attribute_sees_too_is_told_once() {
    let capture = Capture::start();
    let strict = Strict::spawn(Strict);
    let ask = async {
        let refused = strict.ask_traced(Withdraw(1)).await;
        refused.expect_err("strict");
    };
    in_request(&capture, ask).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ Strict Withdraw {actor.type="Strict", actor.message.type="Withdraw", trace.relation="child", trace.relation.reason="ask", actor.message.operation="ask", error.type="roles::kameo::Overdrawn"} error: Overdrawn
          • exception {exception.type="roles::kameo::Overdrawn", exception.message="Overdrawn"}
    "#);
}

#[tokio::test]
async fn a_piped_message_and_a_tried_forward_stay_in_the_trace() {
    let capture = Capture::start();
    let account = Account::spawn_default();
    let slow = Slow::spawn(Slow(account.clone()));
    let requests = async {
        slow.ask_traced(Piped(5)).await.expect("answers");
        while account.ask(Withdraw(0)).await.ok() != Some(5) {
            tokio::task::yield_now().await;
        }
        let left = slow.ask_traced(Tried(2)).await.expect("covered");
        assert_eq!(left, 3);
    };
    in_request(&capture, requests).await;
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    ├─ Slow Piped {actor.message.operation="ask"}
    │  └─ Slow Deposit {actor.message.operation="tell"}
    │     └─ Account Deposit {actor.message.operation="tell"}
    │        └─ book
    └─ Slow Tried {actor.message.operation="ask"}
       └─ Account Withdraw {actor.message.operation="ask"}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_on_a_thread_of_its_own_is_traced_as_any() {
    let capture = Capture::start();
    let account = Account::spawn_in_thread(Account { balance: 3 });
    let request = async {
        let left = account.ask_traced(Withdraw(1)).await.expect("covered");
        assert_eq!(left, 2);
    };
    in_request(&capture, request).await;
    stop(&account).await;
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    └─ Account Withdraw {actor.message.operation="ask"}
    "#);
}

/// Tells itself again and again.
#[derive(Actor)]
struct Echo(u32);

struct Again;

impl Message<Again> for Echo {
    type Reply = ();

    async fn handle(&mut self, _: Again, ctx: &mut Context<Self, ()>) {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                let again = ctx.actor_ref().tell_traced(Again);
                again.try_send().expect("room");
            }
            None => ctx.stop(),
        }
    }
}

traced_actor!(Echo);

#[tokio::test]
async fn an_actor_that_tells_itself_makes_no_endless_trace() {
    let capture = Capture::start();
    let echo = Echo::spawn(Echo(999));
    let request = async { echo.tell_traced(Again).await.expect("room") };
    in_request(&capture, request).await;
    echo.wait_for_shutdown().await;
    let mut traces: HashMap<_, usize> = HashMap::new();
    for span in capture.spans() {
        *traces.entry(span.trace_id).or_default() += 1;
    }
    assert_eq!(traces.values().sum::<usize>(), 1001, "none is missing");
    let longest = traces.values().max().copied();
    assert!(longest.is_some_and(|spans| spans <= 18), "{longest:?}");
}

#[derive(Clone)]
struct News;

impl Message<News> for Account {
    type Reply = ();

    async fn handle(&mut self, _: News, _: &mut Context<Self, ()>) {}
}

#[tokio::test]
async fn each_copy_of_a_published_message_is_accounted_for() {
    let capture = Capture::start();
    let accounts = [Account::spawn_default(), Account::spawn_default()];
    let readers = accounts
        .each_ref()
        .map(|account| account.clone().recipient());
    for (name, readers) in [("published", &readers[..]), ("nobody reads", &[])] {
        let news = span!(parent: capture.context(), "request", name = name)
            .in_scope(|| Traced::tell(News));
        for reader in readers {
            reader.tell(news.clone()).await.expect("room");
        }
    }
    for account in &accounts {
        stop(account).await;
    }
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    ├─ Account News {actor.message.operation="tell"}
    └─ Account News {actor.message.operation="tell"}
    request
    └─ News {actor.message.operation="tell", span.outcome="undelivered"}
    "#);
}
