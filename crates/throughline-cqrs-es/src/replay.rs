//! Replays: stored events once more, with a span per page.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use cqrs_es::persist::{
    EventUpcaster, PersistedEventRepository, PersistenceError, QueryErrorHandler, ReplayStream,
};
use cqrs_es::{Aggregate, AggregateError, EventEnvelope, Query};
use throughline_core::Context;
use throughline_messaging::{Projection, StoredEvent, event_failed};

use crate::failure::kind_of;

/// What `QueryReplay` is, with a span per page of events.
///
/// The query is dispatched one event at a time, as the host does it; what it runs makes no spans, and what it sends goes
/// along unsampled. A page is a trace `project {projection}` with `projection.replay` and `projection.page.events`. It
/// begins with the arrival of its first event, ends in the way the replay ends if that is dropped or panics, and is an
/// error where an event could not be read or an [`error_handler`](crate::error_handler) was called.
///
/// ```
/// use cqrs_es::doc::{MyAggregate, MyQuery, MyRepository};
/// use throughline_cqrs_es::{Projection, TracedReplay};
///
/// # async fn replay(repository: MyRepository) -> Result<(), cqrs_es::AggregateError<cqrs_es::doc::MyUserError>> {
/// let replay = TracedReplay::<_, _, MyAggregate>::new(Projection::new("my_view"), repository, MyQuery)
///     .page_size(500);
/// replay.replay_all().await
/// # }
/// ```
pub struct TracedReplay<R, Q, A> {
    projection: Arc<Projection>,
    repository: R,
    query: Q,
    upcasters: Vec<Box<dyn EventUpcaster>>,
    error_handler: Option<Box<QueryErrorHandler>>,
    page_size: u64,
    aggregate: PhantomData<fn() -> A>,
}

impl<R, Q, A> TracedReplay<R, Q, A>
where
    R: PersistedEventRepository,
    Q: Query<A>,
    A: Aggregate,
{
    /// A replay of what the repository has to the query, in pages of 1 000 events.
    pub fn new(projection: impl Into<Arc<Projection>>, repository: R, query: Q) -> Self {
        Self {
            projection: projection.into(),
            repository,
            query,
            upcasters: Vec::new(),
            error_handler: None,
            page_size: PAGE_SIZE,
            aggregate: PhantomData,
        }
    }

    /// Upcasters, in the order in which they apply.
    #[must_use]
    pub fn with_upcasters(mut self, upcasters: Vec<Box<dyn EventUpcaster>>) -> Self {
        self.upcasters = upcasters;
        self
    }

    /// How many events are a page; none are taken for one.
    #[must_use]
    pub const fn page_size(mut self, events: u64) -> Self {
        self.page_size = events;
        self
    }

    /// What is called with the error of each event that cannot be read.
    pub fn use_error_handler(&mut self, error_handler: Box<QueryErrorHandler>) {
        self.error_handler = Some(error_handler);
    }

    /// Replays the events of one aggregate.
    ///
    /// # Errors
    ///
    /// The repository does not start to hand out events.
    pub async fn replay(&self, aggregate_id: &str) -> Result<(), AggregateError<A::Error>> {
        let stream = self.repository.stream_events::<A>(aggregate_id).await?;
        self.run(stream).await;
        Ok(())
    }

    /// Replays the events of all aggregates of the type.
    ///
    /// # Errors
    ///
    /// The repository does not start to hand out events.
    pub async fn replay_all(&self) -> Result<(), AggregateError<A::Error>> {
        let stream = self.repository.stream_all_events::<A>().await?;
        self.run(stream).await;
        Ok(())
    }

    async fn run(&self, mut stream: ReplayStream) {
        while let Some(first) = stream.next::<A>(&self.upcasters).await {
            let page = async {
                self.apply(first).await;
                let mut events = 1;
                while events < self.page_size
                    && let Some(event) = stream.next::<A>(&self.upcasters).await
                {
                    self.apply(event).await;
                    events += 1;
                }
                events
            };
            self.projection.replay_page(page).await;
        }
    }

    async fn apply(&self, event: Result<EventEnvelope<A>, PersistenceError>) {
        match event {
            Ok(event) => {
                let aggregate_id = event.aggregate_id.clone();
                let sequence = event.sequence as u64;
                let event = [event];
                let dispatched = self.query.dispatch(&aggregate_id, &event);
                if !self.projection.is_following() {
                    return dispatched.await;
                }
                // What handles it is known to the projection already; only how far it got is to be counted.
                let nobody = Context::default();
                let replayed = StoredEvent::new(&nobody, "").stream(&aggregate_id);
                let handled = self
                    .projection
                    .handle(&replayed.sequence(sequence), dispatched);
                handled.await;
            }
            Err(error) => {
                event_failed(kind_of(&error), &error);
                if let Some(handler) = &self.error_handler {
                    handler(error);
                }
            }
        }
    }
}

impl<R, Q, A> fmt::Debug for TracedReplay<R, Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedReplay")
            .field("projection", &self.projection)
            .field("page_size", &self.page_size)
            .finish_non_exhaustive()
    }
}

/// Events of a page, unless it is said.
const PAGE_SIZE: u64 = 1_000;
