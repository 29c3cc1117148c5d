//! Every attribute key that this crate writes by itself.
//!
//! Owns names only. The `messaging.*` keys and `error.type` are those of OpenTelemetry's semantic conventions (v1.44;
//! `messaging.*` in development), which have none for rebalances: the `queue.*` keys are this project's own,
//! experimental. What all brokers have in common is `throughline-messaging`'s.

use throughline_wire::{Key, key};

/// `messaging.destination.name`: the topic.
pub(crate) const DESTINATION_NAME: Key = key!("messaging.destination.name");
/// `messaging.destination.partition.id`: the partition, as text.
pub(crate) const PARTITION_ID: Key = key!("messaging.destination.partition.id");
/// `messaging.kafka.message.key`: the record's key, where it is text.
pub(crate) const MESSAGE_KEY: Key = key!("messaging.kafka.message.key");
/// `messaging.kafka.message.tombstone`: true for a record without a value, otherwise not there.
pub(crate) const TOMBSTONE: Key = key!("messaging.kafka.message.tombstone");
/// `messaging.kafka.offset`: where in its partition the record is.
pub(crate) const OFFSET: Key = key!("messaging.kafka.offset");
/// `error.type`: librdkafka's error code.
pub(crate) const ERROR_TYPE: Key = key!("error.type");
/// `messaging.system`: `kafka`, on events.
pub(crate) const SYSTEM: Key = key!("messaging.system");
/// `queue.rebalance.kind`: `assign`, `revoke` or `error`.
pub(crate) const REBALANCE_KIND: Key = key!("queue.rebalance.kind");
/// `queue.rebalance.partition_count`: how many partitions come or go.
pub(crate) const REBALANCE_PARTITION_COUNT: Key = key!("queue.rebalance.partition_count");
/// `queue.rebalance.topics`: of which topics they are.
pub(crate) const REBALANCE_TOPICS: Key = key!("queue.rebalance.topics");
