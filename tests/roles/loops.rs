//! Receive loops that are written by hand: each message has a span, and the loop has none.

mod blocking; // those of a thread
mod matches; // those with match, if and let
mod others; // those with let-else and select

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use futures::{FutureExt as _, Stream, StreamExt, poll, stream};
use throughline::channel::{Delivery, async_channel, flume, mpsc, oneshot};
use throughline::testing::{Capture, TreeOptions};
use throughline::{Context, FutureExt, actor, consumer, current, projection, span, traced};
use tokio::sync::Notify;

use crate::in_request;

/// The picture, without times and places.
fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    assert_eq!(Context::current(), Context::default());
    let options = TreeOptions::new().hide("actor.mailbox.wait");
    capture.tree_with(
        &options
            .hide("trace.relation.reason")
            .hide("exception.*")
            .hide("actor.mailbox.name"),
    )
}

#[traced]
async fn store() {
    tokio::task::yield_now().await;
}

enum Change {
    Deposit(i64),
    Withdraw(i64, oneshot::Sender<bool>),
    Close,
}

impl Change {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Deposit(_) => "Deposit",
            Self::Withdraw(..) => "Withdraw",
            Self::Close => "Close",
        }
    }
}

struct Account {
    inbox: mpsc::Receiver<Change>,
    balance: i64,
}

#[actor(message = %change.kind(), attrs(balance = self.balance))]
impl Account {
    async fn run(mut self) -> i64 {
        while let Some(change) = self.inbox.recv().await {
            if matches!(*change, Change::Close) {
                break;
            }
            self.handle(change.into_inner()).await;
        }
        store().await;
        self.balance
    }

    async fn handle(&mut self, change: Change) {
        match change {
            Change::Deposit(amount) => self.balance += amount,
            Change::Withdraw(amount, reply) => {
                store().await;
                let covered = amount <= self.balance;
                self.balance -= if covered { amount } else { 0 };
                reply.send(covered).ok();
            }
            Change::Close => {}
        }
    }
}

/// Tells, asks and tells, in a request.
async fn deposit_and_withdraw(capture: &Capture, account: &mpsc::Sender<Change>) {
    in_request(capture, async {
        account.send(Change::Deposit(7)).await.expect("open");
        let withdraw = |reply| Change::Withdraw(3, reply);
        assert!(account.ask(withdraw).await.expect("answered"));
        account.send(Change::Close).await.expect("open");
    })
    .await;
}

#[tokio::test]
async fn the_loop_and_the_handler_of_an_actor_make_one_span_a_message() {
    let capture = Capture::start();
    let (tx, inbox) = mpsc::named("account", 4);
    let account = tokio::spawn(Account { inbox, balance: 0 }.run());
    deposit_and_withdraw(&capture, &tx).await;
    assert_eq!(account.await.expect("joins"), 4);
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ Account Deposit {actor.type="Account", trace.relation="child", actor.message.type="Deposit", balance=0}
    ├─ Account Withdraw {actor.type="Account", trace.relation="child", actor.message.operation="ask", actor.message.type="Withdraw", balance=7}
    │  └─ store
    └─ Account Change {actor.type="Account", trace.relation="child", actor.message.type="Change"}
    "#);
}

#[derive(Debug, PartialEq)]
struct Refused(u32);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is refused", self.0)
    }
}

fn check(number: u32) -> Result<u32, Refused> {
    if number == 13 {
        Err(Refused(number))
    } else {
        Ok(number)
    }
}

/// Leaves its loops in every way there is.
#[actor(name = "number")]
async fn sum(mut numbers: mpsc::UnboundedReceiver<u32>) -> Result<u32, Refused> {
    let mut sum = 0;
    'all: loop {
        while let Some(number) = numbers.recv().await {
            match *number {
                0 => continue,
                1 => {
                    store().await;
                    continue 'all;
                }
                2 => break,
                3 => break 'all,
                4 => return Ok(4),
                _ => {}
            }
            sum += check(number.into_inner())?;
            store().await;
        }
        // Whatever is done here is no message's.
        if sum == 99 {
            return Err(Refused(sum));
        }
        sum += 1;
    }
    Ok(sum)
}

async fn sum_of(capture: &Capture, numbers: &[u32]) -> (Result<u32, Refused>, String) {
    let (tx, rx) = mpsc::unbounded_channel();
    in_request(capture, async {
        numbers.iter().for_each(|n| tx.send(*n).expect("open"));
    })
    .await;
    let sum = sum(rx).await;
    drop(tx);
    let options = TreeOptions::new().hide("actor.*").hide("trace.*");
    (sum, capture.tree_with(&options.hide("exception.*")))
}

#[tokio::test]
async fn a_loop_can_be_left_in_every_way() {
    let (sum, tree) = sum_of(&Capture::start(), &[0, 1, 5, 2, 3]).await;
    assert_eq!(sum, Ok(6));
    insta::assert_snapshot!(tree, @r"
    request
    ├─ number
    ├─ number
    │  └─ store
    ├─ number
    │  └─ store
    ├─ number
    └─ number
    ");
    let (sum, tree) = sum_of(&Capture::start(), &[7, 4]).await;
    assert_eq!(sum, Ok(4));
    insta::assert_snapshot!(tree, @r"
    request
    ├─ number
    │  └─ store
    └─ number
    ");
}

#[tokio::test]
async fn an_error_is_that_of_the_message_which_it_was_returned_from() {
    let (sum, tree) = sum_of(&Capture::start(), &[5, 13]).await;
    assert_eq!(sum, Err(Refused(13)));
    insta::assert_snapshot!(tree, @r#"
    request
    ├─ number
    │  └─ store
    └─ number {error.type="roles::loops::Refused"} error: 13 is refused
          • exception
    "#);
    // This one is returned after the loop.
    let (sum, tree) = sum_of(&Capture::start(), &[99, 2]).await;
    assert_eq!(sum, Err(Refused(99)));
    insta::assert_snapshot!(tree, @r"
    request
    ├─ number
    │  └─ store
    └─ number
    ");
}

#[tokio::test]
async fn the_wait_for_a_message_is_in_no_span() {
    let capture = Capture::start();
    let (tx, rx) = mpsc::unbounded_channel();
    let mut sum = Box::pin(sum(rx));
    let in_request = |number: u32| {
        let tx = tx.clone();
        let request = async move { tx.send(number).expect("open") };
        in_request(&capture, request)
    };
    in_request(5).await;
    // The span of the first message ends though no other comes, and what came first is not current in between.
    while capture.stats().live() > 0 || capture.spans().len() < 3 {
        assert!(poll!(&mut sum).is_pending());
        assert_eq!(Context::current(), Context::default());
    }
    in_request(3).await;
    assert_eq!(sum.await, Ok(5));
    let options = TreeOptions::new().hide("actor.*").hide("trace.*");
    insta::assert_snapshot!(capture.tree_with(&options), @r"
    request
    └─ number
       └─ store
    request
    └─ number
    ");
}

#[tokio::test]
async fn a_loop_that_is_dropped_at_any_poll_cancels_its_message() {
    let capture = Capture::start();
    for polls in 1..3 {
        let (tx, rx) = mpsc::unbounded_channel();
        in_request(&capture, async { tx.send(5).expect("open") }).await;
        let mut sum = Box::pin(sum(rx));
        for _ in 0..polls {
            assert!(poll!(&mut sum).is_pending());
        }
        drop(sum);
        assert_eq!(Context::current(), Context::default());
    }
    let options = TreeOptions::new().hide("actor.*").hide("trace.*");
    insta::assert_snapshot!(capture.tree_with(&options), @r#"
    request
    └─ number {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
       └─ store {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    request
    └─ number
       └─ store
    "#);
}

#[actor(loop)]
async fn fail(panics: bool, mut inbox: mpsc::UnboundedReceiver<u32>) {
    while let Some(number) = inbox.recv().await {
        store().await;
        assert!(!panics, "told to, at {}", *number);
    }
}

#[tokio::test]
async fn a_panic_is_the_messages() {
    let capture = Capture::start();
    let (tx, rx) = mpsc::unbounded_channel();
    in_request(&capture, async {
        tx.send(1).expect("open");
        tx.send(2).expect("open");
    })
    .await;
    let failed = AssertUnwindSafe(fail(true, rx)).catch_unwind().await;
    assert!(failed.is_err());
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ fail u32 {trace.relation="child", actor.message.type="u32", span.outcome="panicked", error.type="panic"} error: panicked
    │  └─ store
    └─ process u32 {actor.message.type="u32", trace.relation="child", span.outcome="undelivered"}
    "#);
}

struct Tick;

struct Clock {
    ticks: tokio::sync::mpsc::UnboundedReceiver<Tick>,
    left: u32,
}

impl Clock {
    #[actor]
    async fn run(mut self) {
        while let Some(Tick) = self.ticks.recv().await
            && self.left > 0
        {
            self.left -= 1;
            store().await;
        }
    }
}

#[tokio::test]
async fn a_message_without_a_sender_is_a_root_or_a_child_of_what_is_current() {
    let capture = Capture::start();
    for left in [1, 2] {
        let (tx, ticks) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..3 {
            tx.send(Tick).expect("open");
        }
        drop(tx);
        let clock = Clock { ticks, left }.run();
        if left == 1 {
            clock.with_context(capture.context()).await;
        } else {
            in_request(&capture, clock).await;
        }
    }
    insta::assert_snapshot!(tree(&capture), @r#"
    run Tick {actor.message.type="Tick"}
    └─ store
    request
    ├─ run Tick {actor.message.type="Tick"}
    │  └─ store
    └─ run Tick {actor.message.type="Tick"}
       └─ store
    "#);
}

#[consumer(system = "memory", destination = %topic, loop, attrs(order.id = order.id))]
async fn take(topic: &str, orders: async_channel::Receiver<Order>) {
    while let Ok(order) = orders.recv().await {
        current().set_attribute("paid", order.id > 1);
    }
}

struct Order {
    id: i64,
}

#[actor(message = "Order")]
async fn pack(mut orders: flume::Receiver<Order>) {
    let orders = &mut orders;
    while let Ok(_order) = orders.recv_async().await {
        store().await;
    }
}

#[tokio::test]
async fn loops_of_other_channels() {
    let capture = Capture::start();
    let (tx, rx) = async_channel::bounded(4);
    in_request(&capture, async {
        tx.send(Order { id: 1 }).await.expect("open");
        tx.send(Order { id: 2 }).await.expect("open");
    })
    .await;
    drop(tx);
    take("orders", rx).await;
    let (tx, rx) = flume::unbounded();
    in_request(&capture, async { tx.send(Order { id: 3 }).expect("open") }).await;
    drop(tx);
    pack(rx).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ process orders [consumer] {messaging.operation.name="process", messaging.operation.type="process", messaging.system="memory", trace.relation="child", actor.message.type="Order", messaging.destination.name="orders", order.id=1, paid=false}
    └─ process orders [consumer] {messaging.operation.name="process", messaging.operation.type="process", messaging.system="memory", trace.relation="child", actor.message.type="Order", messaging.destination.name="orders", order.id=2, paid=true}
    request
    └─ pack Order {actor.message.type="Order", trace.relation="child"}
       └─ store
    "#);
}

struct GoalAdded {
    stream: &'static str,
    sequence: u64,
}

#[projection(name = "goal_summary", stream = %event.stream, sequence = event.sequence)]
async fn summarise(
    mut events: impl Stream<Item = Result<GoalAdded, Infallible>> + Unpin,
) -> Result<(), Refused> {
    while let Some(Ok(event)) = events.next().await {
        store().await;
        check(u32::try_from(event.sequence).unwrap_or_default())?;
    }
    Ok(())
}

#[projection(name = "goal_count", event = "GoalAdded")]
async fn count<S>(mut stream: EventStream<S>) -> Result<u32, Infallible>
where
    S: Stream<Item = Result<GoalAdded, Infallible>> + Unpin,
{
    use futures::TryStreamExt;
    let mut count = 0;
    while let Some(_event) = stream.0.try_next().await? {
        count += 1;
    }
    Ok(count)
}

struct EventStream<S>(S);

#[tokio::test]
async fn events_of_a_stream() {
    let capture = Capture::start();
    let events = || {
        stream::iter([1, 13].map(|sequence| {
            Ok::<_, Infallible>(GoalAdded {
                stream: "goals-7",
                sequence,
            })
        }))
    };
    let summarised = summarise(events()).with_context(capture.context()).await;
    assert_eq!(summarised, Err(Refused(13)));
    let counted = count(EventStream(events()));
    assert_eq!(counted.with_context(capture.context()).await, Ok(2));
    insta::assert_snapshot!(tree(&capture), @r#"
    project goal_summary GoalAdded {projection.name="goal_summary", projection.event.type="GoalAdded", projection.stream.id="goals-7", projection.sequence=1}
    └─ store
    project goal_summary GoalAdded {projection.name="goal_summary", projection.event.type="GoalAdded", projection.stream.id="goals-7", projection.sequence=13, error.type="roles::loops::Refused"} error: 13 is refused
    │  • exception
    └─ store
    project goal_count GoalAdded {projection.name="goal_count", projection.event.type="GoalAdded"}
    project goal_count GoalAdded {projection.name="goal_count", projection.event.type="GoalAdded"}
    "#);
}

/// Handles each message with an actor that it starts, and drops when somebody says so.
#[actor]
async fn guard(mut jobs: mpsc::UnboundedReceiver<mpsc::UnboundedReceiver<u32>>, enough: &Notify) {
    while let Some(job) = jobs.recv().await {
        let work = fail(false, job.into_inner());
        tokio::select! {
            biased;
            () = enough.notified() => {}
            () = work => {}
        }
        store().await;
    }
}

#[tokio::test]
async fn a_loop_within_a_message_of_another_can_be_dropped() {
    let capture = Capture::start();
    let (jobs, inbox) = mpsc::unbounded_channel();
    let (numbers, job) = mpsc::unbounded_channel();
    in_request(&capture, async {
        jobs.send(job).expect("open");
        numbers.send(1).expect("open");
    })
    .await;
    let enough = Notify::new();
    let mut guard = Box::pin(guard(inbox, &enough));
    assert!(poll!(&mut guard).is_pending());
    enough.notify_one();
    drop(jobs);
    guard.await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ guard UnboundedReceiver {trace.relation="child", actor.message.type="UnboundedReceiver"}
    │  └─ store
    └─ fail u32 {trace.relation="child", actor.message.type="u32", span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
       └─ store {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    "#);
}

#[actor(message = %question.kind())]
async fn answer(mut inbox: mpsc::Receiver<Change>) {
    while let Some(question) = inbox.recv().await {
        answer_one(question).await;
    }
}

async fn answer_one(question: Delivery<Change>) {
    if let Change::Withdraw(_, mut reply) = question.into_inner() {
        reply.closed().await;
        reply.send(true).expect_err("nobody waits");
    }
}

#[tokio::test]
async fn an_asker_that_goes_abandons_its_message() {
    let capture = Capture::start();
    let (tx, inbox) = mpsc::named("answers", 4);
    in_request(&capture, async {
        let (reply, answer) = oneshot::channel();
        tx.send(Change::Withdraw(1, reply)).await.expect("open");
        drop(answer);
    })
    .await;
    drop(tx);
    answer(inbox).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ answer Withdraw {trace.relation="child", actor.message.type="Withdraw", span.outcome="abandoned"}
    "#);
}

#[actor]
async fn relay(mut inbox: mpsc::UnboundedReceiver<u32>) {
    while let Some(number) = inbox.recv().await {
        // The task stays in the trace of the message.
        tokio::spawn(async move {
            span!("relayed", number = *number).end();
        })
        .await
        .expect("joins");
    }
}

#[tokio::test]
async fn what_a_message_spawns_stays_in_its_trace() {
    let capture = Capture::start();
    let (tx, inbox) = mpsc::unbounded_channel();
    in_request(&capture, async { tx.send(7).expect("open") }).await;
    drop(tx);
    relay(inbox).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ relay u32 {trace.relation="child", actor.message.type="u32"}
       └─ relayed {number=7}
    "#);
}
