//! Commands: a span around each, from the loading of the aggregate to the last query.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use cqrs_es::{Aggregate, AggregateError, CqrsFramework, EventStore, Query};
use throughline_core::{Callsite, InSpan, Span, Status, callsite};
use throughline_messaging::{Head, Projection};

use crate::failure::kind_of_command;
use crate::keys;
use crate::query::TracedQuery;
use crate::store::TracedStore;

/// A `CqrsFramework` whose commands are spans, and whose events bring the contexts of those along.
///
/// The span is called `execute {aggregate type}` and is a child of the current one. A command that fails makes it an
/// error: `error.type` is `AggregateConflict` where another command on the same aggregate came first, and the Rust type of
/// the error where a business rule was violated.
///
/// ```
/// use cqrs_es::doc::{MyAggregate, MyCommands, MyService};
/// use cqrs_es::mem_store::MemStore;
/// use throughline_cqrs_es::TracedCqrs;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let cqrs = TracedCqrs::new(MemStore::<MyAggregate>::default(), vec![], MyService);
/// cqrs.execute("aggregate-7", MyCommands::DoSomething).await?;
/// # Ok::<(), cqrs_es::AggregateError<cqrs_es::doc::MyUserError>>(())
/// # }).unwrap();
/// ```
pub struct TracedCqrs<A: Aggregate, S: EventStore<A>> {
    framework: CqrsFramework<A, TracedStore<S>>,
    head: Head,
}

impl<A: Aggregate, S: EventStore<A>> TracedCqrs<A, S> {
    /// What `CqrsFramework::new` makes, of the same parts.
    pub fn new(store: S, queries: Vec<Box<dyn Query<A>>>, service: A::Services) -> Self {
        let store = TracedStore::new(store);
        Self {
            head: store.head().clone(),
            framework: CqrsFramework::new(store, queries, service),
        }
    }

    /// What its commands committed, by the identifiers of the aggregates. A projection of a query that the framework was
    /// [made](Self::new) with [follows](Projection::follow) it where somebody says so.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// Appends a query as a projection that follows what the commands commit, so that its lag is known.
    ///
    /// ```
    /// use cqrs_es::doc::{MyAggregate, MyCommands, MyQuery, MyService};
    /// use cqrs_es::mem_store::MemStore;
    /// use throughline_cqrs_es::{Projection, TracedCqrs};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let store = MemStore::<MyAggregate>::default();
    /// let cqrs = TracedCqrs::new(store, vec![], MyService).project(Projection::new("my_view"), MyQuery);
    /// cqrs.execute("aggregate-7", MyCommands::DoSomething).await?;
    /// # Ok::<(), cqrs_es::AggregateError<cqrs_es::doc::MyUserError>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn project<Q: Query<A> + 'static>(
        self,
        projection: impl Into<Arc<Projection>>,
        query: Q,
    ) -> Self {
        let query = TracedQuery::new(projection, query);
        query.projection().follow(&self.head);
        self.append_query(Box::new(query))
    }

    /// Appends a query.
    #[must_use]
    pub fn append_query(self, query: Box<dyn Query<A>>) -> Self {
        Self {
            framework: self.framework.append_query(query),
            ..self
        }
    }

    /// Applies a command to an aggregate, in a span.
    ///
    /// # Errors
    ///
    /// Those of `CqrsFramework::execute`.
    pub async fn execute(
        &self,
        aggregate_id: &str,
        command: A::Command,
    ) -> Result<(), AggregateError<A::Error>> {
        self.execute_with_metadata(aggregate_id, command, HashMap::new())
            .await
    }

    /// Applies a command to an aggregate, in a span; the events get the metadata, and what
    /// [`TracedStore`] adds to it.
    ///
    /// # Errors
    ///
    /// Those of `CqrsFramework::execute_with_metadata`.
    pub async fn execute_with_metadata(
        &self,
        aggregate_id: &str,
        command: A::Command,
        metadata: HashMap<String, String>,
    ) -> Result<(), AggregateError<A::Error>> {
        let span = span::<A>(aggregate_id);
        let executed = self
            .framework
            .execute_with_metadata(aggregate_id, command, metadata);
        InSpan::fresh(span, executed, tell::<A>).await
    }
}

impl<A: Aggregate, S: EventStore<A>> fmt::Debug for TracedCqrs<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedCqrs")
            .field("aggregate", &A::TYPE)
            .finish_non_exhaustive()
    }
}

fn span<A: Aggregate>(aggregate_id: &str) -> Span {
    let mut span = Span::start(&EXECUTE);
    span.edit(|span| {
        span.update_name_parts(&[EXECUTE.name(), " ", A::TYPE]);
        span.attribute(&keys::STREAM_TYPE, A::TYPE);
        span.attribute(&keys::STREAM_ID, aggregate_id);
    });
    span
}

fn tell<A: Aggregate>(executed: &Result<(), AggregateError<A::Error>>, span: &mut Span) {
    let Err(error) = executed else { return };
    span.edit(|span| {
        span.set_attribute(keys::ERROR_TYPE, kind_of_command(error));
        span.record_error(error);
        span.set_status(Status::Error, &error.to_string());
    });
}

static EXECUTE: Callsite = callsite!("execute", Internal);
