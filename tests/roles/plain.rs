//! Actors on plain Tokio.

use std::time::Duration;

use throughline::channel::{mpsc, oneshot};
use throughline::testing::{Capture, TreeOptions};

use crate::in_request;

mod endings; // how messages end

/// The picture, without how long messages waited.
fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    let options = TreeOptions::new().sorted_by_name();
    capture.tree_with(
        &options
            .hide("actor.mailbox.wait")
            .hide("actor.mailbox.name"),
    )
}

#[tokio::test]
async fn what_is_left_in_a_mailbox_is_undelivered() {
    let capture = Capture::start();
    let (tx, rx) = mpsc::named("left", 4);
    let send = async { tx.send("book").await.expect("open") };
    in_request(&capture, send).await;
    drop(rx);
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ process left {trace.relation="child", trace.relation.reason="tell", actor.message.type="&str", span.outcome="undelivered"}
    "#);
}

#[tokio::test]
async fn an_asker_that_goes_abandons_its_message() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named::<oneshot::Sender<u32>>("abandoned", 4);
    let ask = async {
        let (reply, answer) = oneshot::channel();
        tx.send(reply).await.expect("open");
        drop(answer);
    };
    in_request(&capture, ask).await;
    let delivery = rx.recv().await.expect("sent");
    delivery
        .handle(|reply| async move { reply.send(7) })
        .await
        .expect_err("nobody waits");
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ process abandoned {trace.relation="child", trace.relation.reason="tell", actor.message.type="Sender", span.outcome="abandoned"}
    "#);
}

#[tokio::test]
async fn a_question_that_is_given_up_is_told_to_both_sides() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named::<oneshot::Sender<u32>>("slow", 4);
    let answer = async {
        let delivery = rx.recv().await.expect("sent");
        delivery
            .handle(|mut reply| async move {
                reply.closed().await;
                reply.send(7).expect_err("nobody waits");
            })
            .await;
    };
    let ask = async {
        let error = tx.ask_within(Duration::ZERO, |reply| reply).await;
        assert!(error.expect_err("it takes too long").is_timeout());
    };
    tokio::join!(in_request(&capture, ask), answer);
    let options = TreeOptions::new()
        .hide("actor.mailbox.*")
        .hide("code.line.number");
    insta::assert_snapshot!(capture.tree_with(&options), @r#"
    request
    │  • actor.ask.timeout {actor.ask.limit=0.0}
    └─ process slow {trace.relation="child", trace.relation.reason="ask", actor.message.type="Sender", actor.message.operation="ask", span.outcome="abandoned"}
    "#);
    let stats = throughline::channel::stats();
    let slow = stats.iter().find(|channel| channel.name == "slow");
    assert_eq!(slow.map(|slow| slow.ask_timeouts), Some(1));
}
