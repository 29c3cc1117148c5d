//! Commands, events and projections of cqrs-es.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Waker};

use cqrs_es::mem_store::MemStore;
use cqrs_es::persist::{GenericQuery, PersistedEventStore};
use cqrs_es::{AggregateError, CqrsFramework, EventEnvelope, Query};
use futures::FutureExt as _;
use throughline::cqrs_es::{
    Policy, Projection, Relation, STORED_AT, TracedCqrs, TracedQuery, TracedReplay, TracedStore,
    error_handler,
};
use throughline::testing::{Capture, TreeOptions, Value};
use throughline::{FutureExt, span};

use crate::in_request;

mod attribute; // `#[projection]` behind a query
mod goal;
mod lag; // how far queries are behind what commands committed
mod replay; // as many events as there are

use goal::{Command, Event, Goal, Panics, ReadOnly, Repository, Seen, Summary};

/// The picture, without how long ago events were stored.
fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    capture.tree_with(&TreeOptions::new().redact("projection.lag"))
}

/// The framework on the host's store in memory, with one query.
fn in_memory<Q: Query<Goal> + 'static>(
    projection: Projection,
    query: Q,
) -> TracedCqrs<Goal, MemStore<Goal>> {
    let query = TracedQuery::new(projection, query);
    TracedCqrs::new(MemStore::default(), vec![Box::new(query)], ())
}

fn event(sequence: usize, metadata: HashMap<String, String>) -> EventEnvelope<Goal> {
    EventEnvelope {
        aggregate_id: "g-1".to_owned(),
        sequence,
        payload: Event::Set,
        metadata,
    }
}

#[tokio::test]
async fn a_live_event_has_a_trace_of_its_own_that_links_the_command() {
    let capture = Capture::start();
    let seen = Seen::default();
    let cqrs = in_memory(Projection::new("summary"), seen.clone());
    let request = async {
        cqrs.execute("g-1", Command::Set).await.expect("accepted");
        let metadata = HashMap::from([("user".to_owned(), "7".to_owned())]);
        let renamed = cqrs.execute_with_metadata("g-1", Command::Rename, metadata);
        renamed.await.expect("accepted");
    };
    in_request(&capture, request).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ execute goal {projection.stream.type="goal", projection.stream.id="g-1"}
    └─ execute goal {projection.stream.type="goal", projection.stream.id="g-1"}
    project summary GoalSet {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=1}
    │  → execute goal (another trace)
    └─ write
    project summary GoalRenamed {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalRenamed", projection.stream.id="g-1", projection.sequence=2}
    │  → execute goal (another trace)
    └─ write
    "#);
    assert_eq!(seen.sequences(), [1, 2]);
    let spans = capture.spans();
    let command = spans
        .iter()
        .rfind(|span| span.name == "execute goal")
        .expect("executed");
    let events = seen.events.lock().expect("no panic");
    let metadata = &events[1].metadata;
    assert_eq!(metadata["user"], "7", "what the user says stays");
    let traceparent = format!("00-{}-{}-", command.trace_id, command.span_id);
    assert!(metadata["traceparent"].starts_with(&traceparent));
    metadata[STORED_AT].parse::<u64>().expect("digits");
    assert_eq!(metadata.len(), 3);
}

#[tokio::test]
async fn the_events_of_a_commit_are_a_page() {
    let capture = Capture::start();
    let seen = Seen::default();
    let cqrs = in_memory(Projection::new("summary"), seen.clone());
    let executed = capture.run(cqrs.execute("g-1", Command::SetAndReach)).await;
    executed.expect("accepted");
    insta::assert_snapshot!(tree(&capture), @r#"
    execute goal {projection.stream.type="goal", projection.stream.id="g-1"}
    project summary {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.stream.id="g-1", projection.page.events=2}
    │  → execute goal (another trace)
    └─ write
    "#);
    assert_eq!(
        seen.dispatches.load(Ordering::Relaxed),
        1,
        "as without spans"
    );
    assert_eq!(seen.sequences(), [1, 2]);
}

#[tokio::test]
async fn skipped_events_have_no_span_and_are_dispatched() {
    let capture = Capture::start();
    let seen = Seen::default();
    let projection = Arc::new(Projection::new("summary").skipping(["GoalSet"]));
    let query = TracedQuery::new(Arc::clone(&projection), seen.clone());
    let cqrs = TracedCqrs::new(MemStore::default(), vec![], ()).append_query(Box::new(query));
    let commands = async {
        for command in [Command::Set, Command::SetAndReach] {
            cqrs.execute("g-1", command).await.expect("accepted");
        }
    };
    capture.run(commands).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    execute goal {projection.stream.type="goal", projection.stream.id="g-1"}
    └─ write
    execute goal {projection.stream.type="goal", projection.stream.id="g-1"}
    project summary GoalReached {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalReached", projection.stream.id="g-1", projection.sequence=3}
    │  → execute goal (another trace)
    └─ write
    "#);
    assert_eq!(projection.skipped(), 2);
    assert_eq!(seen.sequences(), [1, 2, 3]);
}

#[tokio::test]
async fn a_young_event_is_a_child_where_the_policy_says_so_and_an_old_one_is_not() {
    let capture = Capture::start();
    let child = Projection::new("summary").with_policy(Policy::from(Relation::Child));
    let cqrs = in_memory(child, Seen::default());
    let long_ago = HashMap::from([(STORED_AT.to_owned(), "1".to_owned())]);
    let commands = async {
        for metadata in [HashMap::new(), long_ago] {
            let executed = cqrs.execute_with_metadata("g-1", Command::SetAndReach, metadata);
            executed.await.expect("accepted");
        }
    };
    capture.run(commands).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    execute goal {projection.stream.type="goal", projection.stream.id="g-1"}
    └─ project summary {projection.lag=…, trace.relation="child", trace.relation.reason="receiver", projection.name="summary", projection.stream.id="g-1", projection.page.events=2}
       └─ write
    execute goal {projection.stream.type="goal", projection.stream.id="g-1"}
    project summary {projection.lag=…, trace.relation="link", trace.relation.reason="age", projection.name="summary", projection.stream.id="g-1", projection.page.events=2}
    │  → execute goal (another trace)
    └─ write
    "#);
    let spans = capture.spans();
    let lags: Vec<_> = spans
        .iter()
        .filter_map(|span| match span.attribute("projection.lag") {
            Some(Value::Double(lag)) => Some(*lag),
            _ => None,
        })
        .collect();
    assert!(lags[0] > 0.0 && lags[0] < 60.0, "{lags:?}");
    assert!(lags[1] > 1e9, "since 1970: {lags:?}");
}

#[tokio::test]
async fn what_a_view_reports_fails_the_span() {
    let capture = Capture::start();
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut query = GenericQuery::<ReadOnly, Summary, Goal>::new(Arc::new(ReadOnly));
    let errors = Arc::clone(&told);
    query.use_error_handler(error_handler(move |error| {
        errors.lock().expect("no panic").push(error.to_string());
    }));
    let cqrs = in_memory(Projection::new("summary"), query);
    let executed = capture.run(cqrs.execute("g-1", Command::Set)).await;
    executed.expect("the host does not hear of it");
    insta::assert_snapshot!(tree(&capture), @r#"
    execute goal {projection.stream.type="goal", projection.stream.id="g-1"}
    project summary GoalSet {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=1, error.type="ConnectionError"} error: connection lost
       • exception {exception.type="cqrs_es::persist::error::PersistenceError", exception.message="connection lost"}
       → execute goal (another trace)
    "#);
    assert_eq!(*told.lock().expect("no panic"), ["connection lost"]);
}

#[tokio::test]
async fn commands_fail_by_rules_and_by_conflicts() {
    let capture = Capture::start();
    let store = PersistedEventStore::<_, Goal>::new_event_store(Repository::default());
    let query = TracedQuery::new(Projection::new("summary"), Seen::default());
    let cqrs = TracedCqrs::new(store, vec![Box::new(query)], ());
    let commands = async {
        let refused = cqrs.execute("g-1", Command::Refuse).await;
        assert!(matches!(refused, Err(AggregateError::UserError(_))));
        let (first, second) = futures::join!(
            cqrs.execute("g-1", Command::Hesitate),
            cqrs.execute("g-1", Command::Hesitate),
        );
        first.expect("it came first");
        assert!(matches!(second, Err(AggregateError::AggregateConflict)));
        let again = cqrs.execute("g-1", Command::Hesitate).await;
        again.expect("nobody else");
    };
    in_request(&capture, commands).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ execute goal {projection.stream.type="goal", projection.stream.id="g-1", error.type="roles::cqrs_es::goal::Refused"} error: no goal of ours
    │     • exception {exception.type="cqrs_es::error::AggregateError<roles::cqrs_es::goal::Refused>", exception.message="no goal of ours"}
    ├─ execute goal {projection.stream.type="goal", projection.stream.id="g-1"}
    ├─ execute goal {projection.stream.type="goal", projection.stream.id="g-1", error.type="AggregateConflict"} error: aggregate conflict
    │     • exception {exception.type="cqrs_es::error::AggregateError<roles::cqrs_es::goal::Refused>", exception.message="aggregate conflict"}
    └─ execute goal {projection.stream.type="goal", projection.stream.id="g-1"}
    project summary GoalSet {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=1}
    │  → execute goal (another trace)
    └─ write
    project summary GoalSet {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=2}
    │  → execute goal (another trace)
    └─ write
    "#);
}

#[tokio::test]
async fn a_store_by_itself_brings_the_callers_context() {
    let capture = Capture::start();
    let query = TracedQuery::new(Projection::new("summary"), Seen::default());
    let store = TracedStore::new(MemStore::<Goal>::default());
    let cqrs = CqrsFramework::new(store, vec![Box::new(query)], ());
    let executed = cqrs
        .execute("g-1", Command::Set)
        .in_span(span!(parent: capture.context(), "request"));
    executed.await.expect("accepted");
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    project summary GoalSet {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=1}
    │  → request (another trace)
    └─ write
    "#);
}

#[tokio::test]
async fn without_a_recorder_everything_is_as_it_is() {
    let seen = Seen::default();
    let projection = Arc::new(Projection::new("summary").skipping(["GoalReached"]));
    let query = TracedQuery::new(Arc::clone(&projection), seen.clone());
    let cqrs = TracedCqrs::new(MemStore::default(), vec![Box::new(query)], ());
    let executed = cqrs.execute("g-1", Command::SetAndReach).await;
    executed.expect("accepted");
    assert_eq!(seen.sequences(), [1, 2]);
    assert_eq!(projection.skipped(), 1);
    let events = seen.events.lock().expect("no panic");
    let keys: Vec<_> = events[0].metadata.keys().collect();
    assert_eq!(keys, [STORED_AT]);
}

#[tokio::test]
async fn an_event_whose_metadata_is_not_ours_is_projected_all_the_same() {
    let capture = Capture::start();
    let query = TracedQuery::new(Projection::new("summary"), Seen::default());
    let strange = HashMap::from([
        (STORED_AT.to_owned(), "yesterday".to_owned()),
        ("traceparent".to_owned(), "00-what".to_owned()),
    ]);
    let future = HashMap::from([(STORED_AT.to_owned(), u64::MAX.to_string())]);
    let dispatches = async {
        for (at, metadata) in [strange, future].into_iter().enumerate() {
            query.dispatch("g-1", &[event(at + 1, metadata)]).await;
        }
        query.dispatch("g-1", &[]).await;
    };
    capture.run(dispatches).await;
    assert_eq!(capture.stats().live(), 0);
    insta::assert_snapshot!(capture.tree(), @r#"
    project summary GoalSet {trace.relation="root", trace.relation.reason="no_sender", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=1}
    └─ write
    project summary GoalSet {projection.lag=0.0, trace.relation="root", trace.relation.reason="no_sender", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=2}
    └─ write
    write
    "#);
}

/// Polls that often, then drops. Returns whether it was ready.
fn poll_and_drop(future: impl Future, polls: usize) -> bool {
    let mut future = pin!(future);
    let mut task = TaskContext::from_waker(Waker::noop());
    (0..polls).any(|_| future.as_mut().poll(&mut task).is_ready())
}

#[tokio::test]
async fn a_dispatch_may_be_cancelled_at_each_of_its_polls() {
    let mut pictures = Vec::new();
    for polls in 0..=3 {
        let capture = Capture::start();
        let query = TracedQuery::new(Projection::new("summary"), Seen::default());
        let events = [event(1, HashMap::new())];
        let ready = poll_and_drop(capture.run(query.dispatch("g-1", &events)), polls);
        assert_eq!(ready, polls == 3, "{polls}");
        pictures.push(format!("{polls}:\n{}", tree(&capture)));
    }
    insta::assert_snapshot!(pictures.join("\n"), @r#"
    0:

    1:
    project summary GoalSet {trace.relation="root", trace.relation.reason="no_sender", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=1, span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    └─ write {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    2:
    project summary GoalSet {trace.relation="root", trace.relation.reason="no_sender", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=1, span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    └─ write {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    3:
    project summary GoalSet {trace.relation="root", trace.relation.reason="no_sender", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=1}
    └─ write
    "#);
}

#[tokio::test]
async fn a_command_may_be_cancelled_at_each_of_its_polls() {
    let mut pictures = Vec::new();
    for polls in 0..=4 {
        let capture = Capture::start();
        let cqrs = in_memory(Projection::new("summary"), Seen::default());
        let executed = cqrs.execute("g-1", Command::Hesitate);
        let ready = poll_and_drop(capture.run(executed), polls);
        assert_eq!(ready, polls == 4, "{polls}");
        assert_eq!(capture.stats().live(), 0);
        let options = TreeOptions::new().hide("*").show("span.outcome");
        pictures.push(format!("{polls}:\n{}", capture.tree_with(&options)));
    }
    insta::assert_snapshot!(pictures.join("\n"), @r#"
    0:

    1:
    execute goal {span.outcome="cancelled"} error: dropped before it was ready
    2:
    execute goal {span.outcome="cancelled"} error: dropped before it was ready
    project summary GoalSet {span.outcome="cancelled"} error: dropped before it was ready
    │  → execute goal (another trace)
    └─ write {span.outcome="cancelled"} error: dropped before it was ready
    3:
    execute goal {span.outcome="cancelled"} error: dropped before it was ready
    project summary GoalSet {span.outcome="cancelled"} error: dropped before it was ready
    │  → execute goal (another trace)
    └─ write {span.outcome="cancelled"} error: dropped before it was ready
    4:
    execute goal
    project summary GoalSet
    │  → execute goal (another trace)
    └─ write
    "#);
}

#[tokio::test]
async fn a_panic_is_seen_and_goes_on() {
    let capture = Capture::start();
    let cqrs = in_memory(Projection::new("summary"), Panics);
    let executed = AssertUnwindSafe(capture.run(cqrs.execute("g-1", Command::Set)));
    executed.catch_unwind().await.expect_err("it goes on");
    insta::assert_snapshot!(tree(&capture), @r#"
    execute goal {projection.stream.type="goal", projection.stream.id="g-1", span.outcome="panicked", error.type="panic"} error: panicked
    project summary GoalSet {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-1", projection.sequence=1, span.outcome="panicked", error.type="panic"} error: panicked
       → execute goal (another trace)
    "#);
}

#[tokio::test]
async fn pages_of_a_replay_have_outcomes() {
    let capture = Capture::start();
    let mut repository = Repository {
        history: 30,
        ..Repository::default()
    };
    let replay = TracedReplay::<_, _, Goal>::new(
        Projection::new("of one"),
        repository.clone(),
        Seen::default(),
    );
    let one = capture.run(replay.replay("g-1")).await;
    one.expect("there are events");
    capture
        .run(replay.replay("nobody"))
        .await
        .expect("none, which is no error");

    repository.broken = true;
    let mut view = GenericQuery::<ReadOnly, Summary, Goal>::new(Arc::new(ReadOnly));
    view.use_error_handler(error_handler(drop));
    let mut replay =
        TracedReplay::<_, _, Goal>::new(Projection::new("failing"), repository.clone(), view)
            .page_size(28);
    let told = Arc::new(Mutex::new(0));
    let errors = Arc::clone(&told);
    replay.use_error_handler(Box::new(move |_| *errors.lock().expect("no panic") += 1));
    capture.run(replay.replay_all()).await.expect("it goes on");
    assert_eq!(*told.lock().expect("no panic"), 1);

    let replay =
        TracedReplay::<_, _, Goal>::new(Projection::new("panicking"), repository.clone(), Panics);
    let replayed = AssertUnwindSafe(capture.run(replay.replay_all()));
    replayed.catch_unwind().await.expect_err("it goes on");

    let replay = TracedReplay::<_, _, Goal>::new(
        Projection::new("cancelled"),
        repository.clone(),
        Seen::default(),
    );
    // The first poll waits for the repository's task, the next one for the query.
    let mut replayed = Box::pin(capture.run(replay.replay_all()));
    assert!(futures::poll!(&mut replayed).is_pending());
    tokio::task::yield_now().await;
    assert!(futures::poll!(&mut replayed).is_pending());
    drop(replayed);
    insta::assert_snapshot!(tree(&capture), @r#"
    project of one {trace.relation="root", trace.relation.reason="replay", projection.name="of one", projection.replay=true, projection.page.events=10}
    project failing {trace.relation="root", trace.relation.reason="replay", projection.name="failing", projection.replay=true, projection.page.events=28, error.type="ConnectionError"} error: 28 events failed
    project failing {trace.relation="root", trace.relation.reason="replay", projection.name="failing", projection.replay=true, projection.page.events=3, error.type="ConnectionError"} error: 3 events failed
    project panicking {trace.relation="root", trace.relation.reason="replay", projection.name="panicking", projection.replay=true, span.outcome="panicked", error.type="panic"} error: panicked
    project cancelled {trace.relation="root", trace.relation.reason="replay", projection.name="cancelled", projection.replay=true, span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    "#);
}
