//! Kafka records that keep their Throughline context, and spans for those who send and handle them.
//!
//! For rdkafka 0.39. Of its features only `tokio` is on, so that librdkafka is built with a C compiler and `make` alone;
//! who needs TLS, SASL or more codecs depends on rdkafka too and turns its features on. The clients have rdkafka's names,
//! are made from the same `ClientConfig`, and deref to rdkafka's own; what a program changes is an import, and one call
//! around its handler:
//!
//! | rdkafka | here | spans |
//! |---|---|---|
//! | `FutureProducer` | [`FutureProducer`] | `send {topic}`, until the delivery report |
//! | `BaseProducer`, `ThreadedProducer` | [`BaseProducer`], [`ThreadedProducer`] | the same |
//! | `StreamConsumer`, `BaseConsumer` | [`StreamConsumer`], [`BaseConsumer`] | `process {topic}` for each [`record`](Consuming::record) or [`batch`](Consuming::batch), `commit {topic}`, and `poll {topic}` [where wanted](Consuming::with_receive_spans) |
//! | transactions | the producers | `send_offsets_to_transaction {topic}`, `commit_transaction`, `abort_transaction` |
//! | rebalances | [`RebalanceEvents`], [`rebalanced`] | events on the current span |
//!
//! The names, kinds, attributes and links are those of OpenTelemetry's conventions for messaging and Kafka (v1.44).
//! A record's context is in its headers, whether the trace is sampled or not: those that an earlier sender wrote are
//! replaced, all others stay as they are, and so do key, payload, partition and timestamp.
//!
//! ```no_run
//! use std::time::Duration;
//! use rdkafka::ClientConfig;
//! use rdkafka::consumer::Consumer;
//! use rdkafka::producer::FutureRecord;
//! use throughline_rdkafka::{FutureProducer, StreamConsumer};
//!
//! # async fn ship(_: &rdkafka::message::BorrowedMessage<'_>) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = ClientConfig::new();
//! config.set("bootstrap.servers", "localhost:9092").set("group.id", "shipping");
//!
//! let producer: FutureProducer = config.create()?;
//! let record = FutureRecord::to("orders").key("7").payload("two books");
//! producer.send(record, Duration::from_secs(1)).await.map_err(|(error, _)| error)?;
//!
//! let consumer: StreamConsumer = config.create()?;
//! consumer.subscribe(&["orders"])?;
//! let message = consumer.recv().await?;
//! // The span `process orders` is the child of `send orders`, has the wait, and the error, if there is one.
//! consumer.record(&message).try_process(ship(&message)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A function that [`Record::process`] is given may have the attribute `#[consumer]`: there is one span for both. The loop
//! that receives needs none, and would not know the sender, whom the record's headers tell.
//!
//! Kafka does not count deliveries: who repeats a record says so, with [`Record::attempt`] and [`Record::after`]; topics for
//! retries, delays and dead letters are told [once](Consuming::with_redeliveries). A record that is sent on with the headers
//! it came with links the span that sent it first. How far behind a consumer is, the spans of its records say in seconds
//! (`queue.wait`) and, where librdkafka's [statistics](Watermarks) are on, in records (`queue.lag.messages`).
#![forbid(unsafe_code)]

mod base_producer;
mod consumer;
mod future_producer;
mod headers;
mod keys;
mod outcome;
mod receive;
mod record;
mod send;
mod settle;
mod watermarks;

pub use base_producer::{BaseProducer, Reporting, Sent, ThreadedProducer};
pub use consumer::{BaseConsumer, Consuming, RebalanceEvents, StreamConsumer, rebalanced};
pub use future_producer::{DeliveryFuture, FutureProducer};
pub use headers::{extract, inject};
pub use receive::MessageStream;
pub use record::{Batch, Observer, Record};
pub use watermarks::Watermarks;

/// The conventions' name of the broker.
const SYSTEM: &str = "kafka";
