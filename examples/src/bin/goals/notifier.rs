//! The notifier: takes the feed in batches, and writes to the owners of the goals.
//!
//! A batch is one span, which links the sends of its records. A letter that comes back is tried once more: that is a
//! trace by itself, linked to the batch. If that fails too, the record goes to the topic for dead letters.

use std::fmt;

use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use throughline::core::SpanContext;
use throughline::rdkafka::inject;
use throughline::{Context, consumer, producer};
use tokio::sync::oneshot;

use crate::feed::Notice;
use crate::kafka::{DEAD, Inbox, Offsets, PATIENCE};
use crate::people::{self, Bounced};

/// The task's state.
pub(crate) struct Notifier {
    inbox: Inbox,
    /// rdkafka's own: here the attribute on the function makes the span, and the function writes the headers.
    dead_letters: FutureProducer,
    buried: Offsets,
}

impl Notifier {
    pub(crate) fn new(inbox: Inbox, dead_letters: FutureProducer) -> Self {
        Self {
            inbox,
            dead_letters,
            buried: Offsets::new(),
        }
    }

    /// Handles what is in the feed until it ends, then says how many dead letters there are; returns how many batches.
    pub(crate) async fn run(mut self, end: oneshot::Sender<Offsets>) -> KafkaResult<u64> {
        let mut batches = 0;
        loop {
            let records = self.inbox.batch(MOST).await?;
            if records.is_empty() {
                break;
            }
            let batch = self.inbox.observer().batch(&records).span();
            throughline::channel::observe(batch, self.notify_all(&records)).await?;
            batches += 1;
        }
        // Whoever reads them may have failed; then they need no end.
        let _ = end.send(self.buried);
        Ok(batches)
    }

    #[consumer(system = "kafka", destination = "goals", batch)]
    async fn notify_all(&mut self, records: &[OwnedMessage]) -> KafkaResult<()> {
        let batch = Context::current().span_context();
        for record in records {
            if notify(record).await.is_err() {
                self.try_again(record, batch).await?;
            }
        }
        // Only now: what is committed is not delivered again.
        self.inbox.commit()
    }

    async fn try_again(&mut self, record: &OwnedMessage, batch: SpanContext) -> KafkaResult<()> {
        let attempt = self.inbox.observer().record(record);
        let attempt = attempt.attempt(2).after(batch).span();
        match throughline::channel::observe(attempt, self.last_attempt(record)).await {
            Err(Undelivered::Kafka(error)) => Err(error),
            Err(Undelivered::Bounced(_) | Undelivered::Unreadable(_)) | Ok(()) => Ok(()),
        }
    }

    #[consumer(system = "kafka", destination = "goals")]
    async fn last_attempt(&mut self, record: &OwnedMessage) -> Result<(), Undelivered> {
        if let Err(error) = notify(record).await {
            self.bury(record).await?;
            return Err(error);
        }
        Ok(())
    }

    #[producer(system = "kafka", destination = "goals.dead")]
    async fn bury(&mut self, record: &OwnedMessage) -> KafkaResult<()> {
        // The context is that of this send; the headers of the record stay as they are otherwise.
        let headers = inject(&Context::current(), record.headers().cloned());
        let letter = FutureRecord {
            headers,
            ..FutureRecord::to(DEAD)
        };
        let letter = letter
            .key(record.key().unwrap_or_default())
            .payload(record.payload().unwrap_or_default());
        let sent = self.dead_letters.send(letter, PATIENCE).await;
        let sent = sent.map_err(|(error, _)| error)?;
        self.buried.insert(sent.partition, sent.offset);
        Ok(())
    }
}

/// Records that are handled at once: few, so that a batch can be drawn.
pub(crate) const MOST: usize = 5;

async fn notify(record: &OwnedMessage) -> Result<(), Undelivered> {
    let notice: Notice = serde_json::from_slice(record.payload().unwrap_or_default())?;
    let stream = String::from_utf8_lossy(record.key().unwrap_or_default());
    people::deliver(&notice.owner, &notice.address, &stream).await?;
    Ok(())
}

/// Why an owner was not written to.
#[derive(Debug)]
enum Undelivered {
    Bounced(Bounced),
    Kafka(KafkaError),
    Unreadable(serde_json::Error),
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bounced(error) => error.fmt(f),
            Self::Kafka(error) => error.fmt(f),
            Self::Unreadable(error) => error.fmt(f),
        }
    }
}

impl From<Bounced> for Undelivered {
    fn from(error: Bounced) -> Self {
        Self::Bounced(error)
    }
}

impl From<KafkaError> for Undelivered {
    fn from(error: KafkaError) -> Self {
        Self::Kafka(error)
    }
}

impl From<serde_json::Error> for Undelivered {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error)
    }
}
