//! Which messages are traced: by their types, channels, destinations, projections and modules, on two levels.

use throughline::channel::queue::Destination;
use throughline::channel::{
    Arrival, Operation, Policy, Projection, Relation, Selection, StoredEvent, mpsc, observe,
};
use throughline::testing::{Capture, TreeOptions};
use throughline::{Context, FutureExt, actor, propagate, traced};

use crate::in_request;

/// The picture, without times and reasons.
fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    assert_eq!(Context::current(), Context::default());
    let options = TreeOptions::new().hide("actor.*").hide("messaging.*");
    capture.tree_with(&options.hide("projection.*").hide("trace.relation.reason"))
}

/// A policy that leaves out what the text says.
fn policy(selection: &str) -> Policy {
    let selection: Selection = selection.parse().expect("it can be used");
    Policy::new().select(selection.leak())
}

struct Add(u32);
struct Heartbeat;

#[traced]
async fn store(_: u32) {}

/// Takes a message of each type from a channel that leaves out what the text says: one with a sender and one without.
async fn select(selection: &str) -> String {
    let capture = Capture::start();
    let (adds, added) = mpsc::named::<Add>("selected-adds", 4);
    let (beats, beaten) = mpsc::named::<Heartbeat>("selected-beats", 4);
    let send = || async {
        adds.send(Add(1)).await.expect("open");
        beats.send(Heartbeat).await.expect("open");
    };
    in_request(&capture, send()).await;
    send().with_context(capture.context()).await;
    let policy = policy(selection);
    let (mut added, mut beaten) = (added.with_policy(policy), beaten.with_policy(policy));
    for _ in 0..2 {
        let add = added.recv().await.expect("sent");
        add.handle(|add| store(add.0)).await;
        let beat = beaten.recv().await.expect("sent");
        beat.handle(|Heartbeat| store(0)).await;
    }
    tree(&capture)
}

#[tokio::test]
async fn everything_is_traced_and_may_start_a_trace_unless_told_otherwise() {
    let everything = select("").await;
    insta::assert_snapshot!(everything, @r#"
    request
    ├─ process selected-adds {trace.relation="child"}
    │  └─ store
    └─ process selected-beats {trace.relation="child"}
       └─ store
    process selected-adds {trace.relation="root"}
    └─ store
    process selected-beats {trace.relation="root"}
    └─ store
    "#);
    assert_eq!(select("trace=**;start=**").await, everything);
}

#[tokio::test]
async fn what_is_left_out_has_no_span_and_its_handler_the_senders_context() {
    let beats = select("trace=!message:roles::selection::Heartbeat").await;
    insta::assert_snapshot!(beats, @r#"
    request
    ├─ process selected-adds {trace.relation="child"}
    │  └─ store
    └─ store
    process selected-adds {trace.relation="root"}
    └─ store
    "#);
    assert_eq!(select("trace=!destination:selected-beats").await, beats);
    assert_eq!(select("trace=selected-adds").await, beats);
    // It is a channel's and a type's, not a place in this file: all have the callsite of the observer.
    assert_eq!(select("trace=!module:roles::**").await, select("").await);
}

#[tokio::test]
async fn what_may_not_start_a_trace_continues_one() {
    let starts = select("start=message:**::Add").await;
    insta::assert_snapshot!(starts, @r#"
    request
    ├─ process selected-adds {trace.relation="child"}
    │  └─ store
    └─ process selected-beats {trace.relation="child"}
       └─ store
    process selected-adds {trace.relation="root"}
    └─ store
    "#);
}

#[actor]
async fn run(mut inbox: mpsc::Receiver<Add>) {
    while let Some(add) = inbox.recv().await {
        handle(add.into_inner()).await;
    }
}

#[actor(name = "add")]
async fn handle(add: Add) {
    store(add.0).await;
}

#[tokio::test]
async fn a_loop_goes_on_in_the_senders_context_too() {
    let capture = Capture::start();
    let (tx, rx) = mpsc::named("selected-loop", 4);
    let send = async { tx.send(Add(1)).await.expect("open") };
    in_request(&capture, send).await;
    tx.send(Add(2)).with_context(capture.context()).await.ok();
    drop(tx);
    let run = run(rx.with_policy(policy("trace=!selected-loop")));
    run.with_context(capture.context()).await;
    insta::assert_snapshot!(tree(&capture), @r"
    request
    └─ store
    add
    └─ store
    ");
}

#[tokio::test]
async fn records_and_events_are_known_by_their_destinations_and_projections() {
    let capture = Capture::start();
    let sender = in_request(&capture, async { Context::current() }).await;
    let take = |destination: &'static str, selection: &str| {
        let arrival = Arrival::new(&sender, Operation::Record);
        let orders = Destination::new("memory", destination);
        observe(orders.process(&arrival, &policy(selection)), store(1))
    };
    let take = async {
        take("orders", "trace=destination:orders").await;
        take("refunds", "trace=destination:orders").await;
    };
    take.with_context(capture.context()).await;
    let project = |projection: &'static str| {
        let sender = sender.clone();
        let selection = policy("trace=!projection:goal_*,!message:Audited");
        async move {
            let projection =
                Projection::new(projection).with_policy(selection.relation(Relation::Child));
            for event in ["Added", "Audited"] {
                let event = StoredEvent::new(&sender, event);
                projection.handle(&event, store(2)).await;
            }
        }
    };
    project("goal_summary").await;
    project("audit").await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ process orders [consumer] {trace.relation="child"}
    │  │  → request
    │  └─ store
    ├─ store
    ├─ store
    ├─ store
    ├─ project audit Added {trace.relation="child"}
    │  └─ store
    └─ store
    "#);
}

/// One test, since the selection is the process's: what it leaves out no other test has.
#[tokio::test]
async fn the_selection_of_the_process_goes_for_every_receiver() {
    mod quiet {
        use super::{Add, actor, store};

        #[actor(name = "quiet add")]
        pub(super) async fn handle(add: Add) {
            store(add.0).await;
        }

        #[actor(name = "add", target = "roles::selection::careful")]
        pub(super) async fn handle_carefully(add: Add) {
            store(add.0).await;
        }
    }

    struct Bare;

    #[actor]
    async fn bare(mut inbox: tokio::sync::mpsc::UnboundedReceiver<Bare>) {
        while let Some(Bare) = inbox.recv().await {
            store(3).await;
        }
    }

    Selection::new()
        .trace_except([
            "destination:process-excluded-*",
            "module:roles::**::quiet::**",
        ])
        .and_then(|selection| selection.start_except(["module:roles::selection::careful::**"]))
        .and_then(|selection| selection.start_except(["message:roles::selection::**::Bare"]))
        .expect("it can be used")
        .install();
    let capture = Capture::start();
    for name in ["process-excluded-a", "process-included"] {
        let (tx, mut rx) = mpsc::named(name, 1);
        in_request(&capture, async { tx.send(Add(1)).await.expect("open") }).await;
        let add = rx.recv().await.expect("sent");
        add.handle(|add| store(add.0)).await;
    }
    let handlers = || async {
        quiet::handle(Add(1)).await;
        quiet::handle_carefully(Add(1)).await;
    };
    in_request(&capture, handlers()).await;
    handlers().with_context(capture.context()).await;
    let loops = || {
        let (tx, inbox) = tokio::sync::mpsc::unbounded_channel();
        tx.send(Bare).expect("open");
        bare(inbox)
    };
    in_request(&capture, loops()).await;
    loops().with_context(capture.context()).await;
    Selection::new().install();
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ store
    request
    └─ process process-included {trace.relation="child"}
       └─ store
    request
    ├─ store
    └─ add
       └─ store
    store
    store
    request
    └─ bare Bare
       └─ store
    store
    "#);
}

#[tokio::test]
async fn what_is_left_out_passes_the_context_on() {
    let capture = Capture::start();
    let (tx, rx) = mpsc::named("selected-relay", 1);
    let (next, mut last) = mpsc::named("selected-last", 1);
    let mut rx = rx.with_policy(policy("trace=!destination:selected-relay"));
    in_request(&capture, async { tx.send(Add(1)).await.expect("open") }).await;
    let relayed = rx.recv().await.expect("sent");
    let headers = relayed
        .handle(async |add| {
            next.send(add).await.expect("open");
            let mut headers = std::collections::HashMap::<String, String>::new();
            propagate::inject(&Context::current(), &mut headers);
            headers
        })
        .await;
    let remote = propagate::extract(&headers).span_context();
    let add = last.recv().await.expect("sent");
    add.handle(|add| store(add.0)).await;
    let spans = capture.spans();
    let request = spans.iter().find(|span| span.name == "request");
    let request = request.expect("it ended");
    assert_eq!(remote.span_id().to_string(), request.span_id.to_string());
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ process selected-last {trace.relation="child"}
       └─ store
    "#);
}
