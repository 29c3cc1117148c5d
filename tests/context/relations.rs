//! Which trace the handler of a message belongs to.

use throughline::channel::{Envelope, Policy, Relation, Starts, mpsc};
use throughline::core::{RecorderConfig, Sampler};
use throughline::testing::{Capture, TreeOptions, Value};
use throughline::{Context, FutureExt, span};

#[tokio::test]
async fn two_that_write_to_each_other_make_bounded_traces() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::unbounded_named("echo");
    let tx = &tx;
    span!(parent: capture.context(), "start").in_scope(|| tx.send(99).expect("open"));
    while let Ok(delivery) = rx.try_recv() {
        let echo = |left: u32| async move {
            if left > 0 {
                tx.send(left - 1).expect("open");
            }
        };
        delivery.handle(echo).await;
    }
    let lengths: Vec<_> = capture.traces().iter().map(|trace| trace.len()).collect();
    assert_eq!(
        lengths,
        [17, 17, 17, 17, 17, 16],
        "16 hops, then a new trace"
    );
    let roots = capture
        .spans()
        .into_iter()
        .filter(|span| span.parent.is_none());
    assert!(roots.filter(|span| span.name != "start").all(|root| {
        let reason = root
            .attribute("trace.relation.reason")
            .and_then(Value::as_str);
        root.links.len() == 1 && reason == Some("hops")
    }));
}

#[tokio::test]
async fn timers_and_hints_follow_the_policy() {
    let capture = Capture::start();
    let (tx, rx) = mpsc::unbounded_named("policy");
    let send = || {
        let _span = span!(parent: capture.context(), "actor").enter();
        tx.send_envelope(Envelope::timer("tick")).expect("open");
        let nightly = Envelope::new("nightly").with_relation(Relation::Root);
        tx.send_envelope(nightly).expect("open");
        let _nobody = capture.context().attach();
        tx.send("from nobody").expect("open");
    };
    let mut rx = rx;
    for policy in [
        Policy::new().starts(Starts::Nothing),
        Policy::new(),
        Policy::new().starts(Starts::Everything),
    ] {
        send();
        rx = rx.with_policy(policy);
        while let Ok(delivery) = rx.try_recv() {
            let span = delivery.span(*delivery);
            async {}.in_span(span).await;
        }
    }
    let options = TreeOptions::new().hide("actor.*");
    insta::assert_snapshot!(capture.tree_with(&options), @r#"
    actor
    nightly {trace.relation="root", trace.relation.reason="sender"}
    actor
    nightly {trace.relation="root", trace.relation.reason="sender"}
    from nobody {trace.relation="root", trace.relation.reason="no_sender"}
    actor
    tick {trace.relation="link", trace.relation.reason="timer"}
       → actor (another trace)
    nightly {trace.relation="root", trace.relation.reason="sender"}
    from nobody {trace.relation="root", trace.relation.reason="no_sender"}
    "#);
}

#[tokio::test]
async fn the_handler_of_an_unsampled_sender_is_not_sampled() {
    let mut config = RecorderConfig::default();
    config.sampler = Sampler::parent_based(Sampler::always_off());
    let capture = Capture::with_config(config);
    let (tx, mut rx) = mpsc::unbounded_channel();
    let sender = span!(parent: capture.context(), "sender").in_scope(|| {
        tx.send(()).expect("open");
        Context::current()
    });
    let delivery = rx.recv().await.expect("sent");
    assert!(
        delivery
            .channel()
            .is_some_and(|name| name.contains("relations.rs:"))
    );
    let handled = delivery.handle(|()| async { Context::current() }).await;
    let trace_id = |context: &Context| context.span_context().trace_id();
    assert_eq!(trace_id(&handled), trace_id(&sender));
    assert_eq!((handled.hops(), capture.tree()), (1, String::new()));
}
