//! How messages end on plain Tokio: handled after their sender's span has ended, failed, panicked, cancelled at any poll,
//! taken over by the actor that comes after the one which died.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use tokio::sync::Mutex;

use throughline::channel::mpsc;
use throughline::testing::{Capture, TreeOptions};
use throughline::{FutureExt, actor, span, traced};

use super::tree;
use crate::in_request;

struct Cart;

#[derive(Debug)]
enum Order {
    Fail,
    Panic,
    Wait(u32),
}

/// Gives way so often.
#[traced]
async fn wait(times: u32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[actor]
impl Cart {
    async fn handle(&mut self, order: Order) -> Result<(), &'static str> {
        match order {
            Order::Fail => Err("out of stock"),
            Order::Panic => panic!("told to"),
            Order::Wait(times) => {
                wait(times).await;
                Ok(())
            }
        }
    }
}

#[tokio::test]
async fn the_senders_span_ends_before_its_message_is_handled() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named("orders", 4);
    let send = async { tx.send(Order::Wait(1)).await.expect("open") };
    in_request(&capture, send).await;
    assert_eq!(capture.stats().live(), 0, "the mailbox holds no span");
    let delivery = rx.recv().await.expect("sent");
    let handled = delivery.handle(async |order| Cart.handle(order).await);
    handled.await.expect("no error");
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ Cart Order {actor.type="Cart", actor.message.type="Order", trace.relation="child", trace.relation.reason="tell"}
       └─ wait
    "#);
    let spans = capture.spans();
    let [request, inner, handled] = &spans[..] else {
        panic!("{}", spans.len());
    };
    assert_eq!(request.name, "request");
    assert_eq!(inner.name, "wait");
    assert!(request.end_unix_nano <= handled.start_unix_nano);
}

#[tokio::test]
async fn a_loop_goes_on_after_errors_and_panics() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named("orders", 4);
    let send = async {
        for order in [Order::Fail, Order::Panic, Order::Wait(0)] {
            tx.send(order).await.expect("open");
        }
    };
    in_request(&capture, send).await;
    drop(tx);
    let mut outcomes = Vec::new();
    while let Some(delivery) = rx.recv().await {
        let handled = delivery.handle(async |order| Cart.handle(order).await);
        let handled = AssertUnwindSafe(handled).catch_unwind().await;
        outcomes.push(handled.map_err(drop));
    }
    assert_eq!(outcomes, [Ok(Err("out of stock")), Err(()), Ok(Ok(()))]);
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ Cart Order {actor.type="Cart", actor.message.type="Order", trace.relation="child", trace.relation.reason="tell", error.type="&str"} error: out of stock
    │     • exception {exception.type="&str", exception.message="out of stock"}
    ├─ Cart Order {actor.type="Cart", actor.message.type="Order", trace.relation="child", trace.relation.reason="tell", span.outcome="panicked", error.type="panic"} error: panicked
    └─ Cart Order {actor.type="Cart", actor.message.type="Order", trace.relation="child", trace.relation.reason="tell"}
       └─ wait
    "#);
}

#[tokio::test]
async fn an_error_that_two_layers_see_is_told_once() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named("orders", 4);
    let send = async {
        for order in [Order::Fail, Order::Wait(0)] {
            tx.send(order).await.expect("open");
        }
    };
    in_request(&capture, send).await;
    let delivery = rx.recv().await.expect("sent");
    let handled = delivery.try_handle(async |order| Cart.handle(order).await);
    handled.await.expect_err("out of stock");
    // One that only the layer further out sees is told, too.
    let delivery = rx.recv().await.expect("sent");
    let handled = delivery.try_handle(async |order| {
        Cart.handle(order).await?;
        Err::<(), _>("the reply is lost")
    });
    handled.await.expect_err("after the handler");
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ Cart Order {actor.type="Cart", actor.message.type="Order", trace.relation="child", trace.relation.reason="tell", error.type="&str"} error: out of stock
    │     • exception {exception.type="&str", exception.message="out of stock"}
    └─ Cart Order {actor.type="Cart", actor.message.type="Order", trace.relation="child", trace.relation.reason="tell", error.type="&str"} error: the reply is lost
       │  • exception {exception.type="&str", exception.message="the reply is lost"}
       └─ wait
    "#);
}

#[tokio::test]
async fn a_handler_may_be_cancelled_at_each_of_its_polls() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named("orders", 4);
    for polls in 0..=3 {
        let send = async { tx.send(Order::Wait(2)).await.expect("open") };
        send.in_span(span!(parent: capture.context(), "request", polls = polls))
            .await;
        let delivery = rx.recv().await.expect("sent");
        let mut handled = Box::pin(delivery.handle(async |order| Cart.handle(order).await));
        let ready = (0..polls)
            .filter(|_| (&mut handled).now_or_never().is_some())
            .count();
        assert_eq!(ready, usize::from(polls == 3));
        drop(handled);
        assert_eq!(capture.stats().live(), 0, "after {polls} polls");
    }
    insta::assert_snapshot!(tree(&capture), @r#"
    request {polls=0}
    └─ process orders {actor.message.type="Order", trace.relation="child", trace.relation.reason="tell", span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    request {polls=1}
    └─ Cart Order {actor.type="Cart", actor.message.type="Order", trace.relation="child", trace.relation.reason="tell", span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
       └─ wait {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    request {polls=2}
    └─ Cart Order {actor.type="Cart", actor.message.type="Order", trace.relation="child", trace.relation.reason="tell", span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
       └─ wait {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    request {polls=3}
    └─ Cart Order {actor.type="Cart", actor.message.type="Order", trace.relation="child", trace.relation.reason="tell"}
       └─ wait
    "#);
}

#[tokio::test]
async fn an_actor_that_is_started_again_takes_over_the_mailbox() {
    let capture = Capture::start();
    let (tx, rx) = mpsc::named("orders", 4);
    let send = async {
        tx.send(Order::Panic).await.expect("open");
        tx.send(Order::Wait(1)).await.expect("open");
    };
    in_request(&capture, send).await;
    drop(tx);
    let rx = Arc::new(Mutex::new(rx));
    // Whoever supervises the actor starts a task again until one has come to the end of the mailbox.
    let mut deaths = 0;
    loop {
        let rx = Arc::clone(&rx);
        let run = async move {
            let mut rx = rx.lock().await;
            while let Some(delivery) = rx.recv().await {
                let handled = delivery.handle(async |order| Cart.handle(order).await);
                handled.await.expect("no error");
            }
        };
        match tokio::spawn(run).await {
            Ok(()) => break,
            Err(error) => assert!(error.is_panic(), "{error}"),
        }
        deaths += 1;
    }
    assert_eq!(deaths, 1);
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ Cart Order {actor.type="Cart", actor.message.type="Order", trace.relation="child", trace.relation.reason="tell", span.outcome="panicked", error.type="panic"} error: panicked
    └─ Cart Order {actor.type="Cart", actor.message.type="Order", trace.relation="child", trace.relation.reason="tell"}
       └─ wait
    "#);
}

#[tokio::test]
async fn who_finds_nothing_leaves_nothing() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named::<Order>("orders", 4);
    let polls = async {
        for _ in 0..10 {
            rx.try_recv().expect_err("nothing was sent");
            assert!(rx.recv().now_or_never().is_none());
        }
        drop(tx);
        assert!(rx.recv().await.is_none());
    };
    capture.run(polls).await;
    assert_eq!(tree(&capture), "");
}

#[tokio::test]
async fn what_is_closed_is_handled_to_the_end_and_what_is_dropped_is_not() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named("orders", 4);
    let send = async {
        for _ in 0..3 {
            tx.send(Order::Wait(0)).await.expect("open");
        }
        rx.close();
        let refused = tx.send(Order::Fail).await;
        refused.expect_err("it is closed, and the sender has the message back");
    };
    in_request(&capture, send).await;
    let delivery = rx.recv().await.expect("it is there");
    let handled = delivery.handle(async |order| Cart.handle(order).await);
    handled.await.expect("no error");
    drop(rx);
    let options = TreeOptions::new()
        .sorted_by_name()
        .hide("*")
        .show("span.outcome");
    insta::assert_snapshot!(capture.tree_with(&options), @r#"
    request
    ├─ Cart Order
    │  └─ wait
    ├─ process orders {span.outcome="undelivered"}
    └─ process orders {span.outcome="undelivered"}
    "#);
}
