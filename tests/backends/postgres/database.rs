//! A server of PostgreSQL with the tables that postgres-es works on.

use crate::server::{Server, free_ports};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Pool, Postgres};

pub(crate) struct Database {
    pub(crate) server: Server,
    pub(crate) port: u16,
}

impl Database {
    pub(crate) async fn start() -> Self {
        let [port] = free_ports();
        let server = Server::start("postgres", [("POSTGRES_PORT", port)], &[]);
        let database = Self { server, port };
        let pool = database.pool().await;
        sqlx::raw_sql(TABLES)
            .execute(&pool)
            .await
            .expect("new tables");
        pool.close().await;
        database
    }

    pub(crate) async fn pool(&self) -> Pool<Postgres> {
        pool_at(self.port, PgPoolOptions::new()).await
    }
}

/// Connections to what listens there. The first one waits for a server that is starting up.
pub(crate) async fn pool_at(port: u16, options: PgPoolOptions) -> Pool<Postgres> {
    let server = PgConnectOptions::new()
        .host("127.0.0.1")
        .port(port)
        .username("postgres")
        .database("postgres");
    options.connect_with(server).await.expect("a connection")
}

/// As postgres-es wants them (`db/init.sql` of its package).
const TABLES: &str = "
CREATE TABLE events (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL,
    event_version text NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);
CREATE TABLE snapshots (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    last_sequence bigint CHECK (last_sequence >= 0) NOT NULL,
    current_snapshot bigint CHECK (current_snapshot >= 0) NOT NULL,
    payload json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, last_sequence)
);
CREATE TABLE balances (
    view_id text NOT NULL,
    version bigint CHECK (version >= 0) NOT NULL,
    payload json NOT NULL,
    PRIMARY KEY (view_id)
);";
