//! Telling the broker what became of records: offsets that are committed, transactions that are ended.
//!
//! Owns what consumers and producers have in common here: the span around a call of librdkafka, and which offsets it
//! is about.

use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionList;
use throughline_core::{Span, display};
use throughline_messaging::queue::Destination;

use crate::{SYSTEM, keys, outcome};

/// Settles in the span, which gets the error.
pub(crate) fn settle(span: Span, settle: impl FnOnce() -> KafkaResult<()>) -> KafkaResult<()> {
    let entered = span.enter();
    let result = settle();
    let mut span = entered.exit();
    if let Err(error) = &result {
        outcome::fail(&mut span, error);
    }
    result
}

/// Starts the span of an operation on offsets; it has their topic and partition, if there is only one.
pub(crate) fn of_offsets(
    operation: &str,
    group: Option<&str>,
    client_id: Option<&str>,
    offsets: &TopicPartitionList,
) -> Span {
    let elements = offsets.elements();
    let topic = elements.first().map(|first| first.topic());
    let topic = topic.filter(|topic| elements.iter().all(|other| other.topic() == *topic));
    let destination = Destination::of(SYSTEM, topic)
        .consumer_group(group)
        .client_id(client_id);
    let mut span = destination.settle(operation);
    if let [one] = &*elements {
        span.attribute(&keys::PARTITION_ID, display(&one.partition()));
    }
    span
}

/// The ends of transactions, for a producer with the fields `inner` and `client_id`.
macro_rules! transactions {
    () => {
        /// [`Producer::send_offsets_to_transaction`](rdkafka::producer::Producer::send_offsets_to_transaction), in a
        /// span of that name, with the topic of the offsets, if there is only one.
        ///
        /// # Errors
        ///
        /// As the inner method's, which the span has too.
        pub fn send_offsets_to_transaction<T: Into<Timeout>>(
            &self,
            offsets: &TopicPartitionList,
            group: &ConsumerGroupMetadata,
            timeout: T,
        ) -> KafkaResult<()> {
            let client_id = self.client_id.as_deref();
            let span = of_offsets("send_offsets_to_transaction", None, client_id, offsets);
            settle(span, || {
                self.inner
                    .send_offsets_to_transaction(offsets, group, timeout)
            })
        }

        /// [`Producer::commit_transaction`](rdkafka::producer::Producer::commit_transaction), in a span of that name.
        ///
        /// # Errors
        ///
        /// As the inner method's, which the span has too.
        pub fn commit_transaction<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()> {
            let span = of_transaction("commit_transaction", self.client_id.as_deref());
            settle(span, || self.inner.commit_transaction(timeout))
        }

        /// [`Producer::abort_transaction`](rdkafka::producer::Producer::abort_transaction), in a span of that name.
        ///
        /// # Errors
        ///
        /// As the inner method's, which the span has too.
        pub fn abort_transaction<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()> {
            let span = of_transaction("abort_transaction", self.client_id.as_deref());
            settle(span, || self.inner.abort_transaction(timeout))
        }
    };
}

pub(crate) use transactions;

/// Starts the span of the end of a transaction, which is about whatever was sent in it.
pub(crate) fn of_transaction(operation: &str, client_id: Option<&str>) -> Span {
    Destination::of(SYSTEM, None)
        .client_id(client_id)
        .settle(operation)
}
