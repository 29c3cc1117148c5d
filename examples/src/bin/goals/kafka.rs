//! Kafka: librdkafka's mock cluster in this process, or the brokers that `KAFKA_BROKERS` names.
//!
//! Owns the connections and the end of a topic's story: whoever writes to a topic says at its end how far it came, so
//! that whoever reads it knows when everything was read.

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message, OwnedMessage};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use throughline::rdkafka::{Observer, StreamConsumer};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// Where the feed of goals goes.
pub(crate) const GOALS: &str = "goals";
/// Where what cannot be handled goes.
pub(crate) const DEAD: &str = "goals.dead";

/// The brokers.
pub(crate) struct Kafka {
    brokers: String,
    /// It lives as long as this does.
    _mock: Option<MockCluster<'static, DefaultProducerContext>>,
}

impl Kafka {
    /// Starts the cluster, if there is none, and makes the topics, if they are not there.
    pub(crate) async fn start() -> KafkaResult<Self> {
        let given = env::var("KAFKA_BROKERS").ok();
        let Some(brokers) = given.filter(|brokers| !brokers.is_empty()) else {
            let mock = MockCluster::new(1)?;
            for topic in [GOALS, DEAD] {
                mock.create_topic(topic, 1, 1)?;
            }
            return Ok(Self {
                brokers: mock.bootstrap_servers(),
                _mock: Some(mock),
            });
        };
        let kafka = Self {
            brokers,
            _mock: None,
        };
        kafka.make_topics().await?;
        Ok(kafka)
    }

    async fn make_topics(&self) -> KafkaResult<()> {
        let admin: AdminClient<DefaultClientContext> = self.config().create()?;
        let topics = [GOALS, DEAD].map(|topic| NewTopic::new(topic, 1, TopicReplication::Fixed(1)));
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        for made in admin.create_topics(&topics, &options).await? {
            match made {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(KafkaError::AdminOp(code)),
            }
        }
        Ok(())
    }

    /// What every client of this program is configured with.
    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "goals")
            // One record is sent after the other: there is nothing to wait for.
            .set("linger.ms", "0");
        config
    }

    /// Reads a topic, from what is written from now on to what `end` says.
    pub(crate) fn inbox(
        &self,
        topic: &'static str,
        end: oneshot::Receiver<Offsets>,
    ) -> KafkaResult<Inbox> {
        let consumer: StreamConsumer = self
            .config()
            .set("group.id", "notifier")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "10")
            .create()?;
        let mut from = TopicPartitionList::new();
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
        for partition in metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
        {
            // What other runs left behind is not part of this story.
            let (_, high) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE)?;
            from.add_partition_offset(topic, partition.id(), Offset::Offset(high))?;
        }
        consumer.assign(&from)?;
        Ok(Inbox {
            consumer,
            topic,
            received: Offsets::new(),
            end: End::Ahead(end),
        })
    }
}

/// How long a broker may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The last offset of each partition.
pub(crate) type Offsets = BTreeMap<i32, i64>;

/// A consumer of one topic.
pub(crate) struct Inbox {
    consumer: StreamConsumer,
    topic: &'static str,
    received: Offsets,
    end: End,
}

/// Where the topic ends, as far as this run goes.
enum End {
    Ahead(oneshot::Receiver<Offsets>),
    At(Offsets),
}

impl Inbox {
    /// What starts the spans of the records.
    pub(crate) fn observer(&self) -> &Observer {
        self.consumer.observer()
    }

    /// Waits for a record, and takes those along that come right after it; none at the end.
    pub(crate) async fn batch(&mut self, most: usize) -> KafkaResult<Vec<OwnedMessage>> {
        let Some(first) = self.first().await? else {
            return Ok(Vec::new());
        };
        let mut batch = vec![first];
        let deadline = Instant::now() + LINGER;
        while batch.len() < most
            && let Ok(message) = timeout_at(deadline, self.consumer.recv()).await
        {
            batch.push(take(&mut self.received, &message?));
        }
        Ok(batch)
    }

    async fn first(&mut self) -> KafkaResult<Option<OwnedMessage>> {
        loop {
            match &mut self.end {
                End::Ahead(end) => tokio::select! {
                    message = self.consumer.recv() => {
                        return Ok(Some(take(&mut self.received, &message?)));
                    }
                    // Who writes and fails has written nothing that is waited for.
                    end = end => self.end = End::At(end.unwrap_or_default()),
                },
                End::At(end) if is_reached(end, &self.received) => return Ok(None),
                End::At(_) => {
                    let message = self.consumer.recv().await?;
                    return Ok(Some(take(&mut self.received, &message)));
                }
            }
        }
    }

    /// Tells the broker that everything was handled that was received.
    pub(crate) fn commit(&self) -> KafkaResult<()> {
        let mut offsets = TopicPartitionList::new();
        for (&partition, &last) in &self.received {
            offsets.add_partition_offset(self.topic, partition, Offset::Offset(last + 1))?;
        }
        self.consumer.commit(&offsets, CommitMode::Async)
    }
}

/// How long a batch waits for more.
const LINGER: Duration = Duration::from_millis(5);

fn take(received: &mut Offsets, message: &BorrowedMessage<'_>) -> OwnedMessage {
    received.insert(message.partition(), message.offset());
    message.detach()
}

fn is_reached(end: &Offsets, received: &Offsets) -> bool {
    end.iter()
        .all(|(partition, last)| received.get(partition) >= Some(last))
}
