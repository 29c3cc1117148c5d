//! A server that ends and starts again, and connections that are cut, in the middle of a command or of a projection.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateError, EventEnvelope, Query};
use postgres_es::PostgresEventRepository;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Pool, Postgres};
use throughline::cqrs_es::{Projection, TracedCqrs, TracedQuery, TracedReplay};
use throughline::testing::{Capture, Fault, TcpProxy};
use throughline::{FutureExt, span};

use crate::account::{Account, Command, Outside};
use crate::database::{Database, pool_at};
use crate::{balance, cqrs, tree, view};

#[tokio::test]
#[ignore = "installs and starts PostgreSQL"]
async fn postgres_that_ends_within_a_command_fails_it_and_no_other() {
    let database = Database::start().await;
    let port = database.port;
    // It gives up while there is no server.
    let options = PgPoolOptions::new().acquire_timeout(Duration::from_secs(2));
    let pool = pool_at(port, options).await;
    let database = Arc::new(Mutex::new(database));
    let ended = Arc::clone(&database);
    let cqrs = cqrs(
        &pool,
        // As if the machine lost its power: the server's memory is gone.
        Outside::meanwhile(move || ended.lock().expect("no panic").server.end("QUIT")),
    );
    let capture = Capture::start();
    let commands = async {
        let paid = cqrs.execute("a-1", Command::Pay(1)).await;
        paid.expect("accepted");
        let failed = cqrs.execute("a-1", Command::PayMeanwhile(10)).await;
        failed.expect_err("there is no server");
        database.lock().expect("no panic").server.start_again();
        pool_at(port, PgPoolOptions::new()).await.close().await;
        let paid = cqrs.execute("a-1", Command::Pay(100)).await;
        paid.expect("accepted");
    };
    let request = span!(parent: capture.context(), "request");
    commands.in_span(request).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ execute account {projection.stream.type="account", projection.stream.id="a-1"}
    ├─ execute account {projection.stream.type="account", projection.stream.id="a-1", error.type="UnexpectedError"} error: pool timed out while waiting for an open connection
    │     • exception {exception.type="cqrs_es::error::AggregateError<throughline_tests_postgres::account::Refused>", exception.message="pool timed out while waiting for an open connection"}
    └─ execute account {projection.stream.type="account", projection.stream.id="a-1"}
    project balances Paid {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="balances", projection.event.type="Paid", projection.stream.id="a-1", projection.sequence=1}
       → execute account (another trace)
    project balances Paid {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="balances", projection.event.type="Paid", projection.stream.id="a-1", projection.sequence=2}
       → execute account (another trace)
    "#);
    assert_eq!(balance(&pool, "a-1").await, Some(101));
}

/// A query before others, within which something happens.
struct Meanwhile<F>(F);

#[async_trait]
impl<F: Fn() + Send + Sync> Query<Account> for Meanwhile<F> {
    async fn dispatch(&self, _: &str, _: &[EventEnvelope<Account>]) {
        (self.0)();
    }
}

#[tokio::test]
#[ignore = "installs and starts PostgreSQL"]
async fn postgres_that_is_cut_off_fails_the_projection_and_not_the_command() {
    let database = Database::start().await;
    let (proxy, pool) = cut_off(&database).await;
    let network = Arc::clone(&proxy);
    let cut = Meanwhile(move || network.set(Fault::Reset));
    let store = PersistedEventStore::new_event_store(PostgresEventRepository::new(pool.clone()));
    let query = TracedQuery::new(Projection::new("balances"), view(&pool));
    let queries: Vec<Box<dyn Query<Account>>> = vec![Box::new(cut), Box::new(query)];
    let cqrs = TracedCqrs::new(store, queries, Outside::default());
    let capture = Capture::start();
    let paid = capture.run(cqrs.execute("a-1", Command::Pay(1))).await;
    paid.expect("it is stored");
    proxy.set(Fault::None);

    // What was missed is made up for by a replay.
    let repository = PostgresEventRepository::new(pool.clone());
    let projection = Projection::new("balances");
    let replay = TracedReplay::<_, _, Account>::new(projection, repository, view(&pool));
    capture.run(replay.replay("a-1")).await.expect("rows");
    insta::assert_snapshot!(tree(&capture), @r#"
    execute account {projection.stream.type="account", projection.stream.id="a-1"}
    project balances Paid {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="balances", projection.event.type="Paid", projection.stream.id="a-1", projection.sequence=1, error.type="ConnectionError"} error: error communicating with database: Connection reset by peer (os error 104)
       • exception {exception.type="cqrs_es::persist::error::PersistenceError", exception.message="error communicating with database: Connection reset by peer (os error 104)"}
       → execute account (another trace)
    project balances {trace.relation="root", trace.relation.reason="replay", projection.name="balances", projection.replay=true, projection.page.events=1}
    "#);
    assert_eq!(balance(&pool, "a-1").await, Some(1));
}

/// A proxy before the server, and one connection through it. That is used as it is, so that commands and projections
/// meet the cut, not the pool.
async fn cut_off(database: &Database) -> (Arc<TcpProxy>, Pool<Postgres>) {
    let target = ([127, 0, 0, 1], database.port).into();
    let proxy = TcpProxy::start(target).expect("a proxy");
    let options = PgPoolOptions::new();
    let options = options.test_before_acquire(false).max_connections(1);
    let pool = pool_at(proxy.addr().port(), options).await;
    (Arc::new(proxy), pool)
}

#[tokio::test]
#[ignore = "installs and starts PostgreSQL"]
async fn postgres_that_is_cut_off_fails_the_command_and_no_other() {
    let database = Database::start().await;
    let (proxy, pool) = cut_off(&database).await;
    let network = Arc::clone(&proxy);
    let cqrs = cqrs(&pool, Outside::meanwhile(move || network.set(Fault::Reset)));
    let capture = Capture::start();
    let commands = async {
        let paid = cqrs.execute("a-1", Command::Pay(1)).await;
        paid.expect("accepted");
        let failed = cqrs.execute("a-1", Command::PayMeanwhile(10)).await;
        let failed = failed.expect_err("the connection is gone");
        assert!(matches!(failed, AggregateError::DatabaseConnectionError(_)));
        proxy.set(Fault::None);
        let paid = cqrs.execute("a-1", Command::Pay(100)).await;
        paid.expect("accepted");
    };
    let request = span!(parent: capture.context(), "request");
    commands.in_span(request).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ execute account {projection.stream.type="account", projection.stream.id="a-1"}
    ├─ execute account {projection.stream.type="account", projection.stream.id="a-1", error.type="DatabaseConnectionError"} error: error communicating with database: Connection reset by peer (os error 104)
    │     • exception {exception.type="cqrs_es::error::AggregateError<throughline_tests_postgres::account::Refused>", exception.message="error communicating with database: Connection reset by peer (os error 104)"}
    └─ execute account {projection.stream.type="account", projection.stream.id="a-1"}
    project balances Paid {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="balances", projection.event.type="Paid", projection.stream.id="a-1", projection.sequence=1}
       → execute account (another trace)
    project balances Paid {projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.name="balances", projection.event.type="Paid", projection.stream.id="a-1", projection.sequence=2}
       → execute account (another trace)
    "#);
    assert_eq!(balance(&pool, "a-1").await, Some(101));
}
