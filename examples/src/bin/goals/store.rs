//! The goals in SQLite, in memory, on threads where blocking is allowed.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params};
use throughline::{task, traced};

/// A goal as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) title: String,
    pub(crate) owner: String,
    pub(crate) days: u64,
}

/// The database; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<Mutex<Connection>>);

impl Store {
    /// An empty database.
    pub(crate) fn open() -> Result<Self, StoreError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Stores a goal; returns its id.
    pub(crate) async fn insert(&self, goal: &Goal) -> Result<i64, StoreError> {
        let (store, goal) = (self.clone(), goal.clone());
        task::spawn_blocking(move || store.insert_blocking(&goal))
            .await
            .map_err(|_| StoreError::Panicked)?
    }

    #[traced(
        name = "INSERT goals",
        kind = client,
        err,
        attrs(
            db.system.name = "sqlite",
            db.collection.name = "goals",
            db.operation.name = "INSERT",
            db.query.text = INSERT,
        )
    )]
    fn insert_blocking(&self, goal: &Goal) -> Result<i64, StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let days = i64::try_from(goal.days).unwrap_or(i64::MAX);
        transaction.execute(INSERT, params![goal.title, goal.owner, days])?;
        let id = transaction.last_insert_rowid();
        tracing::info!(
            logged_by = "insert_blocking",
            goal = goal.title,
            id,
            "inserted"
        );
        // A span of `tracing`, as a library would make it, becomes a part of the same trace.
        let _commit = tracing::info_span!("commit").entered();
        transaction.commit()?;
        tracing::info!(logged_by = "commit", goal = goal.title, "committed");
        Ok(id)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A transaction that unwinds is rolled back, so the connection is as good as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SCHEMA: &str = "CREATE TABLE goals (id INTEGER PRIMARY KEY, title TEXT NOT NULL, owner TEXT NOT NULL, days INTEGER NOT NULL)";
const INSERT: &str = "INSERT INTO goals (title, owner, days) VALUES (?, ?, ?)";

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
