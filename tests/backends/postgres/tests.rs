//! Commands, events and projections of cqrs-es in PostgreSQL: what `MemStore` shows on real rows, and what happens while
//! the server ends or cannot be reached.
#![cfg(test)]
#![forbid(unsafe_code)]

mod account; // the aggregate, and a view of it
mod database; // a server with the tables of postgres-es
mod faults; // a server that ends, connections that are cut
#[path = "../../support/server.rs"]
mod server; // a server's process, without what else the tests' library needs

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cqrs_es::AggregateError;
use cqrs_es::persist::{GenericQuery, PersistedEventStore, ViewRepository};
use postgres_es::{PostgresEventRepository, PostgresViewRepository};
use sqlx::{Pool, Postgres, Row};
use throughline::core::Status;
use throughline::cqrs_es::{
    Projection, STORED_AT, TracedCqrs, TracedQuery, TracedReplay, error_handler,
};
use throughline::testing::{Capture, TreeOptions, Value};
use throughline::{FutureExt, span};

use account::{Account, Balance, Command, Counts, Outside};
use database::Database;

/// What installs and runs servers.
const BACKEND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../backend");

type Cqrs = TracedCqrs<Account, PersistedEventStore<PostgresEventRepository, Account>>;
type Balances = PostgresViewRepository<Balance, Account>;

/// Commands on stored events, and a view that is kept up to date.
fn cqrs(pool: &Pool<Postgres>, outside: Outside) -> Cqrs {
    let store = PersistedEventStore::new_event_store(PostgresEventRepository::new(pool.clone()));
    let query = TracedQuery::new(Projection::new("balances"), view(pool));
    TracedCqrs::new(store, vec![Box::new(query)], outside)
}

fn view(pool: &Pool<Postgres>) -> GenericQuery<Balances, Balance, Account> {
    let mut query = GenericQuery::new(Arc::new(balances(pool)));
    query.use_error_handler(error_handler(drop));
    query
}

fn balances(pool: &Pool<Postgres>) -> Balances {
    PostgresViewRepository::new("balances", pool.clone())
}

async fn balance(pool: &Pool<Postgres>, account: &str) -> Option<i64> {
    let view = balances(pool).load(account).await.expect("an answer");
    view.map(|balance| balance.cents)
}

/// The picture, without how long ago events were stored.
fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    capture.tree_with(&TreeOptions::new().redact("projection.lag"))
}

#[tokio::test]
#[ignore = "installs and starts PostgreSQL"]
async fn postgres_keeps_the_command_s_context_for_the_projection() {
    let database = Database::start().await;
    let pool = database.pool().await;
    let cqrs = cqrs(&pool, Outside::default());
    let capture = Capture::start();
    let commands = async {
        let paid = cqrs.execute("a-1", Command::Pay(300));
        paid.await.expect("accepted");
        let moved = cqrs.execute("a-1", Command::PayTwice(50));
        moved.await.expect("accepted");
        let refused = cqrs.execute("a-1", Command::Refuse).await;
        assert!(matches!(refused, Err(AggregateError::UserError(_))));
    };
    commands
        .in_span(span!(parent: capture.context(), "request"))
        .await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ execute account {projection.stream.type="account", projection.stream.id="a-1"}
    ├─ execute account {projection.stream.type="account", projection.stream.id="a-1"}
    └─ execute account {projection.stream.type="account", projection.stream.id="a-1", error.type="throughline_tests_postgres::account::Refused"} error: the account is closed
          • exception {exception.type="cqrs_es::error::AggregateError<throughline_tests_postgres::account::Refused>", exception.message="the account is closed"}
    project balances Paid {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="balances", projection.event.type="Paid", projection.stream.id="a-1", projection.sequence=1}
       → execute account (another trace)
    project balances {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="balances", projection.stream.id="a-1", projection.page.events=2}
       → execute account (another trace)
    "#);
    assert_eq!(balance(&pool, "a-1").await, Some(400));

    let rows = "SELECT sequence, metadata, metadata->>'traceparent' AS context FROM events ORDER BY sequence";
    let rows = sqlx::query(rows).fetch_all(&pool).await.expect("rows");
    let spans = capture.spans();
    let commands: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "execute account")
        .map(|span| format!("00-{}-{}-03", span.trace_id, span.span_id))
        .collect();
    let stored: Vec<(i64, String)> = rows
        .iter()
        .map(|row| (row.get("sequence"), row.get("context")))
        .collect();
    let [one, two, _] = &commands[..] else {
        panic!("three commands: {commands:?}");
    };
    let expected = [(1, one), (2, two), (3, two)];
    let expected = expected.map(|(sequence, context)| (sequence, context.clone()));
    assert_eq!(stored, expected);
    let metadata: serde_json::Value = rows[0].get("metadata");
    let metadata = metadata.as_object().expect("an object");
    assert_eq!(metadata.len(), 2, "context and time: {metadata:?}");
    let stored_at = metadata[STORED_AT].as_str().expect("text");
    assert!(stored_at.parse::<u64>().is_ok(), "{stored_at}");
}

#[tokio::test]
#[ignore = "installs and starts PostgreSQL"]
async fn postgres_refuses_the_second_of_two_commands_and_takes_it_again() {
    let database = Database::start().await;
    let pool = database.pool().await;
    let cqrs = cqrs(&pool, Outside::default());
    let capture = Capture::start();
    let commands = async {
        // Both have loaded the account before either stores anything.
        let (one, other) = futures::join!(
            cqrs.execute("a-1", Command::PayAtOnce(100)),
            cqrs.execute("a-1", Command::PayAtOnce(100)),
        );
        let refused = match (one, other) {
            (Ok(()), Err(refused)) | (Err(refused), Ok(())) => refused,
            both => panic!("one of them is too late: {both:?}"),
        };
        assert!(matches!(refused, AggregateError::AggregateConflict));
        let again = cqrs.execute("a-1", Command::Pay(100)).await;
        again.expect("nobody else");
    };
    commands
        .in_span(span!(parent: capture.context(), "request"))
        .await;
    assert_eq!(balance(&pool, "a-1").await, Some(200));
    assert_eq!(capture.stats().live(), 0, "every span ended");
    let spans = capture.spans();
    let named = |name| spans.iter().filter(move |span| span.name == name);
    let (failed, stored): (Vec<_>, Vec<_>) =
        named("execute account").partition(|span| span.status == Status::Error);
    // Which of the two it is, the server decides.
    let [failed] = &failed[..] else {
        panic!("one was refused: {failed:#?}");
    };
    let error = failed.attribute("error.type").and_then(Value::as_str);
    assert_eq!(error, Some("AggregateConflict"));
    assert_eq!(failed.status_message, "aggregate conflict");
    let stored: HashSet<_> = stored.iter().map(|span| span.span_id).collect();
    let projected: HashSet<_> = named("project balances Paid")
        .flat_map(|span| &span.links)
        .map(|link| link.span_id)
        .collect();
    assert_eq!((stored.len(), projected == stored), (2, true));
}

#[tokio::test]
#[ignore = "installs and starts PostgreSQL"]
async fn postgres_snapshots_are_stored_with_the_events() {
    let database = Database::start().await;
    let pool = database.pool().await;
    let repository = PostgresEventRepository::new(pool.clone());
    let store = PersistedEventStore::<_, Account>::new_snapshot_store(repository, 2);
    let query = TracedQuery::new(Projection::new("balances"), view(&pool));
    let cqrs = TracedCqrs::new(store, vec![Box::new(query)], Outside::default());
    let capture = Capture::start();
    let commands = async {
        for _ in 0..3 {
            let paid = cqrs.execute("a-1", Command::PayTwice(1)).await;
            paid.expect("accepted");
        }
    };
    capture.run(commands).await;
    let options = TreeOptions::new().hide("*").show("projection.page.events");
    insta::assert_snapshot!(capture.tree_with(&options), @r"
    execute account
    project balances {projection.page.events=2}
       → execute account (another trace)
    execute account
    project balances {projection.page.events=2}
       → execute account (another trace)
    execute account
    project balances {projection.page.events=2}
       → execute account (another trace)
    ");
    let snapshot = sqlx::query("SELECT last_sequence FROM snapshots");
    let snapshot = snapshot.fetch_one(&pool).await.expect("a row");
    assert_eq!(snapshot.get::<i64, _>("last_sequence"), 6);
}

#[tokio::test]
#[ignore = "installs and starts PostgreSQL"]
async fn postgres_rows_are_replayed_with_a_span_per_page() {
    let database = Database::start().await;
    let pool = database.pool().await;
    let cqrs = cqrs(&pool, Outside::default());
    for _ in 0..25 {
        let paid = cqrs.execute("a-1", Command::Pay(4)).await;
        paid.expect("accepted");
    }
    sqlx::query("DELETE FROM balances")
        .execute(&pool)
        .await
        .expect("deleted");
    let capture = Capture::start();
    let dispatched = Arc::new(AtomicUsize::new(0));
    let projection = Arc::new(Projection::new("balances"));
    let query = Counts::new(view(&pool), &dispatched);
    let query = TracedQuery::new(Arc::clone(&projection), query);
    let repository = PostgresEventRepository::new(pool.clone());
    let replay = TracedReplay::<_, _, Account>::new(projection, repository, query).page_size(10);
    let replayed = replay.replay("a-1");
    let rebuild = span!(parent: capture.context(), "rebuild");
    replayed.in_span(rebuild).await.expect("rows");
    assert_eq!(dispatched.load(Ordering::Relaxed), 25);
    assert_eq!(balance(&pool, "a-1").await, Some(100));
    insta::assert_snapshot!(tree(&capture), @r#"
    rebuild
    project balances {trace.relation="root", trace.relation.reason="replay", projection.name="balances", projection.replay=true, projection.page.events=10}
    project balances {trace.relation="root", trace.relation.reason="replay", projection.name="balances", projection.replay=true, projection.page.events=10}
    project balances {trace.relation="root", trace.relation.reason="replay", projection.name="balances", projection.replay=true, projection.page.events=5}
    "#);

    replay.replay_all().await.expect("rows");
    assert_eq!(dispatched.load(Ordering::Relaxed), 50);
}
