//! Projections of any store.

use std::time::Duration;

use throughline::channel::{
    Arrival, Operation, Policy, Projection, Relation, StoredEvent, event_failed, try_observe,
};
use throughline::core::{Callsite, callsite};
use throughline::testing::{Capture, TreeOptions, Value};
use throughline::{Context, FutureExt, span, traced};

fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    capture.tree_with(&TreeOptions::new())
}

/// A context that a command stores beside its events; its span has ended by now.
fn stored(capture: &Capture, command: &str) -> Context {
    let mut span = span!(parent: capture.context(), "command");
    span.update_name(command);
    span.context()
}

#[traced]
async fn update(fails: bool) -> Result<(), &'static str> {
    tokio::task::yield_now().await;
    if fails { Err("no view") } else { Ok(()) }
}

#[tokio::test]
async fn an_event_fails_and_is_tried_again() {
    let capture = Capture::start();
    let context = stored(&capture, "set goal");
    let summary = Projection::new("summary");
    let mut event = StoredEvent::new(&context, "GoalSet")
        .stream("g-1")
        .sequence(7)
        .lag(Duration::from_millis(250));
    for attempt in 1..=3 {
        let span = summary.span(&event.attempt(attempt));
        event = event.after(span.context().span_context());
        let updated = try_observe(span, update(attempt < 3)).await;
        assert_eq!(updated.is_err(), attempt < 3);
    }
    insta::assert_snapshot!(tree(&capture), @r#"
    set goal
    project summary GoalSet {projection.lag=0.25, projection.attempt=1, trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=7, error.type="&str"} error: no view
    │  • exception {exception.type="&str", exception.message="no view"}
    │  → set goal (another trace)
    └─ update
    project summary GoalSet {projection.lag=0.25, projection.attempt=2, trace.relation="link", trace.relation.reason="retry", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=7, error.type="&str"} error: no view
    │  • exception {exception.type="&str", exception.message="no view"}
    │  → set goal (another trace)
    │  → project summary GoalSet (another trace)
    └─ update
    project summary GoalSet {projection.lag=0.25, projection.attempt=3, trace.relation="link", trace.relation.reason="retry", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=7}
    │  → set goal (another trace)
    │  → project summary GoalSet (another trace)
    └─ update
    "#);
}

#[tokio::test]
async fn a_page_links_each_context_once() {
    let capture = Capture::start();
    let contexts = ["set", "rename", "reach"].map(|command| stored(&capture, command));
    let [set, rename, reach] = &contexts;
    let nobody = Context::default();
    let events = [&nobody, set, rename, set, reach, reach];
    let mut lag = 0;
    let events = events.map(|context| {
        lag += 1;
        StoredEvent::new(context, "GoalChanged").lag(Duration::from_secs(lag))
    });
    for (name, policy) in [
        ("summary", Policy::new()),
        ("children", Policy::from(Relation::Child)),
        ("roots", Policy::from(Relation::Root)),
    ] {
        let projection = Projection::new(name).with_policy(policy);
        let page = async {
            let span = projection.page_span(&events);
            try_observe(span, update(false)).await.expect("no error");
        };
        // Whoever polls the store is no part of it.
        page.in_span(span!(parent: capture.context(), "poll")).await;
    }
    insta::assert_snapshot!(tree(&capture), @r#"
    set
    rename
    reach
    poll
    project summary {projection.lag=6.0, trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.page.events=6}
    │  → set (another trace)
    │  → rename (another trace)
    │  → reach (another trace)
    └─ update
    poll
    project children {projection.lag=6.0, trace.relation="link", trace.relation.reason="event", projection.name="children", projection.page.events=6}
    │  → set (another trace)
    │  → rename (another trace)
    │  → reach (another trace)
    └─ update
    poll
    project roots {projection.lag=6.0, trace.relation="root", trace.relation.reason="receiver", projection.name="roots", projection.page.events=6}
    └─ update
    "#);
}

#[tokio::test]
async fn a_page_of_five_hundred_links_each_context_once_and_counts_the_rest() {
    for (commands, links, dropped) in [(100, 100, 0), (200, 128, 72)] {
        let capture = Capture::start();
        let contexts: Vec<_> = (0..commands).map(|_| stored(&capture, "set")).collect();
        let event = |at| StoredEvent::new(&contexts[at % commands], "GoalSet");
        let events: Vec<_> = (0..500).map(event).collect();
        let summary = Projection::new("summary");
        let page = async {
            let span = summary.page_span(&events);
            try_observe(span, update(false)).await.expect("no error");
        };
        capture.run(page).await;
        let spans = capture.spans();
        assert_eq!(
            spans.len(),
            commands + 2,
            "the commands, the page, its handler"
        );
        let page = spans.iter().find(|span| span.name == "project summary");
        let page = page.expect("it was handled");
        assert_eq!((page.links.len(), page.dropped_links), (links, dropped));
        let linked = page.links.iter().map(|link| link.span_id);
        let of = contexts
            .iter()
            .map(|context| context.span_context().span_id());
        assert!(linked.eq(of.take(links)), "in the order of the events");
        let events = page.attribute("projection.page.events");
        assert_eq!(events, Some(&Value::Int(500)));
    }
}

#[tokio::test]
async fn an_offset_is_committed_under_the_event_or_the_page_that_it_is_after() {
    let capture = Capture::start();
    let context = stored(&capture, "set goal");
    let summary = Projection::new("summary");
    let events = [7, 8].map(|sequence| StoredEvent::new(&context, "GoalSet").sequence(sequence));
    let commit = |sequence, fails| try_observe(summary.commit_span(sequence), update(fails));
    let work = async {
        for fails in [false, true] {
            let handler = async { commit(7, fails).await };
            let handled = summary.try_handle(&events[0], handler).await;
            assert_eq!(handled.is_err(), fails);
        }
        let page = async { commit(8, false).await };
        let committed = try_observe(summary.page_span(&events), page).await;
        committed.expect("stored");
        // Of a replay there is one span per page and nothing else.
        let replayed = async {
            commit(8, false).await.expect("stored");
            2
        };
        summary.replay_page(replayed).await;
    };
    capture.run(work).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    set goal
    project summary GoalSet {trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet", projection.sequence=7}
    │  → set goal (another trace)
    └─ commit summary {projection.name="summary", projection.sequence=7}
       └─ update
    project summary GoalSet {trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet", projection.sequence=7, error.type="&str"} error: no view
    │  • exception {exception.type="&str", exception.message="no view"}
    │  → set goal (another trace)
    └─ commit summary {projection.name="summary", projection.sequence=7, error.type="&str"} error: no view
       │  • exception {exception.type="&str", exception.message="no view"}
       └─ update
    project summary {trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.page.events=2}
    │  → set goal (another trace)
    └─ commit summary {projection.name="summary", projection.sequence=8}
       └─ update
    project summary {trace.relation="root", trace.relation.reason="replay", projection.name="summary", projection.replay=true, projection.page.events=2}
    "#);
}

#[tokio::test]
async fn a_page_of_nothing_leaves_nothing() {
    let capture = Capture::start();
    let summary = Projection::new("summary");
    let polls = async {
        for _ in 0..10 {
            assert!(summary.page_span(&[]).is_disabled());
        }
    };
    capture.run(polls).await;
    assert_eq!((tree(&capture), summary.skipped()), (String::new(), 0));
}

#[tokio::test]
async fn skipped_events_are_counted_and_their_handlers_run() {
    let capture = Capture::start();
    let context = stored(&capture, "set");
    let summary = Projection::new("summary").skipping(["GoalRenamed"]);
    let _here = capture.attach();
    let types = ["GoalSet", "GoalRenamed", "GoalRenamed"];
    let events = types.map(|event_type| StoredEvent::new(&context, event_type));
    for event in &events {
        let handled = summary.try_handle(event, async { Ok::<_, String>(7) });
        assert_eq!(handled.await, Ok(7));
    }
    assert_eq!(summary.skipped(), 2);
    // One is left of the first page, none of the second.
    for page in [&events[..], &events[1..]] {
        summary.page_span(page).end();
    }
    assert_eq!(summary.skipped(), 6);
    summary.skip();
    assert_eq!(summary.skipped(), 7);
    insta::assert_snapshot!(tree(&capture), @r#"
    set
    project summary GoalSet {trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet"}
       → set (another trace)
    project summary GoalSet {trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet"}
       → set (another trace)
    "#);
}

#[tokio::test]
async fn a_replay_runs_unsampled_and_counts_what_fails() {
    let capture = Capture::start();
    let context = stored(&capture, "set");
    let summary = Projection::new("summary").skipping(["GoalRenamed"]);
    let event = StoredEvent::new(&context, "GoalSet");
    let page = async {
        for at in 0..100 {
            let handled = summary.handle(&event, async {
                let here = Context::current().span_context();
                assert!(here.is_valid() && !here.is_sampled(), "it goes along");
                if let Err(error) = update(at % 10 == 0).await {
                    event_failed("NoView", &std::io::Error::other(error));
                }
            });
            handled.await;
        }
        let skipped = StoredEvent::new(&context, "GoalRenamed");
        summary.span(&skipped).end();
        summary.page_span(&[skipped, event]).end();
        // Nor does who knows nothing of projections make one.
        let arrival = Arrival::new(&context, Operation::Event);
        assert!(arrival.span(&EVENT, &Policy::new()).is_disabled());
        100
    };
    assert_eq!(capture.run(summary.replay_page(page)).await, 100);
    assert_eq!(summary.skipped(), 0, "it was counted before");
    // What comes after it is no replay.
    summary
        .handle(&event, async { event_failed("NoView", &std::fmt::Error) })
        .await;
    insta::assert_snapshot!(tree(&capture), @r#"
    set
    project summary {trace.relation="root", trace.relation.reason="replay", projection.name="summary", projection.replay=true, projection.page.events=100, error.type="NoView"} error: 10 events failed
    project summary GoalSet {trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet", error.type="NoView"} error: an error occurred when formatting an argument
       • exception {exception.type="core::fmt::Error", exception.message="an error occurred when formatting an argument"}
       → set (another trace)
    "#);
}

static EVENT: Callsite = callsite!("event", Internal);
