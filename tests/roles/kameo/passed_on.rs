//! Messages that others pass on: pools and publishers of `kameo_actors`, and streams.

use futures::stream;
use kameo::message::StreamMessage;
use kameo_actors::DeliveryStrategy;
use kameo_actors::pool::{ActorPool, Broadcast, Dispatch};
use kameo_actors::pubsub::{PubSub, Publish, Subscribe};

use super::*;

/// Waits until so many spans have ended.
async fn ended(capture: &Capture, spans: usize) {
    while capture.spans().len() < spans {
        tokio::task::yield_now().await;
    }
}

/// Attaches a stream, or does something else at once, in a span that is called `request`.
fn request<R>(capture: &Capture, work: impl FnOnce() -> R) -> R {
    span!(parent: capture.context(), "request").in_scope(work)
}

#[derive(Clone)]
struct Audit;

impl Message<Audit> for Account {
    type Reply = ();

    async fn handle(&mut self, _: Audit, _: &mut Context<Self, ()>) {
        book().await;
    }
}

#[tokio::test]
async fn what_a_pool_passes_on_stays_in_the_trace() {
    let capture = Capture::start();
    let accounts = [1, 2].map(|_| Account::spawn(Account { balance: 5 }));
    let mut workers = accounts.clone().into_iter().cycle();
    let pool = ActorPool::new(2, move || workers.next().expect("no end"));
    let pool = ActorPool::spawn(pool);
    let requests = async {
        let left = pool.ask(Dispatch(Traced::ask(Withdraw(3)))).await;
        assert_eq!(left.ok(), Some(2));
        let refused = pool.ask(Dispatch(Traced::ask(Withdraw(9)))).await;
        refused.expect_err("overdrawn");
        let told = pool.tell(Dispatch(Traced::tell(Deposit(1)))).await;
        told.expect("runs");
        let told = pool.tell(Broadcast(Traced::tell(Audit))).await;
        told.expect("runs");
    };
    in_request(&capture, requests).await;
    // The request, a withdrawal, one that is refused, a deposit, and two audits, the last three with what they do.
    ended(&capture, 9).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ Account Audit {actor.type="Account", actor.message.type="Audit", actor.message.operation="tell", trace.relation="child", trace.relation.reason="tell"}
    │  └─ book
    ├─ Account Audit {actor.type="Account", actor.message.type="Audit", actor.message.operation="tell", trace.relation="child", trace.relation.reason="tell"}
    │  └─ book
    ├─ Account Deposit {actor.type="Account", actor.message.type="Deposit", actor.message.operation="tell", trace.relation="child", trace.relation.reason="tell"}
    │  └─ book
    ├─ Account Withdraw {actor.type="Account", actor.message.type="Withdraw", actor.message.operation="ask", trace.relation="child", trace.relation.reason="ask", error.type="roles::kameo::Overdrawn"} error: Overdrawn
    │     • exception {exception.type="roles::kameo::Overdrawn", exception.message="Overdrawn"}
    └─ Account Withdraw {actor.type="Account", actor.message.type="Withdraw", actor.message.operation="ask", trace.relation="child", trace.relation.reason="ask"}
    "#);
}

#[tokio::test]
async fn each_subscriber_handles_what_is_published() {
    let capture = Capture::start();
    let publisher = PubSub::spawn(PubSub::<Traced<Audit>>::new(DeliveryStrategy::BestEffort));
    let accounts = [1, 2].map(|_| Account::spawn_default());
    let publish = async {
        let published = publisher.ask(Publish(Traced::tell(Audit))).await;
        published.expect("runs");
    };
    // Nobody reads the first.
    in_request(&capture, publish).await;
    for account in &accounts {
        let subscribed = publisher.ask(Subscribe(account.clone())).await;
        subscribed.expect("runs");
    }
    let publish = async {
        let published = publisher.ask(Publish(Traced::tell(Audit))).await;
        published.expect("runs");
    };
    in_request(&capture, publish).await;
    ended(&capture, 7).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ Audit {trace.relation="child", trace.relation.reason="tell", actor.message.type="Audit", actor.message.operation="tell", span.outcome="undelivered"}
    request
    ├─ Account Audit {actor.type="Account", actor.message.type="Audit", actor.message.operation="tell", trace.relation="child", trace.relation.reason="tell"}
    │  └─ book
    └─ Account Audit {actor.type="Account", actor.message.type="Audit", actor.message.operation="tell", trace.relation="child", trace.relation.reason="tell"}
       └─ book
    "#);
}

type Item = StreamMessage<u32, &'static str, ()>;

impl Message<Item> for Account {
    type Reply = ();

    async fn handle(&mut self, item: Item, _: &mut Context<Self, ()>) {
        if let StreamMessage::Next(amount) = item {
            book().await;
            self.balance += i64::from(amount);
        }
    }
}

/// Continues the trace of whoever attaches a stream.
#[derive(Actor)]
struct Reader;

impl Message<Item> for Reader {
    type Reply = ();

    async fn handle(&mut self, _: Item, _: &mut Context<Self, ()>) {}
}

traced_actor!(
    Reader,
    Policy::new().relation(throughline::channel::Relation::Child)
);

#[tokio::test]
async fn each_item_of_a_stream_has_a_trace_that_links_who_attached_it() {
    let capture = Capture::start();
    let account = Account::spawn_default();
    let read = traced_stream;
    let attached = request(&capture, || {
        account.attach_stream_traced(read([5, 6]), "numbers", ())
    });
    let attached = attached.await.expect("joins");
    assert!(attached.is_ok());
    assert_eq!(account.ask(Withdraw(0)).await.ok(), Some(11));
    let reader = Reader::spawn(Reader);
    let attached = request(&capture, || {
        reader.attach_stream_traced(read([7, 8]), "numbers", ())
    });
    drop(attached.await.expect("joins").expect("runs"));
    stop(&reader).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ read {number=5}
    └─ read {number=6}
    Account StreamMessage {actor.type="Account", actor.message.type="StreamMessage", actor.message.operation="tell", trace.relation="link", trace.relation.reason="sender"}
       → request (another trace)
    Account StreamMessage {actor.type="Account", actor.message.type="StreamMessage", actor.message.operation="tell", trace.relation="link", trace.relation.reason="sender"}
    │  → request (another trace)
    └─ book
    Account StreamMessage {actor.type="Account", actor.message.type="StreamMessage", actor.message.operation="tell", trace.relation="link", trace.relation.reason="sender"}
    │  → request (another trace)
    └─ book
    Account StreamMessage {actor.type="Account", actor.message.type="StreamMessage", actor.message.operation="tell", trace.relation="link", trace.relation.reason="sender"}
       → request (another trace)
    request
    ├─ Reader StreamMessage {actor.type="Reader", actor.message.type="StreamMessage", actor.message.operation="tell", trace.relation="child", trace.relation.reason="receiver"}
    ├─ Reader StreamMessage {actor.type="Reader", actor.message.type="StreamMessage", actor.message.operation="tell", trace.relation="child", trace.relation.reason="receiver"}
    ├─ Reader StreamMessage {actor.type="Reader", actor.message.type="StreamMessage", actor.message.operation="tell", trace.relation="child", trace.relation.reason="receiver"}
    ├─ Reader StreamMessage {actor.type="Reader", actor.message.type="StreamMessage", actor.message.operation="tell", trace.relation="child", trace.relation.reason="receiver"}
    ├─ read {number=7}
    └─ read {number=8}
    "#);
}

/// A stream that does something for each item.
fn traced_stream(numbers: [u32; 2]) -> impl futures::Stream<Item = u32> + Send + Unpin + 'static {
    Box::pin(futures::StreamExt::then(
        stream::iter(numbers),
        |number| async move {
            span!("read", number = i64::from(number)).end();
            number
        },
    ))
}

#[tokio::test]
async fn a_stream_is_given_back_where_the_actor_is_gone_and_its_item_is_undelivered() {
    let capture = Capture::start();
    let account = Account::spawn_default();
    stop(&account).await;
    let attached = request(&capture, || {
        account.attach_stream_traced(stream::iter([1]), "numbers", ())
    });
    let refused = attached.await.expect("joins");
    let refused = refused.map(drop).expect_err("it is gone");
    assert!(matches!(refused, SendError::ActorNotRunning(_)));
    drop(refused);
    // One that is attached while it runs ends with it.
    let account = Account::spawn_default();
    let attached = account.attach_stream_traced(stream::pending::<u32>(), "numbers", ());
    assert_eq!(account.ask(Withdraw(0)).await.ok(), Some(0));
    stop(&account).await;
    assert!(attached.await.expect("joins").is_ok());
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    Account StreamMessage {actor.type="Account", actor.message.type="StreamMessage", actor.message.operation="tell", trace.relation="link", trace.relation.reason="sender", span.outcome="undelivered"}
       → request (another trace)
    "#);
}
