//! Consumers that know how their records become spans, and whose commits are spans.

use std::ops::Deref;

use rdkafka::Statistics;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{self, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::util::DefaultRuntime;
use throughline_core::{current, display};
use throughline_messaging::{Policy, Redelivery};

use crate::record::{Batch, Observer, Record, context_of};
use crate::settle::settle;
use crate::watermarks::Watermarks;
use crate::{SYSTEM, keys, outcome};

/// [`rdkafka::consumer::StreamConsumer`] whose records become spans: a [`Consuming`].
///
/// ```no_run
/// use rdkafka::ClientConfig;
/// use rdkafka::consumer::{CommitMode, Consumer};
/// use throughline_rdkafka::StreamConsumer; // was: use rdkafka::consumer::StreamConsumer;
///
/// # async fn store(_: &rdkafka::message::BorrowedMessage<'_>) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let consumer: StreamConsumer = ClientConfig::new()
///     .set("bootstrap.servers", "localhost:9092")
///     .set("group.id", "billing")
///     .create()?;
/// consumer.subscribe(&["orders"])?;
/// loop {
///     let message = consumer.recv().await?;
///     consumer.record(&message).try_process(store(&message)).await?; // was: store(&message).await?;
///     consumer.commit_message(&message, CommitMode::Async)?;
/// }
/// # }
/// ```
pub type StreamConsumer<C = RebalanceEvents, R = DefaultRuntime> =
    Consuming<consumer::StreamConsumer<C, R>>;

/// [`rdkafka::consumer::BaseConsumer`] whose records become spans: a [`Consuming`].
///
/// ```no_run
/// use std::time::Duration;
/// use rdkafka::ClientConfig;
/// use rdkafka::consumer::Consumer;
/// use throughline_rdkafka::BaseConsumer; // was: use rdkafka::consumer::BaseConsumer;
///
/// # fn store(_: &rdkafka::message::BorrowedMessage<'_>) {}
/// # fn example() -> Result<(), rdkafka::error::KafkaError> {
/// let consumer: BaseConsumer = ClientConfig::new()
///     .set("bootstrap.servers", "localhost:9092")
///     .set("group.id", "billing")
///     .create()?;
/// consumer.subscribe(&["orders"])?;
/// while let Some(message) = consumer.poll(Duration::from_secs(1)) {
///     let message = message?;
///     consumer.record(&message).span().in_scope(|| store(&message)); // was: store(&message);
/// }
/// # Ok(())
/// # }
/// ```
pub type BaseConsumer<C = RebalanceEvents> = Consuming<consumer::BaseConsumer<C>>;

/// A consumer of rdkafka, with what makes spans of its records and commits.
///
/// It is made like rdkafka's own, from a `ClientConfig`, whose `group.id` and `client.id` the spans have, and derefs to
/// it. Receiving is as it was, and makes no span unless [that is wanted](Self::with_receive_spans): an empty poll leaves
/// nothing behind. With `statistics.interval.ms` set, the span of a record says how many were behind it. Records from
/// queues that are split off go through an [`Observer`].
#[derive(Clone, Debug)]
pub struct Consuming<K> {
    inner: K,
    observer: Observer,
}

impl<K> Consuming<K> {
    /// Wraps a consumer that exists already.
    pub const fn new(consumer: K, observer: Observer) -> Self {
        Self {
            inner: consumer,
            observer,
        }
    }

    /// The same consumer with another policy.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.observer = self.observer.policy(policy);
        self
    }

    /// The same consumer with a span `poll {topic}` for each record that it receives.
    #[must_use]
    pub fn with_receive_spans(mut self) -> Self {
        self.observer = self.observer.receive_spans(true);
        self
    }

    /// The same consumer with [topics](Observer::redeliveries) for what comes again, or late.
    #[must_use]
    pub fn with_redeliveries(mut self, of_topic: fn(&str) -> Option<Redelivery>) -> Self {
        self.observer = self.observer.redeliveries(of_topic);
        self
    }

    pub(crate) const fn inner(&self) -> &K {
        &self.inner
    }

    /// What makes spans of the records; a clone of it goes where they go.
    #[must_use]
    pub const fn observer(&self) -> &Observer {
        &self.observer
    }

    /// A record that arrived, to process it in a span.
    pub fn record<'a, M: Message>(&'a self, message: &'a M) -> Record<'a, M> {
        self.observer.record(message)
    }

    /// Records that are handled at once, to process them in one span.
    pub const fn batch<'a, M: Message>(&'a self, messages: &'a [M]) -> Batch<'a, M> {
        self.observer.batch(messages)
    }

    /// [`Consumer::commit`], in a span `commit {topic}`, or `commit` if there are several.
    ///
    /// In [`CommitMode::Sync`] the span lasts until the broker has answered. In [`CommitMode::Async`] it says that the
    /// request was queued; what became of it only [`ConsumerContext::commit_callback`] knows.
    ///
    /// # Errors
    ///
    /// As the inner method's, which the span has too.
    pub fn commit<C>(&self, offsets: &TopicPartitionList, mode: CommitMode) -> KafkaResult<()>
    where
        K: Consumer<C>,
        C: ConsumerContext,
    {
        let span = self.observer.settle(COMMIT, offsets);
        settle(span, || self.inner.commit(offsets, mode))
    }

    /// [`Consumer::commit_consumer_state`], in a span as [`commit`](Self::commit)'s.
    ///
    /// # Errors
    ///
    /// As the inner method's, which the span has too.
    pub fn commit_consumer_state<C>(&self, mode: CommitMode) -> KafkaResult<()>
    where
        K: Consumer<C>,
        C: ConsumerContext,
    {
        let span = self.observer.destination(None).settle(COMMIT);
        settle(span, || self.inner.commit_consumer_state(mode))
    }

    /// [`Consumer::commit_message`], in a span as [`commit`](Self::commit)'s, with a link to the span of the record's
    /// sender.
    ///
    /// # Errors
    ///
    /// As the inner method's, which the span has too.
    pub fn commit_message<C>(
        &self,
        message: &BorrowedMessage<'_>,
        mode: CommitMode,
    ) -> KafkaResult<()>
    where
        K: Consumer<C>,
        C: ConsumerContext,
    {
        let mut span = self
            .observer
            .destination(Some(message.topic()))
            .settle(COMMIT);
        span.edit(|span| {
            span.attribute(&keys::PARTITION_ID, display(&message.partition()));
            span.attribute(&keys::OFFSET, message.offset());
            let sender = context_of(message).span_context();
            if sender.is_valid() {
                span.add_link(sender);
            }
        });
        settle(span, || self.inner.commit_message(message, mode))
    }
}

const COMMIT: &str = "commit";

impl<K> Deref for Consuming<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.inner
    }
}

impl<K: FromClientConfigAndContext<RebalanceEvents>> FromClientConfig for Consuming<K> {
    fn from_config(config: &ClientConfig) -> KafkaResult<Self> {
        let context = RebalanceEvents::default();
        let watermarks = context.watermarks.clone();
        let mut consumer = Self::from_config_and_context(config, context)?;
        consumer.observer = consumer.observer.watermarks(watermarks);
        Ok(consumer)
    }
}

impl<K, C> FromClientConfigAndContext<C> for Consuming<K>
where
    K: FromClientConfigAndContext<C>,
    C: ClientContext,
{
    fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        let inner = K::from_config_and_context(config, context)?;
        Ok(Self::new(inner, Observer::from_config(config)))
    }
}

/// The [`ConsumerContext`] of who has none: rebalances become events, and [watermarks](Watermarks) are kept.
///
/// rdkafka hands a context the consumer by the context's own type, so that one context cannot stand around another: in
/// a context of your own, call [`rebalanced`] where this one does, in `post_rebalance`.
///
/// ```
/// use rdkafka::client::ClientContext;
/// use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
///
/// struct Mine;
///
/// impl ClientContext for Mine {}
///
/// impl ConsumerContext for Mine {
///     fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
///         throughline_rdkafka::rebalanced(rebalance);
///     }
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct RebalanceEvents {
    watermarks: Watermarks,
}

impl RebalanceEvents {
    /// The watermarks that librdkafka's statistics told.
    #[must_use]
    pub const fn watermarks(&self) -> &Watermarks {
        &self.watermarks
    }
}

impl ClientContext for RebalanceEvents {
    fn stats(&self, statistics: Statistics) {
        self.watermarks.update(&statistics);
    }
}

impl ConsumerContext for RebalanceEvents {
    fn post_rebalance(&self, _: &consumer::BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        rebalanced(rebalance);
    }
}

/// Adds the event `kafka.rebalance` to the span that is current, if there is one: the kind of rebalance, how many
/// partitions it brings or takes, and of which topics.
///
/// librdkafka rebalances while somebody polls or receives: it is the span around that.
pub fn rebalanced(rebalance: &Rebalance<'_>) {
    current().edit(|span| {
        span.add_event(EVENT, |event| {
            event.attribute(&keys::SYSTEM, SYSTEM);
            let (kind, partitions) = match rebalance {
                Rebalance::Assign(partitions) => ("assign", *partitions),
                Rebalance::Revoke(partitions) => ("revoke", *partitions),
                Rebalance::Error(error) => {
                    event.attribute(&keys::REBALANCE_KIND, "error");
                    event.attribute(&keys::ERROR_TYPE, outcome::code(error).as_str());
                    return;
                }
            };
            event.attribute(&keys::REBALANCE_KIND, kind);
            let elements = partitions.elements();
            let count = i64::try_from(elements.len()).unwrap_or(i64::MAX);
            event.attribute(&keys::REBALANCE_PARTITION_COUNT, count);
            let mut topics: Vec<_> = elements.iter().map(|element| element.topic()).collect();
            topics.sort_unstable();
            topics.dedup();
            event.attribute(&keys::REBALANCE_TOPICS, topics);
        });
    });
}

const EVENT: &str = "kafka.rebalance";
