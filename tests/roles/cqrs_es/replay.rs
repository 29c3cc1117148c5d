//! Replays of any length: at most one span per page leaves the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cqrs_es::persist::QueryReplay;
use cqrs_es::{EventEnvelope, Query};
use throughline::cqrs_es::{Projection, TracedQuery, TracedReplay};
use throughline::testing::{Capture, OtlpReceiver, Value};
use throughline::{FutureExt, Pipeline, span};
use throughline_tests::support::size::is_long;

use super::goal::{Goal, Repository, write};
use super::tree;

/// A query that counts what it gets. What it does for each event has a span, outside of replays.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<AtomicUsize>);

#[async_trait]
impl Query<Goal> for Counted {
    async fn dispatch(&self, _: &str, events: &[EventEnvelope<Goal>]) {
        write().await;
        self.0.fetch_add(events.len(), Ordering::Relaxed);
    }
}

const PAGE: usize = 1_000;
/// How long the exporter may take; it takes less, or the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_exports_a_span_per_page() {
    let events = if is_long() { 1_000_000 } else { 10_000 };
    let receiver = OtlpReceiver::start().expect("a free port");
    let pipeline = Pipeline::builder()
        .endpoint(&receiver.endpoint())
        .start()
        .expect("a pipeline starts");
    // The last page is not full.
    let repository = Repository {
        history: events - 1,
        ..Repository::default()
    };
    let counted = Counted::default();
    let projection = Arc::new(Projection::new("summary"));
    let live = TracedQuery::new(Arc::clone(&projection), counted.clone());
    let replay = TracedReplay::<_, _, Goal>::new(projection, repository, live);
    let rebuild = span!(parent: pipeline.context(), "rebuild");
    let replayed = tokio::spawn(async move { replay.replay_all().await }.in_span(rebuild));
    let replayed = replayed.await.expect("no panic");
    replayed.expect("there are events");
    assert_eq!(counted.0.load(Ordering::Relaxed), events - 1);
    let report = pipeline.shutdown(PATIENCE);
    assert!(!report.timed_out, "{report}");
    let stats = pipeline.stats();
    let mut names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["project summary", "rebuild"]);
    let pages: Vec<_> = receiver
        .traces()
        .into_iter()
        .filter(|trace| trace.spans()[0].name == "project summary")
        .collect();
    assert!(pages.iter().all(|page| page.len() == 1), "a trace each");
    let mut held: Vec<_> = pages
        .iter()
        .map(
            |page| match page.spans()[0].attribute("projection.page.events") {
                Some(Value::Int(events)) => *events,
                other => panic!("{other:?}"),
            },
        )
        .collect();
    held.sort_unstable();
    let count = events / PAGE;
    let mut expected = vec![PAGE as i64; count];
    expected[0] -= 1;
    assert_eq!(held, expected);
    let spans = count as u64 + 1;
    assert_eq!(
        (stats.started, stats.exported),
        (spans, spans),
        "the pages, and the caller"
    );
    println!("{events} events less one: {count} pages, {spans} spans exported");
}

#[tokio::test]
async fn the_hosts_own_replay_has_a_span_per_event() {
    let capture = Capture::start();
    let repository = Repository {
        history: 2,
        ..Repository::default()
    };
    let live = TracedQuery::new(Projection::new("summary"), Counted::default());
    let replay = QueryReplay::<_, _, Goal>::new(repository, live);
    capture
        .run(replay.replay_all())
        .await
        .expect("there are events");
    insta::assert_snapshot!(tree(&capture), @r#"
    project summary GoalSet {trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-0", projection.sequence=1}
    │  → another trace
    └─ write
    project summary GoalSet {trace.relation="link", trace.relation.reason="event", projection.name="summary", projection.event.type="GoalSet", projection.stream.id="g-0", projection.sequence=2}
    │  → another trace
    └─ write
    "#);
}
