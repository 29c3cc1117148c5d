//! Actors on plain Tokio.

use std::time::Duration;

use throughline::channel::{mpsc, oneshot};
use throughline::core::{RecorderConfig, Sampler, SpanContext};
use throughline::testing::{Capture, TreeOptions};
use throughline::{Context, actor, span};

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
    └─ process left {actor.message.type="&str", trace.relation="child", trace.relation.reason="tell", span.outcome="undelivered"}
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
    └─ process abandoned {actor.message.type="Sender", trace.relation="child", trace.relation.reason="tell", span.outcome="abandoned"}
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
    └─ process slow {actor.message.type="Sender", trace.relation="child", trace.relation.reason="ask", actor.message.operation="ask", span.outcome="abandoned"}
    "#);
    let stats = throughline::channel::stats();
    let slow = stats.iter().find(|channel| channel.name == "slow");
    assert_eq!(slow.map(|slow| slow.ask_timeouts), Some(1));
}

struct Desk(Vec<Context>);

struct Letter;

#[actor]
impl Desk {
    async fn handle(&mut self, _letter: Letter) {
        let here = Context::current();
        tokio::task::yield_now().await;
        assert_eq!(Context::current(), here, "at each poll");
        let inner = span!("read").in_scope(Context::current);
        self.0.extend([here, inner]);
    }
}

#[tokio::test]
async fn a_handler_of_a_trace_that_is_not_sampled_has_a_context_of_its_own() {
    let mut config = RecorderConfig::default();
    config.sampler = Sampler::parent_based(Sampler::always_off());
    let capture = Capture::with_config(config);
    let (tx, mut rx) = mpsc::named("unsampled", 4);
    let send = async {
        tx.send(Letter).await.expect("open");
        tx.send(Letter).await.expect("open");
        Context::current()
    };
    let sender = in_request(&capture, send).await;
    let mut desk = Desk(Vec::new());
    for _ in 0..2 {
        let delivery = rx.recv().await.expect("sent");
        assert_eq!(delivery.enqueued(), None, "nobody looks at the clock");
        delivery.handle(|letter| desk.handle(letter)).await;
    }
    let ids: std::collections::HashSet<_> = [&sender]
        .into_iter()
        .chain(&desk.0)
        .map(|context| {
            let span = context.span_context();
            assert_eq!(span.trace_id(), sender.span_context().trace_id());
            assert!(!span.trace_flags().is_sampled());
            span.span_id()
        })
        .collect();
    assert_eq!(ids.len(), 5, "each has an identifier of its own");
    assert_eq!(desk.0[0].hops(), sender.hops() + 1);
    // One request, two handlers, which their attribute does not count again, and what they do.
    assert_eq!(capture.stats().unsampled, 5);
    assert_eq!(capture.stats().started, 0);
    let origins = capture.stats().unsampled_by_origin;
    assert_eq!((origins.none, origins.local, origins.remote), (1, 4, 0));
    assert!(!Context::has_current());
}

#[tokio::test]
async fn a_handler_whose_sender_runs_elsewhere_is_counted_so() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named("from elsewhere", 4);
    let recorder = capture.attach();
    for flags in ["00", "01"] {
        let caller = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        let caller = SpanContext::parse_traceparent(&caller).expect("valid");
        let _caller = Context::from(caller).attach();
        tx.try_send(Letter).expect("open");
    }
    drop(recorder);
    let mut desk = Desk(Vec::new());
    for _ in 0..2 {
        let delivery = rx.recv().await.expect("sent");
        delivery.handle(|letter| desk.handle(letter)).await;
    }
    let stats = capture.stats();
    for origins in [stats.started_by_origin, stats.unsampled_by_origin] {
        assert_eq!((origins.none, origins.local, origins.remote), (0, 1, 1));
    }
}

#[tokio::test]
async fn a_handler_of_a_trace_that_is_not_sampled_may_be_dropped_or_panic() {
    let mut config = RecorderConfig::default();
    config.sampler = Sampler::always_off();
    let capture = Capture::with_config(config);
    let (tx, mut rx) = mpsc::named("unsampled and cut short", 4);
    let send = async {
        tx.send(()).await.expect("open");
        tx.send(()).await.expect("open");
        Context::current()
    };
    let sender = in_request(&capture, send).await;
    let sees_the_trace = |()| {
        let trace = sender.span_context().trace_id();
        struct Seen(throughline::core::TraceId);
        impl Drop for Seen {
            fn drop(&mut self) {
                assert_eq!(Context::current().span_context().trace_id(), self.0);
            }
        }
        let seen = Seen(trace);
        async move {
            tokio::task::yield_now().await;
            let _seen = seen;
            panic!("no more");
        }
    };
    let delivery = rx.recv().await.expect("sent");
    drop(delivery.handle(sees_the_trace));
    let delivery = rx.recv().await.expect("sent");
    let task = tokio::spawn(delivery.handle(move |()| async move { panic!("no more") }));
    assert!(task.await.expect_err("it panics").is_panic());
    assert!(!Context::has_current());
}
