//! The event store in SQLite, in memory, on threads where blocking is allowed.
//!
//! Owns the tables: the events in the order in which they were stored, and how far each projection has read. cqrs-es
//! gets at the events through [`Events`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cqrs_es::Aggregate;
use cqrs_es::persist::{
    PersistedEventRepository, PersistenceError, ReplayStream, SerializedEvent, SerializedSnapshot,
};
use rusqlite::{Connection, ErrorCode, Row, params};
use serde_json::Value;
use throughline::{task, traced};
use tokio::sync::watch;

/// The database; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Database(Arc<Mutex<Connection>>);

impl Database {
    /// An empty one.
    pub(crate) fn open() -> Result<Self, StoreError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// The next events after that position. It makes no span: whoever looks whether there is something new does so in
    /// nobody's name.
    pub(crate) async fn events_after(
        &self,
        position: i64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.run(move |connection| {
            let mut select = connection.prepare_cached(AFTER)?;
            select.query_map(params![position, limit], read)?.collect()
        })
        .await
    }

    /// Remembers how far a projection has read.
    pub(crate) async fn save_offset(
        &self,
        projection: &'static str,
        position: i64,
    ) -> Result<(), StoreError> {
        self.run(move |connection| upsert_offset(connection, projection, position))
            .await
    }

    /// What `work` starts is part of the trace that this is called in.
    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        let connection = Arc::clone(&self.0);
        let done = task::spawn_blocking(move || {
            // A transaction that unwinds is rolled back, so the connection is as good as before.
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Ok(done.await.map_err(|_| StoreError::Panicked)??)
    }
}

/// An event and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) position: i64,
    pub(crate) event: SerializedEvent,
}

impl Stored {
    /// What was stored beside the event: the context of the command, among other things.
    pub(crate) fn metadata(&self) -> HashMap<String, String> {
        serde_json::from_value(self.event.metadata.clone()).unwrap_or_default()
    }
}

/// The events, as cqrs-es reads and writes them.
#[derive(Debug)]
pub(crate) struct Events {
    database: Database,
    /// Wakes those who read along. Contexts need not come this way: they lie beside the events.
    appended: watch::Sender<()>,
}

impl Events {
    /// What is received is that there are new events; it is closed with the last of these repositories.
    pub(crate) fn new(database: Database) -> (Self, watch::Receiver<()>) {
        let (appended, news) = watch::channel(());
        (Self { database, appended }, news)
    }
}

impl PersistedEventRepository for Events {
    async fn get_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        self.get_last_events::<A>(aggregate_id, 0).await
    }

    async fn get_last_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
        last_sequence: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        let stream = aggregate_id.to_owned();
        let select = move |connection: &mut Connection| select(connection, &stream, last_sequence);
        Ok(self.database.run(select).await?)
    }

    async fn get_snapshot<A: Aggregate>(
        &self,
        _: &str,
    ) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        Ok(None)
    }

    async fn persist<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        _: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        let events = events.to_vec();
        let insert = move |connection: &mut Connection| insert(connection, &events);
        self.database.run(insert).await?;
        self.appended.send_replace(());
        Ok(())
    }

    async fn stream_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<ReplayStream, PersistenceError> {
        let events = self.get_events::<A>(aggregate_id).await?;
        let (mut feed, stream) = ReplayStream::new(PAGE);
        tokio::spawn(async move {
            for event in events {
                if feed.push(Ok(event)).await.is_err() {
                    break;
                }
            }
        });
        Ok(stream)
    }

    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        let database = self.database.clone();
        let (mut feed, stream) = ReplayStream::new(PAGE);
        // A failure to push means that nobody replays any more.
        tokio::spawn(async move {
            let mut position = 0;
            loop {
                let page = match database.events_after(position, PAGE).await {
                    Ok(page) if page.is_empty() => return,
                    Ok(page) => page,
                    Err(error) => {
                        let _ = feed.push(Err(error.into())).await;
                        return;
                    }
                };
                for stored in page {
                    position = stored.position;
                    if feed.push(Ok(stored.event)).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(stream)
    }
}

/// Events that are read at once.
const PAGE: usize = 100;

#[traced(
    name = "SELECT events",
    kind = client,
    err,
    attrs(
        db.system.name = "sqlite",
        db.collection.name = "events",
        db.operation.name = "SELECT",
        db.query.text = OF_STREAM,
    )
)]
fn select(
    connection: &mut Connection,
    stream: &str,
    last_sequence: usize,
) -> rusqlite::Result<Vec<SerializedEvent>> {
    let mut select = connection.prepare_cached(OF_STREAM)?;
    let stored = select.query_map(params![stream, last_sequence], read)?;
    stored.map(|stored| Ok(stored?.event)).collect()
}

#[traced(
    name = "INSERT events",
    kind = client,
    err,
    attrs(
        db.system.name = "sqlite",
        db.collection.name = "events",
        db.operation.name = "INSERT",
        db.operation.batch.size = events.len(),
        db.query.text = INSERT,
    )
)]
fn insert(connection: &mut Connection, events: &[SerializedEvent]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for event in events {
        transaction.prepare_cached(INSERT)?.execute(params![
            event.aggregate_id,
            event.sequence,
            event.aggregate_type,
            event.event_type,
            event.event_version,
            event.payload,
            event.metadata,
        ])?;
    }
    let stream = events.first().map(|event| event.aggregate_id.as_str());
    tracing::info!(logged_by = "insert", stream, "inserted");
    // A span of `tracing`, as a library would make it, becomes a part of the same trace.
    let _commit = tracing::info_span!("commit").entered();
    transaction.commit()?;
    tracing::info!(logged_by = "commit", stream, "committed");
    Ok(())
}

#[traced(
    name = "INSERT offsets",
    kind = client,
    err,
    attrs(
        db.system.name = "sqlite",
        db.collection.name = "offsets",
        db.operation.name = "INSERT",
        db.query.text = UPSERT_OFFSET,
    )
)]
fn upsert_offset(
    connection: &mut Connection,
    projection: &str,
    position: i64,
) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(UPSERT_OFFSET)?;
    upsert.execute(params![projection, position]).map(drop)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        position: row.get("position")?,
        event: SerializedEvent {
            aggregate_id: row.get("aggregate_id")?,
            sequence: row.get("sequence")?,
            aggregate_type: row.get("aggregate_type")?,
            event_type: row.get("event_type")?,
            event_version: row.get("event_version")?,
            payload: row.get("payload")?,
            metadata: row.get("metadata")?,
        },
    })
}

const SCHEMA: &str = "
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    aggregate_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    aggregate_type TEXT NOT NULL,
    event_type TEXT NOT NULL,
    event_version TEXT NOT NULL,
    payload TEXT NOT NULL,
    metadata TEXT NOT NULL,
    UNIQUE (aggregate_id, sequence)
);
CREATE TABLE offsets (projection TEXT PRIMARY KEY, position INTEGER NOT NULL);
";
const INSERT: &str = "INSERT INTO events (aggregate_id, sequence, aggregate_type, event_type, event_version, payload, metadata) VALUES (?, ?, ?, ?, ?, ?, ?)";
const OF_STREAM: &str =
    "SELECT * FROM events WHERE aggregate_id = ? AND sequence > ? ORDER BY sequence";
const AFTER: &str = "SELECT * FROM events WHERE position > ? ORDER BY position LIMIT ?";
const UPSERT_OFFSET: &str = "INSERT INTO offsets (projection, position) VALUES (?, ?) ON CONFLICT DO UPDATE SET position = excluded.position";

/// Why the database did not do it.
#[derive(Debug)]
pub(crate) enum StoreError {
    Sqlite(rusqlite::Error),
    Panicked,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => write!(f, "sqlite: {error}"),
            Self::Panicked => f.write_str("the thread of the database panicked"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for PersistenceError {
    /// Who stores an event that is there already did not see it: somebody was faster.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Sqlite(error)
                if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) =>
            {
                Self::OptimisticLockError
            }
            error => Self::UnknownError(Box::new(error)),
        }
    }
}
