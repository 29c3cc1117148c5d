//! The write side: what is stored beside an event, and how it is read.

use std::collections::HashMap;
use std::time::Duration;

use cqrs_es::{Aggregate, AggregateError, EventEnvelope, EventStore};
use throughline_core::clock::Anchor;
use throughline_core::{Context, propagate};
use throughline_messaging::Head;

/// The key in an event's metadata that says when it was stored: nanoseconds since 1970, in decimal digits.
///
/// ```
/// use throughline_cqrs_es::STORED_AT;
///
/// assert_eq!(STORED_AT, "throughline.stored_unix_nano");
/// ```
pub const STORED_AT: &str = "throughline.stored_unix_nano";

/// An event store that puts the current context, and the time, into the metadata of what it commits, and tells its
/// [`Head`] of it.
///
/// [`TracedCqrs`](crate::TracedCqrs) has one inside. By itself it is for a `CqrsFramework` that stays as it is: the events
/// then bring the context of whoever executes the command.
///
/// ```
/// use cqrs_es::CqrsFramework;
/// use cqrs_es::doc::{MyAggregate, MyService};
/// use cqrs_es::mem_store::MemStore;
/// use throughline_cqrs_es::TracedStore;
///
/// let store = TracedStore::new(MemStore::<MyAggregate>::default());
/// let cqrs = CqrsFramework::new(store, vec![], MyService);
/// ```
#[derive(Clone, Debug, Default)]
pub struct TracedStore<S> {
    store: S,
    head: Head,
}

impl<S> TracedStore<S> {
    /// Wraps a store.
    pub fn new(store: S) -> Self {
        Self {
            store,
            head: Head::new(),
        }
    }

    /// What it committed, by the identifiers of the aggregates: to be [followed](Head) by the projections that its events
    /// are dispatched to.
    ///
    /// ```
    /// use cqrs_es::CqrsFramework;
    /// use cqrs_es::doc::{MyAggregate, MyQuery, MyService};
    /// use cqrs_es::mem_store::MemStore;
    /// use throughline_cqrs_es::{Projection, TracedQuery, TracedStore};
    ///
    /// let store = TracedStore::new(MemStore::<MyAggregate>::default());
    /// let query = TracedQuery::new(Projection::new("my_view"), MyQuery);
    /// query.projection().follow(store.head());
    /// let cqrs = CqrsFramework::new(store, vec![Box::new(query)], MyService);
    /// ```
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The store within.
    pub fn into_inner(self) -> S {
        self.store
    }
}

impl<A: Aggregate, S: EventStore<A>> EventStore<A> for TracedStore<S> {
    type AC = S::AC;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        self.store.load_events(aggregate_id).await
    }

    async fn load_aggregate(
        &self,
        aggregate_id: &str,
    ) -> Result<Self::AC, AggregateError<A::Error>> {
        self.store.load_aggregate(aggregate_id).await
    }

    // No async function: the host does not say that what it hands over may be sent, which a future that holds it must.
    fn commit(
        &self,
        events: Vec<A::Event>,
        context: Self::AC,
        mut metadata: HashMap<String, String>,
    ) -> impl Future<Output = Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>>> + Send {
        stamp(&mut metadata);
        let committed = self.store.commit(events, context, metadata);
        async {
            let events = committed.await?;
            for event in &events {
                let stream = event.aggregate_id.as_str();
                self.head.written(stream, event.sequence as u64);
            }
            Ok(events)
        }
    }
}

/// Adds the current context and the time to the metadata, and changes nothing that is there.
fn stamp(metadata: &mut HashMap<String, String>) {
    // A context that the caller put there is the one that its events are to bring along.
    if !propagate::extract(metadata).span_context().is_valid() {
        let mut headers = Vec::<(String, String)>::new();
        propagate::inject(&Context::current(), &mut headers);
        for (name, value) in headers {
            if !metadata.keys().any(|key| key.eq_ignore_ascii_case(&name)) {
                metadata.insert(name, value);
            }
        }
    }
    metadata
        .entry(STORED_AT.to_owned())
        .or_insert_with(|| Anchor::now().taken_at_unix_nanos().to_string());
}

/// The context that was stored with an event, in the recorder that is current; an empty one if there was none.
pub(crate) fn context_of<A: Aggregate>(event: &EventEnvelope<A>) -> Context {
    propagate::global().extract_onto(Context::current().without_span(), &event.metadata)
}

/// How long ago the event was stored, if that can be read; none at all where the clocks disagree about it.
pub(crate) fn lag_of<A: Aggregate>(event: &EventEnvelope<A>, now: &Anchor) -> Option<Duration> {
    let stored: u64 = event.metadata.get(STORED_AT)?.parse().ok()?;
    let lag = now.taken_at_unix_nanos().saturating_sub(stored);
    Some(Duration::from_nanos(lag))
}

#[cfg(test)]
mod tests {
    use throughline_core::SpanContext;

    use super::*;

    const THEIRS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const OURS: &str = "00-11111111111111111111111111111111-2222222222222222-00";

    fn stamped(metadata: &[(&str, &str)]) -> HashMap<String, String> {
        let ours = SpanContext::parse_traceparent(OURS).expect("well formed");
        let _here = Context::from(ours).attach();
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let mut metadata = metadata.iter().map(owned).collect();
        stamp(&mut metadata);
        metadata
    }

    #[test]
    fn metadata_of_the_user_stays() {
        let metadata = stamped(&[("user", "7"), (STORED_AT, "yesterday"), ("tracestate", "x")]);
        assert_eq!(metadata["user"], "7");
        assert_eq!(metadata[STORED_AT], "yesterday");
        assert_eq!(metadata["tracestate"], "x");
        assert_eq!(metadata["traceparent"], OURS, "an unsampled one too");
        let metadata = stamped(&[("Traceparent", THEIRS)]);
        assert_eq!(metadata["Traceparent"], THEIRS);
        assert_eq!(metadata.len(), 2, "and the time: {metadata:?}");
        let metadata = stamped(&[("traceparent", "what?")]);
        assert_eq!(metadata["traceparent"], "what?");
    }

    #[test]
    fn who_has_no_context_stores_the_time_alone() {
        let mut metadata = HashMap::new();
        stamp(&mut metadata);
        assert_eq!(metadata.len(), 1);
        assert!(metadata[STORED_AT].parse::<u64>().expect("digits") > 0);
    }
}
