//! Records that arrived, and the spans of those who handle them.
//!
//! Owns what a record says about itself: where it lies, when it was written, whose context it has. What follows from
//! that is the policy's.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::message::{Message, Timestamp};
use rdkafka::topic_partition_list::TopicPartitionList;
use throughline_core::{Context, Inspect, LinkFields, Span, SpanContext, display};
use throughline_messaging::queue::{self, Destination, Poll};
use throughline_messaging::{
    Arrival, Observed, Operation, Policy, Redelivery, observe, try_observe,
};

use crate::headers::extract;
use crate::send::key_of;
use crate::settle::of_offsets;
use crate::watermarks::Watermarks;
use crate::{SYSTEM, keys};

/// How the records of one consumer become spans: the policy, and what all these spans say.
///
/// The consumers of this crate [have one](crate::Consuming::observer); make one for records that come another way,
/// through a channel to workers, say.
///
/// ```
/// use rdkafka::message::{OwnedMessage, Timestamp};
/// use throughline_messaging::{Policy, Relation};
/// use throughline_rdkafka::Observer;
///
/// # async fn store(_: &OwnedMessage) {}
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let observer = Observer::new().group("billing").policy(Policy::from(Relation::Link));
/// let message = OwnedMessage::new(None, None, "orders".into(), Timestamp::now(), 0, 0, None);
/// observer.record(&message).process(store(&message)).await;
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Observer {
    policy: Policy,
    group: Option<Arc<str>>,
    client_id: Option<Arc<str>>,
    receive_spans: bool,
    redeliveries: fn(&str) -> Option<Redelivery>,
    watermarks: Option<Watermarks>,
}

impl Observer {
    /// The default policy, no group and no client id.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            policy: Policy::new(),
            group: None,
            client_id: None,
            receive_spans: false,
            redeliveries: |_| None,
            watermarks: None,
        }
    }

    /// The default policy, with the group and the client id that are configured.
    #[must_use]
    pub fn from_config(config: &ClientConfig) -> Self {
        Self {
            group: config.get("group.id").map(Arc::from),
            client_id: config.get("client.id").map(Arc::from),
            ..Self::new()
        }
    }

    /// Another policy.
    #[must_use]
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The group of the consumer.
    #[must_use]
    pub fn group(mut self, name: &str) -> Self {
        self.group = Some(Arc::from(name));
        self
    }

    /// The name of the client.
    #[must_use]
    pub fn client_id(mut self, id: &str) -> Self {
        self.client_id = Some(Arc::from(id));
        self
    }

    /// Makes a span `poll {topic}` for each record that a consumer of this crate receives, beside that of its handler. The
    /// default is none.
    #[must_use]
    pub const fn receive_spans(mut self, wanted: bool) -> Self {
        self.receive_spans = wanted;
        self
    }

    /// Which topics have records that come again, or late, and why: Kafka knows nothing of retries, delays and dead
    /// letters, so programs keep topics for them. What a record itself is [told](Record::redelivered) goes first.
    ///
    /// ```
    /// use throughline_messaging::Redelivery;
    /// use throughline_rdkafka::Observer;
    ///
    /// let observer = Observer::new().redeliveries(|topic| match topic {
    ///     "orders-later" => Some(Redelivery::Delayed),
    ///     topic if topic.ends_with("-retry") => Some(Redelivery::Retry),
    ///     topic if topic.ends_with("-dlt") => Some(Redelivery::DeadLetter),
    ///     _ => None,
    /// });
    /// ```
    #[must_use]
    pub const fn redeliveries(mut self, of_topic: fn(&str) -> Option<Redelivery>) -> Self {
        self.redeliveries = of_topic;
        self
    }

    /// Where the [high watermarks](Watermarks) of the consumer's partitions are, so that the span of a record says how many
    /// were behind it.
    #[must_use]
    pub fn watermarks(mut self, watermarks: Watermarks) -> Self {
        self.watermarks = Some(watermarks);
        self
    }

    /// A poll that begins, if it is to have a span.
    pub(crate) fn poll(&self) -> Option<Poll> {
        self.receive_spans.then(Poll::begin)
    }

    /// A record that arrived, with the context that its headers have.
    pub fn record<'a, M: Message>(&'a self, message: &'a M) -> Record<'a, M> {
        Record {
            observer: self,
            message,
            context: context_of(message),
            again: Again {
                redelivery: (self.redeliveries)(message.topic()),
                ..Again::default()
            },
        }
    }

    /// Records that are handled at once.
    pub const fn batch<'a, M: Message>(&'a self, messages: &'a [M]) -> Batch<'a, M> {
        Batch {
            observer: self,
            messages,
            again: Again {
                attempt: None,
                redelivery: None,
                previous: None,
            },
        }
    }

    /// How many records were behind that one, as far as that is known.
    fn behind(&self, message: &impl Message) -> Option<u64> {
        let watermarks = self.watermarks.as_ref()?;
        watermarks.behind(message.topic(), message.partition(), message.offset())
    }

    /// Starts the span of settling these offsets.
    pub(crate) fn settle(&self, operation: &str, offsets: &TopicPartitionList) -> Span {
        let (group, client_id) = (self.group.as_deref(), self.client_id.as_deref());
        of_offsets(operation, group, client_id, offsets)
    }

    /// What all spans say, and the topic, if there is one.
    pub(crate) fn destination<'a>(&'a self, topic: Option<&'a str>) -> Destination<'a> {
        Destination::of(SYSTEM, topic)
            .consumer_group(self.group.as_deref())
            .client_id(self.client_id.as_deref())
    }
}

impl Default for Observer {
    fn default() -> Self {
        Self::new()
    }
}

/// What the handler knows of earlier attempts: Kafka does not count them.
#[derive(Clone, Copy, Debug, Default)]
struct Again {
    attempt: Option<u32>,
    redelivery: Option<Redelivery>,
    previous: Option<SpanContext>,
}

impl Again {
    const fn tell<'a>(&self, mut arrival: Arrival<'a>) -> Arrival<'a> {
        if let Some(redelivery) = self.redelivery {
            arrival = arrival.redelivered(redelivery);
        }
        if let Some(attempt) = self.attempt {
            arrival = arrival.attempt(attempt);
        }
        if let Some(previous) = self.previous {
            arrival = arrival.after(previous);
        }
        arrival
    }
}

/// What records and batches have in common.
macro_rules! handling {
    () => {
        /// Which attempt at handling it this is, from one: Kafka counts none, so this is told by who repeats. Past the
        /// first, the span is the root of a trace, with links.
        pub const fn attempt(mut self, attempt: u32) -> Self {
            self.again.attempt = Some(attempt);
            self
        }

        /// It comes again, or late: from a topic for retries, delays or dead letters.
        pub const fn redelivered(mut self, redelivery: Redelivery) -> Self {
            self.again.redelivery = Some(redelivery);
            self
        }

        /// The span of the attempt before, which is linked.
        pub fn after(mut self, previous: impl Into<SpanContext>) -> Self {
            let previous = previous.into();
            self.again.previous = previous.is_valid().then_some(previous);
            self
        }

        /// Runs the handler in the [span](Self::span): current whenever the future is polled, ended when it is done.
        pub fn process<F: Future>(self, handler: F) -> Observed<F> {
            observe(self.span(), handler)
        }

        /// Like [`process`](Self::process) for a handler that may fail: an `Err` is recorded as the span's error.
        pub fn try_process<F, R, E>(
            self,
            handler: F,
        ) -> Observed<F, impl Inspect<Result<R, E>> + use<F, R, E, M>>
        where
            F: Future<Output = Result<R, E>>,
            E: fmt::Display,
        {
            try_observe(self.span(), handler)
        }
    };
}

/// A record that arrived: starts the span of its handler.
#[derive(Clone, Debug)]
#[must_use = "a record that arrived is there to be handled"]
pub struct Record<'a, M> {
    observer: &'a Observer,
    message: &'a M,
    context: Context,
    again: Again,
}

impl<M: Message> Record<'_, M> {
    handling!();

    /// The context that the record was sent under.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Starts the span of the handler, for one that is not a future: enter it, or pass it on.
    ///
    /// It is called `process {topic}`. It is the child of the span that is current, with a link to the sender's; where
    /// none is, the sender's child, unless the policy wants it otherwise. It says how long the record waited, by its
    /// timestamp and this machine's clock: two clocks that disagree show in it, and what came before it was sent waited
    /// for no time. Where the partition's [watermark](Watermarks) is known, it says how many records were behind it.
    pub fn span(&self) -> Span {
        let mut arrival = self
            .again
            .tell(Arrival::new(&self.context, Operation::Record));
        if let Some(age) = age(self.message.timestamp()) {
            arrival = arrival.waited(age);
        }
        let destination = self.observer.destination(Some(self.message.topic()));
        let mut span = destination.process(&arrival, &self.observer.policy);
        span.edit(|span| {
            span.attribute(&keys::PARTITION_ID, display(&self.message.partition()));
            span.attribute(&keys::OFFSET, self.message.offset());
            if let Some(key) = self.message.key() {
                key_of(span, key);
            }
            if self.message.payload().is_none() {
                span.attribute(&keys::TOMBSTONE, true);
            }
        });
        if span.is_recording()
            && let Some(behind) = self.observer.behind(self.message)
        {
            queue::behind(&mut span, behind);
        }
        span
    }
}

/// Records that are handled at once: starts the one span of their handler.
#[derive(Debug)]
#[must_use = "records that arrived are there to be handled"]
pub struct Batch<'a, M> {
    observer: &'a Observer,
    messages: &'a [M],
    again: Again,
}

impl<M: Message> Batch<'_, M> {
    handling!();

    /// Starts the span of the handler, for one that is not a future; none if there are no records.
    ///
    /// It is called `process {topic}` if all records are of one topic, is the child of the span that is current, and
    /// links each sender's span once: as many as a span may have links, the rest is counted. The link says the record's
    /// offset and key, and its partition and topic where these are not the same for all. The wait is that of the
    /// oldest record, as for a single one; behind it are those that are behind the last record of each partition. No record's baggage is current in it.
    pub fn span(&self) -> Span {
        let Some(first) = self.messages.first() else {
            return Span::disabled();
        };
        let all = || self.messages.iter();
        // A record whose sender is not known must not hide the others' senders.
        let sent = all().map(|message| (message, context_of(message)));
        let mut sent = sent.filter(|(_, context)| context.span_context().is_valid());
        let (known, sender) = match sent.next() {
            Some((message, context)) => (Some(message), context),
            None => (None, Context::current().without_span()),
        };
        let (others, contexts): (Vec<_>, Vec<_>) = sent
            .map(|(message, context)| (message, context.span_context()))
            .unzip();
        let topic = Some(first.topic()).filter(|topic| all().all(|other| other.topic() == *topic));
        let partition = Some(first.partition()).filter(|partition| {
            topic.is_some() && all().all(|other| other.partition() == *partition)
        });
        let differing = |number: usize, link: &mut LinkFields<'_, '_>| {
            let message = match number.checked_sub(1) {
                None => known,
                Some(other) => others.get(other).copied(),
            };
            let Some(message) = message else { return };
            if topic.is_none() {
                link.attribute(&keys::DESTINATION_NAME, message.topic());
            }
            if partition.is_none() {
                link.attribute(&keys::PARTITION_ID, display(&message.partition()));
            }
            link.attribute(&keys::OFFSET, message.offset());
            if let Some(Ok(key)) = message.key().map(std::str::from_utf8) {
                link.attribute(&keys::MESSAGE_KEY, key);
            }
        };
        let arrival = Arrival::new(&sender, Operation::Batch)
            .with_others(&contexts)
            .differing(&differing);
        let again = Again {
            redelivery: self
                .again
                .redelivery
                .or_else(|| topic.and_then(self.observer.redeliveries)),
            ..self.again
        };
        let mut arrival = again.tell(arrival);
        if let Some(age) = all().filter_map(|message| age(message.timestamp())).max() {
            arrival = arrival.waited(age);
        }
        let destination = self.observer.destination(topic);
        let destination = destination.batch_of(self.messages.len());
        let mut span = destination.process(&arrival, &self.observer.policy);
        if let Some(partition) = partition {
            span.attribute(&keys::PARTITION_ID, display(&partition));
        }
        if span.is_recording()
            && let Some(behind) = self.behind()
        {
            queue::behind(&mut span, behind);
        }
        span
    }
}

impl<M: Message> Batch<'_, M> {
    /// How many records are behind the last one of each partition, as far as that is known.
    fn behind(&self) -> Option<u64> {
        let mut partitions = BTreeMap::new();
        for message in self.messages {
            let behind = self.observer.behind(message)?;
            let least = partitions
                .entry((message.topic(), message.partition()))
                .or_insert(behind);
            *least = behind.min(*least);
        }
        partitions.into_values().reduce(u64::saturating_add)
    }
}

/// The context that the headers of a record have.
pub(crate) fn context_of(message: &impl Message) -> Context {
    match message.headers() {
        Some(headers) => extract(headers),
        None => Context::current().without_span(),
    }
}

/// How long ago that was, as far as two machines' clocks agree.
fn age(timestamp: Timestamp) -> Option<Duration> {
    let now = Timestamp::now().to_millis()?;
    let age = now.saturating_sub(timestamp.to_millis()?);
    Some(Duration::from_millis(u64::try_from(age).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
    use throughline_messaging::Relation;
    use throughline_testing::Capture;

    use super::*;

    fn message(timestamp: Timestamp) -> OwnedMessage {
        let headers = [
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("baggage", "tenant=blue"),
        ];
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(*value),
                })
            });
        OwnedMessage::new(None, None, "orders".into(), timestamp, 0, 0, Some(headers))
    }

    #[test]
    fn baggage_is_that_of_one_record() {
        let capture = Capture::start();
        let _here = capture.attach();
        let tenant = || {
            Context::current()
                .baggage()
                .get("tenant")
                .map(str::to_owned)
        };
        let messages = [
            message(Timestamp::NotAvailable),
            message(Timestamp::NotAvailable),
        ];
        let observer = Observer::new();
        for relation in [Relation::Child, Relation::Link] {
            let observer = observer.clone().policy(Policy::from(relation));
            let one = observer.record(&messages[0]).span().in_scope(tenant);
            let all = observer.batch(&messages).span().in_scope(tenant);
            assert_eq!((one.as_deref(), all), (Some("blue"), None));
        }
        assert_eq!(capture.spans().len(), 4);
    }

    #[test]
    fn what_differs_within_a_batch_is_on_the_links() {
        let capture = Capture::start();
        let _here = capture.attach();
        let sent = |topic: &str, partition, offset, key: Option<&[u8]>, span_id| {
            let sender = format!("00-0af7651916cd43dd8448eb211c80319c-{span_id:016x}-01");
            let header = Header {
                key: "traceparent",
                value: Some(&sender),
            };
            let headers = OwnedHeaders::new().insert(header);
            let (key, at) = (key.map(<[u8]>::to_vec), Timestamp::NotAvailable);
            OwnedMessage::new(
                None,
                key,
                topic.into(),
                at,
                partition,
                offset,
                Some(headers),
            )
        };
        let observer = Observer::new();
        let mut messages = [
            message(Timestamp::NotAvailable),
            sent("orders", 1, 7, Some(b"book"), 1),
            sent("orders", 1, 8, Some(&[0xff]), 2),
        ];
        // The sender of the first is not known: nothing is linked, and the others' links are theirs.
        messages[0] = messages[0].clone().replace_headers(None);
        observer.batch(&messages).span().end();
        observer.batch(&messages[1..]).span().end();
        messages[0] = sent("refunds", 1, 9, None, 3);
        observer.batch(&messages[..2]).span().end();
        let tree = capture.tree();
        let links = tree.lines().filter_map(|line| line.split_once("→"));
        let links: Vec<_> = links.map(|(_, link)| link.trim()).collect();
        let expected = [
            r#"another trace {messaging.destination.partition.id="1", messaging.kafka.offset=7, messaging.kafka.message.key="book"}"#,
            r#"another trace {messaging.destination.partition.id="1", messaging.kafka.offset=8}"#,
            r#"another trace {messaging.kafka.offset=7, messaging.kafka.message.key="book"}"#,
            "another trace {messaging.kafka.offset=8}",
            r#"another trace {messaging.destination.name="refunds", messaging.destination.partition.id="1", messaging.kafka.offset=9}"#,
            r#"another trace {messaging.destination.name="orders", messaging.destination.partition.id="1", messaging.kafka.offset=7, messaging.kafka.message.key="book"}"#,
        ];
        assert_eq!(links, expected, "{tree}");
    }

    #[test]
    fn a_record_without_a_timestamp_has_no_age() {
        assert_eq!(age(Timestamp::NotAvailable), None);
        assert_eq!(age(Timestamp::CreateTime(-1)), None);
        assert_eq!(age(Timestamp::CreateTime(i64::MAX)), Some(Duration::ZERO));
        assert!(age(Timestamp::LogAppendTime(0)) > Some(Duration::from_secs(1)));
    }
}
