//! Records of a queue, whatever the queue is: single ones, batches, those that come again.

use throughline::channel::queue::Destination;
use throughline::channel::{Arrival, Operation, Policy, Redelivery, observe, try_observe};
use throughline::core::{Callsite, Sampler, SpanContext, callsite};
use throughline::testing::{Capture, ReceivedSpan, TreeOptions};
use throughline::{Context, FutureExt, propagate, span};

static PROCESS: Callsite = callsite!("process orders", Consumer);

fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    assert_eq!(Context::current(), Context::default());
    capture.tree_with(&TreeOptions::new().hide("exception.*").hide("error.type"))
}

/// Runs the making of a record, and returns the context that it brings along.
async fn send(capture: &Capture, name: &str) -> Context {
    let mut span = span!(parent: capture.context(), kind: producer, "send");
    span.update_name(name);
    async { Context::current() }.in_span(span).await
}

async fn store() {
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn one_record_is_a_child_with_a_link_and_an_ambient_span_goes_first() {
    let capture = Capture::start();
    let sender = send(&capture, "send orders").await;
    let arrival = Arrival::new(&sender, Operation::Record);
    let handle = || async {
        observe(arrival.span(&PROCESS, &Policy::new()), store()).await;
    };
    handle().with_context(capture.context()).await;
    handle()
        .in_span(span!(parent: capture.context(), "poll loop"))
        .await;
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer]
    └─ process orders [consumer] {trace.relation="child", trace.relation.reason="record"}
          → send orders
    poll loop
    └─ process orders [consumer] {trace.relation="link", trace.relation.reason="ambient"}
          → send orders (another trace)
    "#);
}

#[tokio::test]
async fn records_that_are_created_first_are_sent_by_a_client() {
    let capture = Capture::start();
    let orders = Destination::new("mybroker", "orders");
    let work = async {
        let created: [_; 2] = std::array::from_fn(|_| orders.create().context());
        let contexts = created.each_ref().map(Context::span_context);
        let again = contexts
            .into_iter()
            .chain([contexts[0], SpanContext::INVALID]);
        orders.batch_of(2).send_created(again).end();
        created
    };
    let created = work
        .in_span(span!(parent: capture.context(), "request"))
        .await;
    let handled = async {
        let batch = [created[1].span_context()];
        let arrival = Arrival::new(&created[0], Operation::Batch).with_others(&batch);
        let span = orders.batch_of(2).process(&arrival, &Policy::new());
        observe(span, store()).await;
        orders.settle("ack").end();
    };
    handled.with_context(capture.context()).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ create orders [producer] {messaging.system="mybroker", messaging.operation.name="create", messaging.operation.type="create", messaging.destination.name="orders"}
    ├─ create orders [producer] {messaging.system="mybroker", messaging.operation.name="create", messaging.operation.type="create", messaging.destination.name="orders"}
    └─ send orders [client] {messaging.system="mybroker", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.batch.message_count=2}
          → create orders
          → create orders
    process orders [consumer] {trace.relation="link", trace.relation.reason="batch", messaging.system="mybroker", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.batch.message_count=2}
       → create orders (another trace)
       → create orders (another trace)
    ack orders [client] {messaging.system="mybroker", messaging.operation.name="ack", messaging.operation.type="settle", messaging.destination.name="orders"}
    "#);
}

/// The one span of a batch of records from these senders.
async fn batch(capture: &Capture, senders: &[SpanContext]) -> ReceivedSpan {
    let handled = async {
        let first = Context::from(senders[0]);
        let arrival = Arrival::new(&first, Operation::Batch).with_others(&senders[1..]);
        observe(arrival.span(&PROCESS, &Policy::new()), store()).await;
    };
    handled.with_context(capture.context()).await;
    let spans = capture.spans().into_iter();
    let mut process = spans.filter(|span| span.name == "process orders");
    let span = process.next().expect("it was handled");
    assert!(process.next().is_none(), "one span for the batch");
    span
}

#[tokio::test]
async fn a_batch_links_each_sender_once() {
    let capture = Capture::start();
    let mut senders: Vec<SpanContext> = Vec::new();
    for number in 0..100 {
        let sender = send(&capture, &format!("send {number}")).await;
        // Each sender wrote five of the records.
        senders.extend([sender.span_context(); 5]);
    }
    let process = batch(&capture, &senders).await;
    let linked: Vec<_> = process.links.iter().map(|link| link.span_id).collect();
    let mut unique: Vec<_> = senders.iter().map(SpanContext::span_id).collect();
    unique.dedup();
    assert_eq!(linked, unique);
    assert_eq!((process.parent, process.dropped_links), (None, 0));
}

#[tokio::test]
async fn links_past_the_limit_are_counted() {
    let capture = Capture::start();
    let mut senders: Vec<SpanContext> = Vec::new();
    for _ in 0..500 {
        senders.push(send(&capture, "send").await.span_context());
    }
    let process = batch(&capture, &senders).await;
    assert_eq!((process.links.len(), process.dropped_links), (128, 372));
}

#[tokio::test]
async fn each_attempt_is_linked_to_the_one_before_and_a_dead_letter_to_both() {
    let capture = Capture::start();
    let sender = send(&capture, "send orders").await;
    let mut previous = None;
    for attempt in 1..=3 {
        let mut arrival = Arrival::new(&sender, Operation::Record).attempt(attempt);
        if let Some(previous) = previous {
            arrival = arrival.after(previous);
        }
        let handled = async {
            let span = arrival.span(&PROCESS, &Policy::new());
            previous = Some(span.context().span_context());
            try_observe(span, async {
                store().await;
                Err::<(), _>("out of stock")
            })
            .await
        };
        handled
            .with_context(capture.context())
            .await
            .expect_err("it fails each time");
    }
    let handled = async {
        let arrival = Arrival::new(&sender, Operation::Record)
            .redelivered(Redelivery::DeadLetter)
            .after(previous.expect("there were attempts"));
        observe(arrival.span(&PROCESS, &Policy::new()), store()).await;
    };
    handled.with_context(capture.context()).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer]
    └─ process orders [consumer] {queue.attempt=1, trace.relation="child", trace.relation.reason="record"} error: out of stock
          • exception
          → send orders
    process orders [consumer] {queue.attempt=2, trace.relation="link", trace.relation.reason="retry"} error: out of stock
       • exception
       → send orders (another trace)
       → process orders (another trace)
    process orders [consumer] {queue.attempt=3, trace.relation="link", trace.relation.reason="retry"} error: out of stock
       • exception
       → send orders (another trace)
       → process orders (another trace)
    process orders [consumer] {trace.relation="link", trace.relation.reason="dead_letter"}
       → send orders (another trace)
       → process orders (another trace)
    "#);
}

#[tokio::test]
async fn the_context_goes_on_where_nothing_is_sampled() {
    let mut config = throughline::core::RecorderConfig::default();
    config.sampler = Sampler::always_off();
    let capture = Capture::with_config(config);
    let sender = send(&capture, "send orders").await;
    let mut headers = std::collections::HashMap::<String, String>::new();
    propagate::inject(&sender, &mut headers);
    let arrived = propagate::extract(&headers);
    assert_eq!(
        arrived.span_context().trace_id(),
        sender.span_context().trace_id()
    );
    let handled = async {
        let arrival = Arrival::new(&arrived, Operation::Record);
        let handler = async { Context::current().span_context() };
        observe(arrival.span(&PROCESS, &Policy::new()), handler).await
    };
    let inside = handled.with_context(capture.context()).await;
    assert_eq!(inside.trace_id(), sender.span_context().trace_id());
    assert!(!inside.is_sampled());
    assert_eq!(capture.spans().len(), 0);
}

#[tokio::test]
async fn a_handler_that_is_dropped_at_any_poll_is_cancelled() {
    let capture = Capture::start();
    let sender = send(&capture, "send orders").await;
    for polls in 0..3 {
        let arrival = Arrival::new(&sender, Operation::Record);
        let span = {
            let _here = capture.attach();
            arrival.span(&PROCESS, &Policy::new())
        };
        let mut handled = Box::pin(observe(span, async {
            for _ in 0..3 {
                store().await;
            }
        }));
        for _ in 0..polls {
            assert!(futures::poll!(&mut handled).is_pending());
        }
        drop(handled);
    }
    insta::assert_snapshot!(tree(&capture), @r#"
    send orders [producer]
    ├─ process orders [consumer] {trace.relation="child", trace.relation.reason="record", span.outcome="cancelled"} error: dropped before it was ready
    │     → send orders
    ├─ process orders [consumer] {trace.relation="child", trace.relation.reason="record", span.outcome="cancelled"} error: dropped before it was ready
    │     → send orders
    └─ process orders [consumer] {trace.relation="child", trace.relation.reason="record", span.outcome="cancelled"} error: dropped before it was ready
          → send orders
    "#);
}
