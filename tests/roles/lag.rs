//! How far projections are behind: what counts as written and as handled.

use std::future;
use std::io;
use std::time::Duration;

use futures::poll;
use throughline::channel::{
    Head, Projection, ProjectionLag, StoredEvent, event_failed, projection_lags, try_observe,
};
use throughline::{Context, span};

mod bursts; // the metrics, while a writer bursts
pub(crate) mod oracle;
#[expect(dead_code, reason = "other tests look at more of a series")]
#[path = "../../crates/throughline-metrics/tests/support/mod.rs"]
pub(crate) mod support;

pub(crate) use bursts::{Pace, watch};

fn of(name: &str) -> Vec<ProjectionLag> {
    let mut lags = projection_lags();
    lags.retain(|lag| lag.name == name);
    lags
}

/// How many events the only projection of that name is behind.
fn events(projection: &Projection) -> u64 {
    let lags = of(projection.name());
    let [lag] = lags.as_slice() else {
        panic!("{lags:?}");
    };
    assert_eq!(lag.events > 0, lag.age > Duration::ZERO, "{lag:?}");
    lag.events
}

/// A projection of a log of so many events.
fn behind(name: &str, written: u64) -> (Head, Projection) {
    let head = Head::new();
    let projection = Projection::new(name);
    projection.follow(&head);
    for sequence in 1..=written {
        head.written(None, sequence);
    }
    (head, projection)
}

#[tokio::test]
async fn an_event_counts_until_it_was_handled_well() {
    let (_head, projection) = behind("lag: outcomes", 5);
    let stored = Context::default();
    let event = StoredEvent::new(&stored, "GoalSet").sequence(1);
    let broken = || io::Error::other("no view");

    let fails = projection.try_handle(&event, async { Err::<(), _>(broken()) });
    fails.await.expect_err("it fails");
    assert_eq!(events(&projection), 5);
    let reports = projection.handle(&event, async { event_failed("io", &broken()) });
    reports.await;
    assert_eq!(events(&projection), 5);
    let panics = projection.handle(&event, async { panic!("no view") });
    tokio::spawn(panics).await.expect_err("it panics");
    assert_eq!(events(&projection), 5);
    let mut dropped = Box::pin(projection.handle(&event, future::pending::<()>()));
    assert!(poll!(&mut dropped).is_pending());
    drop(dropped);
    assert_eq!(events(&projection), 5);

    // What failed was the first attempt's, and is not the second's.
    let again = projection.try_handle(&event, async { Ok::<_, String>(()) });
    again.await.expect("it succeeds");
    assert_eq!(events(&projection), 4);
    // The second event fails, and the projection goes on with the third.
    let third = event.sequence(3);
    projection.handle(&third, async {}).await;
    assert_eq!(events(&projection), 2);
    // Who starts the span itself says what became of it.
    let fourth = projection.span(&event.sequence(4));
    let gave_up = try_observe(fourth, async { Err::<(), _>(broken()) });
    gave_up.await.expect_err("it fails");
    assert_eq!(events(&projection), 2);
    projection.handled(None, 4);
    assert_eq!(events(&projection), 1);
}

#[tokio::test]
async fn a_page_counts_as_a_whole() {
    let (head, projection) = behind("lag: pages", 4);
    let stored = Context::default();
    let event = |sequence| StoredEvent::new(&stored, "GoalSet").sequence(sequence);
    let page = [event(1), event(2), event(3)];
    let fails = async { event_failed("io", &io::Error::other("no view")) };
    projection.handle_page(&page, fails).await;
    assert_eq!(events(&projection), 4);
    let halfway = async { assert_eq!(events(&projection), 4) };
    projection.handle_page(&page, halfway).await;
    assert_eq!(events(&projection), 1);
    // Streams have numbers of their own.
    head.written("g-1", 1);
    head.written("g-2", 1);
    assert_eq!(events(&projection), 3);
    let page = [event(1).stream("g-1"), event(1).stream("g-2"), event(4)];
    projection.handle_page(&page, async {}).await;
    assert_eq!(events(&projection), 0);
}

#[tokio::test]
async fn an_event_with_a_position_is_known_by_it() {
    let (_head, projection) = behind("lag: positions", 20);
    let stored = Context::default();
    let event = StoredEvent::new(&stored, "GoalSet")
        .stream("g-1")
        .sequence(3);
    projection.handle(&event, async {}).await;
    assert_eq!(events(&projection), 20, "nobody wrote of that stream");
    projection.handle(&event.position(17), async {}).await;
    assert_eq!(events(&projection), 3);
}

#[tokio::test]
async fn what_is_passed_over_is_handled() {
    let (_head, projection) = behind("lag: skipped", 6);
    let projection = projection.skipping(["GoalRenamed"]);
    let stored = Context::default();
    let event = |sequence| StoredEvent::new(&stored, "GoalRenamed").sequence(sequence);
    assert!(projection.span(&event(1)).is_disabled());
    assert_eq!(events(&projection), 5);
    assert!(projection.page_span(&[event(2), event(3)]).is_disabled());
    assert_eq!(events(&projection), 3);
    // Among others, it waits for them.
    let set = StoredEvent::new(&stored, "GoalSet").sequence(4);
    let page = [set, event(5)];
    drop(projection.page_span(&page));
    assert_eq!(events(&projection), 3);
    projection.handle_page(&page, async {}).await;
    assert_eq!(events(&projection), 1);
    assert_eq!(projection.skipped(), 5);
}

#[tokio::test]
async fn a_replay_catches_up_and_never_falls_back() {
    let (_head, projection) = behind("lag: replayed", 3);
    projection.handled(None, 1);
    let stored = Context::default();
    let page = async {
        for sequence in 1..=3 {
            let event = StoredEvent::new(&stored, "GoalSet").sequence(sequence);
            let fails = sequence == 3;
            let replayed = async {
                if fails {
                    event_failed("io", &io::Error::other("no view"));
                }
            };
            projection.handle(&event, replayed).await;
        }
        3
    };
    assert_eq!(events(&projection), 2);
    projection.replay_page(page).await;
    assert_eq!(events(&projection), 1, "the last one failed");
}

#[tokio::test]
async fn partitions_are_apart_on_the_span_and_in_the_lag() {
    let capture = throughline::testing::Capture::start();
    let name = "lag: shared";
    let head = Head::new();
    let [one, other] = [(); 2].map(|()| Projection::new(name));
    let part = Projection::new(name).with_partition("7");
    assert_eq!(of(name), []);
    for projection in [&one, &other, &part, &one] {
        projection.follow(&head);
    }
    head.clone().written("a", 1);
    head.written("b", 1);
    let stored = span!(parent: capture.context(), "set").context();
    let event = StoredEvent::new(&stored, "GoalSet").stream("a").sequence(1);
    part.handle(&event, async {}).await;
    let seen = || -> Vec<_> {
        let lags = of(name).into_iter();
        lags.map(|lag| (lag.partition, lag.events)).collect()
    };
    assert_eq!(seen(), [(None, 4), (Some("7".into()), 1)]);
    drop((other, part));
    assert_eq!(seen(), [(None, 2)]);
    let more = Head::new();
    one.follow(&more);
    more.written("c", 5);
    drop((more, head));
    assert_eq!(seen(), [(None, 3)], "what was written stays so");
    drop(one);
    assert_eq!(seen(), []);
    insta::assert_snapshot!(capture.tree(), @r#"
    set
    project lag: shared GoalSet {trace.relation="link", trace.relation.reason="event", projection.name="lag: shared", projection.partition="7", projection.event.type="GoalSet", projection.stream.id="a", projection.sequence=1}
       → set (another trace)
    "#);
}

#[test]
fn what_was_written_a_while_ago_is_that_old() {
    let (head, projection) = behind("lag: old", 0);
    let age = || of("lag: old")[0].age;
    assert_eq!(age(), Duration::ZERO);
    let day = Duration::from_secs(86_400);
    head.written_ago(None, 1, 2 * day);
    head.written_ago(None, 2, day);
    assert!(age() >= 2 * day, "{:?}", age());
    projection.handled(None, 1);
    assert!((day..2 * day).contains(&age()), "{:?}", age());
    projection.handled(None, 2);
    assert_eq!(age(), Duration::ZERO);
    head.written_ago(None, 3, Duration::MAX);
    assert!(age() > 30_000 * day, "longer than anybody remembers");
}
