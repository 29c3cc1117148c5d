//! Queries: a span around what is dispatched.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::{Aggregate, DomainEvent, EventEnvelope, Query};
use throughline_core::Context;
use throughline_core::clock::Anchor;
use throughline_messaging::{Handled, Projection, StoredEvent};

use crate::store::{context_of, lag_of};

/// A query whose dispatches are spans.
///
/// The host dispatches the events of a commit at once, and so does this: one event is a span `project {projection} {event
/// type}`, several are one span `project {projection}` that says how many they are. It starts a trace and links the
/// command's, unless the [policy](Projection::with_policy) makes it a child. A query that fails tells nobody: give it an
/// [`error_handler`](crate::error_handler).
///
/// Events that were dispatched without a failure count as handled for a projection that
/// [follows](Projection::follow) a [`Head`](crate::Head): that of a [`TracedCqrs`](crate::TracedCqrs::project) knows of each
/// that its commands committed and whose dispatch did not end well, or did not even begin, since the command was cancelled
/// or a query before this one panicked. The next event of the aggregate, or a replay, catches up.
///
/// Within a [`TracedReplay`](crate::TracedReplay) it makes no spans; the host's own `QueryReplay` dispatches each event by
/// itself, so that each has a span.
///
/// ```
/// use std::sync::Arc;
/// use cqrs_es::doc::MyQuery;
/// use throughline_cqrs_es::{Policy, Projection, Relation, TracedQuery};
///
/// let projection = Projection::new("my_view")
///     .with_policy(Policy::from(Relation::Child))
///     .skipping(["SomethingElseWasDone"]);
/// let query = TracedQuery::new(projection, MyQuery);
/// // Keeps what can be read while the framework owns the query.
/// let projection = Arc::clone(query.projection());
/// assert_eq!(projection.skipped(), 0);
/// ```
#[derive(Debug)]
pub struct TracedQuery<Q> {
    projection: Arc<Projection>,
    query: Q,
}

impl<Q> TracedQuery<Q> {
    /// Wraps a query.
    pub fn new(projection: impl Into<Arc<Projection>>, query: Q) -> Self {
        Self {
            projection: projection.into(),
            query,
        }
    }

    /// The projection that the query is.
    pub const fn projection(&self) -> &Arc<Projection> {
        &self.projection
    }

    fn handle<A: Aggregate, F: Future>(
        &self,
        events: &[EventEnvelope<A>],
        handler: F,
    ) -> Handled<F> {
        if !self.projection.wants_events() {
            return self.projection.handle_page(&[], handler);
        }
        let now = Anchor::now();
        let read: Vec<(Context, String)> = events
            .iter()
            .map(|event| (context_of(event), event.payload.event_type()))
            .collect();
        let stored: Vec<_> = events
            .iter()
            .zip(&read)
            .map(|(event, (context, event_type))| {
                let stored = StoredEvent::new(context, event_type)
                    .stream(&event.aggregate_id)
                    .sequence(event.sequence as u64);
                match lag_of(event, &now) {
                    Some(lag) => stored.lag(lag),
                    None => stored,
                }
            })
            .collect();
        self.projection.handle_page(&stored, handler)
    }
}

#[async_trait]
impl<A: Aggregate, Q: Query<A>> Query<A> for TracedQuery<Q> {
    async fn dispatch(&self, aggregate_id: &str, events: &[EventEnvelope<A>]) {
        let dispatched = async { self.query.dispatch(aggregate_id, events).await };
        self.handle(events, dispatched).await;
    }
}
