//! The role attributes by themselves, and inside of a layer that observes the same message.

use std::fmt;

use throughline::channel::{Arrival, Operation, Policy, mpsc, observe};
use throughline::testing::{Capture, TreeOptions};
use throughline::{
    Context, FutureExt, actor, consumer, current, producer, projection, propagate, traced,
};

use crate::in_request;

/// The picture, without times and places.
fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    assert_eq!(Context::current(), Context::default());
    let options = TreeOptions::new().hide("actor.mailbox.wait");
    capture.tree_with(&options.hide("code.*").hide("exception.stacktrace"))
}

#[derive(Default)]
struct Cart {
    items: u32,
}

struct Add(u32);
struct Audit;

#[derive(Debug)]
struct Full;

/// An error that says nothing at all.
struct Secret;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cart is full")
    }
}

#[traced]
async fn store() {
    tokio::task::yield_now().await;
}

#[actor(attrs(cart.items = self.items))]
impl Cart {
    async fn handle(&mut self, message: Add) -> Result<u32, Full> {
        store().await;
        self.items = self.items.checked_add(message.0).ok_or(Full)?;
        Ok(self.items)
    }

    fn handle_now(&mut self, _: &Audit) -> Result<(), Secret> {
        current().set_attribute("audited", self.items);
        Err(Secret)
    }

    const fn items(&self) -> u32 {
        self.items
    }
}

#[tokio::test]
async fn an_actor_by_itself_has_spans_under_the_current_one() {
    let capture = Capture::start();
    let mut cart = Cart::default();
    in_request(&capture, async {
        cart.handle(Add(2)).await.expect("there is room");
        cart.handle(Add(u32::MAX)).await.expect_err("there is none");
        assert!(cart.handle_now(&Audit).is_err());
    })
    .await;
    assert_eq!(cart.items(), 2);
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ Cart Add {actor.type="Cart", actor.message.type="Add", cart.items=0}
    │  └─ store
    ├─ Cart Add {actor.type="Cart", actor.message.type="Add", cart.items=2, error.type="roles::attributes::Full"} error: the cart is full
    │  │  • exception {exception.type="roles::attributes::Full", exception.message="the cart is full"}
    │  └─ store
    └─ Cart Audit {actor.type="Cart", actor.message.type="Audit", cart.items=2, audited=2, error.type="roles::attributes::Secret"} error
          • exception {exception.type="roles::attributes::Secret", exception.message=""}
    "#);
}

#[tokio::test]
async fn an_actor_behind_a_mailbox_has_one_span_a_message() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named("cart", 4);
    in_request(&capture, async {
        for items in [2, u32::MAX] {
            tx.send(Add(items)).await.expect("open");
        }
    })
    .await;
    drop(tx);
    let mut cart = Cart::default();
    while let Some(delivery) = rx.recv().await {
        // What the handler makes of the message is one span, and what it does besides is another.
        let handled = delivery.handle(async |add| {
            let done = cart.handle(add).await;
            drop(cart.handle_now(&Audit));
            done
        });
        drop(handled.await);
    }
    // It is in the source where the attribute is, and belongs to the crate that has the attribute.
    let spans = capture.spans();
    let add = spans.iter().find(|span| span.name == "Cart Add");
    let add = add.expect("it was handled");
    let function = add.attribute("code.function.name").map(ToString::to_string);
    let function = function.expect("the attribute says it");
    assert!(function.contains("attributes::Cart::handle"), "{function}");
    assert_eq!(add.scope.name, env!("CARGO_PKG_NAME"));
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ Cart Add {actor.type="Cart", actor.message.type="Add", trace.relation="child", trace.relation.reason="tell", actor.mailbox.name="cart", cart.items=0}
    │  ├─ store
    │  └─ Cart Audit {actor.type="Cart", actor.message.type="Audit", cart.items=2, audited=2, error.type="roles::attributes::Secret"} error
    │        • exception {exception.type="roles::attributes::Secret", exception.message=""}
    └─ Cart Add {actor.type="Cart", actor.message.type="Add", trace.relation="child", trace.relation.reason="tell", actor.mailbox.name="cart", cart.items=2, error.type="roles::attributes::Full"} error: the cart is full
       │  • exception {exception.type="roles::attributes::Full", exception.message="the cart is full"}
       ├─ store
       └─ Cart Audit {actor.type="Cart", actor.message.type="Audit", cart.items=2, audited=2, error.type="roles::attributes::Secret"} error
             • exception {exception.type="roles::attributes::Secret", exception.message=""}
    "#);
}

#[tokio::test]
async fn an_error_that_two_layers_see_is_told_once() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named("cart", 4);
    in_request(&capture, async { tx.send(Add(1)).await.expect("open") }).await;
    let mut cart = Cart { items: u32::MAX };
    let delivery = rx.recv().await.expect("sent");
    let handled = delivery.try_handle(async |add| cart.handle(add).await);
    handled.await.expect_err("there is no room");
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ Cart Add {actor.type="Cart", actor.message.type="Add", trace.relation="child", trace.relation.reason="tell", actor.mailbox.name="cart", cart.items=4294967295, error.type="roles::attributes::Full"} error: the cart is full
       │  • exception {exception.type="roles::attributes::Full", exception.message="the cart is full"}
       └─ store
    "#);
}

enum Change {
    Rename(String),
    Close,
}

impl Change {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Rename(_) => "Rename",
            Self::Close => "Close",
        }
    }
}

struct Account;

#[actor(message = %change.kind())]
impl Account {
    async fn handle(&mut self, change: Change) -> usize {
        match change {
            Change::Rename(name) => name.len(),
            Change::Close => 0,
        }
    }
}

#[tokio::test]
async fn a_message_says_which_of_several_it_is() {
    let capture = Capture::start();
    in_request(&capture, async {
        Account.handle(Change::Rename("savings".to_owned())).await;
        Account.handle(Change::Close).await;
    })
    .await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ Account Rename {actor.type="Account", actor.message.type="Rename"}
    └─ Account Close {actor.type="Account", actor.message.type="Close"}
    "#);
}

#[consumer(system = "kafka", destination = %topic, batch)]
async fn take(orders: &[u64], topic: &str) -> Result<(), String> {
    if orders.is_empty() {
        return Err(format!("{topic} is empty"));
    }
    Ok(())
}

#[producer(system = "kafka", destination = "orders")]
async fn publish() -> Vec<(String, String)> {
    let mut headers = std::collections::HashMap::<String, String>::new();
    propagate::inject(&Context::current(), &mut headers);
    let mut headers: Vec<_> = headers.into_iter().collect();
    headers.sort();
    headers
}

#[tokio::test]
async fn a_record_goes_from_a_producer_to_a_consumer() {
    let capture = Capture::start();
    let headers = in_request(&capture, publish()).await;
    let headers: std::collections::HashMap<_, _> = headers.into_iter().collect();
    let sender = propagate::extract(&headers);
    let handled = async {
        let arrival = Arrival::new(&sender, Operation::Record);
        observe(arrival.span(&POLLED, &Policy::new()), take(&[7], "orders")).await
    };
    let handled = handled.with_context(capture.context()).await;
    handled.expect("it is not empty");
    in_request(&capture, async {
        take(&[], "returns").await.expect_err("it is empty");
    })
    .await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ send orders [producer] {messaging.operation.name="send", messaging.operation.type="send", messaging.system="kafka", messaging.destination.name="orders"}
       └─ process orders [consumer] {messaging.operation.name="process", messaging.operation.type="process", messaging.system="kafka", trace.relation="child", trace.relation.reason="record", messaging.destination.name="orders", messaging.batch.message_count=1}
             → send orders
    request
    └─ process returns [consumer] {messaging.operation.name="process", messaging.operation.type="process", messaging.system="kafka", messaging.destination.name="returns", messaging.batch.message_count=0, error.type="alloc::string::String"} error: returns is empty
          • exception {exception.type="alloc::string::String", exception.message="returns is empty"}
    "#);
}

static POLLED: throughline::core::Callsite = throughline::core::callsite!("polled", Consumer);

struct GoalAdded {
    stream: &'static str,
    sequence: u64,
}

#[projection(name = "goal_summary", stream = %event.stream, sequence = event.sequence)]
async fn summarise(event: &GoalAdded) -> Result<(), Full> {
    store().await;
    if event.sequence > 1 {
        Err(Full)
    } else {
        Ok(())
    }
}

#[tokio::test]
async fn a_projection_ends_with_its_future_and_fails_with_it() {
    let capture = Capture::start();
    in_request(&capture, async {
        for sequence in [1, 2] {
            let stream = "goals-7";
            drop(summarise(&GoalAdded { stream, sequence }).await);
        }
    })
    .await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ project goal_summary GoalAdded {projection.name="goal_summary", projection.event.type="GoalAdded", projection.stream.id="goals-7", projection.sequence=1}
    │  └─ store
    └─ project goal_summary GoalAdded {projection.name="goal_summary", projection.event.type="GoalAdded", projection.stream.id="goals-7", projection.sequence=2, error.type="roles::attributes::Full"} error: the cart is full
       │  • exception {exception.type="roles::attributes::Full", exception.message="the cart is full"}
       └─ store
    "#);
}
