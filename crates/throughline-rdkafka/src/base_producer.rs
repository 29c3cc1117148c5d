//! The producers that report deliveries to a context.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use rdkafka::Statistics;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{
    ClientConfig, FromClientConfig, FromClientConfigAndContext, RDKafkaLogLevel,
};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{DeliveryResult, Message, ToBytes};
use rdkafka::producer::{
    self, BaseRecord, DefaultProducerContext, NoCustomPartitioner, Partitioner, Producer,
    ProducerContext,
};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::util::{IntoOpaque, Timeout};
use throughline_core::Span;

use crate::send::{Outgoing, delivered, refused};
use crate::settle::{of_offsets, of_transaction, settle, transactions};

/// A [`ProducerContext`] that ends the span of each send at its delivery report, then hands the report on.
///
/// [`BaseProducer`] and [`ThreadedProducer`] put it around the context they are given. The report is handed on under
/// the context of the send, so that what it sets off is in the same trace.
///
/// ```
/// use rdkafka::producer::DefaultProducerContext;
/// use throughline_rdkafka::Reporting;
///
/// let context = Reporting::from(DefaultProducerContext);
/// let DefaultProducerContext = *context;
/// ```
#[derive(Clone, Debug)]
pub struct Reporting<C>(C);

impl<C> From<C> for Reporting<C> {
    fn from(context: C) -> Self {
        Self(context)
    }
}

impl<C> Deref for Reporting<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C: ClientContext> ClientContext for Reporting<C> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = C::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        self.0.log(level, fac, log_message);
    }

    fn stats(&self, statistics: Statistics) {
        self.0.stats(statistics);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }

    fn generate_oauth_token(
        &self,
        oauthbearer_config: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn Error>> {
        self.0.generate_oauth_token(oauthbearer_config)
    }
}

impl<C, Part> ProducerContext<Part> for Reporting<C>
where
    C: ProducerContext<Part>,
    Part: Partitioner,
{
    type DeliveryOpaque = Box<Sent<C::DeliveryOpaque>>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Self::DeliveryOpaque) {
        let Sent { opaque, mut span } = *sent;
        match result {
            Ok(record) => delivered(&mut span, record.partition(), record.offset()),
            Err((error, _)) => refused(&mut span, error),
        }
        let context = (!span.is_disabled()).then(|| span.context());
        span.end();
        let _here = context.map(|context| context.attach());
        self.0.delivery(result, opaque);
    }

    fn get_custom_partitioner(&self) -> Option<&Part> {
        self.0.get_custom_partitioner()
    }
}

/// The opaque of a record's sender, and the span that ends with the record's delivery report.
#[derive(Debug)]
pub struct Sent<D> {
    opaque: D,
    span: Span,
}

/// The same record with another opaque.
fn with_opaque<'a, K, P, D, E>(
    record: BaseRecord<'a, K, P, D>,
    change: impl FnOnce(D) -> E,
) -> BaseRecord<'a, K, P, E>
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
    D: IntoOpaque,
    E: IntoOpaque,
{
    BaseRecord {
        topic: record.topic,
        partition: record.partition,
        payload: record.payload,
        key: record.key,
        timestamp: record.timestamp,
        headers: record.headers,
        delivery_opaque: change(record.delivery_opaque),
    }
}

/// Starts the span of a send, and sends.
#[expect(clippy::result_large_err, reason = "the signature is the host's")]
fn send<'a, K, P, D>(
    client_id: Option<&str>,
    mut record: BaseRecord<'a, K, P, D>,
    enqueue: impl FnOnce(
        BaseRecord<'a, K, P, Box<Sent<D>>>,
    ) -> Result<(), (KafkaError, BaseRecord<'a, K, P, Box<Sent<D>>>)>,
) -> Result<(), (KafkaError, BaseRecord<'a, K, P, D>)>
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
    D: IntoOpaque,
{
    let outgoing = Outgoing {
        topic: record.topic,
        partition: record.partition,
        key: record.key,
        payload: record.payload,
    };
    let span = outgoing.start(client_id, &mut record.headers);
    let record = with_opaque(record, |opaque| Box::new(Sent { opaque, span }));
    enqueue(record).map_err(|(error, record)| {
        let record = with_opaque(record, |sent| {
            let Sent { opaque, mut span } = *sent;
            refused(&mut span, &error);
            opaque
        });
        (error, record)
    })
}

/// What the two producers have in common.
macro_rules! producer {
    ($name:ident $(, $static:lifetime)?) => {
        impl<C, Part> $name<C, Part>
        where
            C: ProducerContext<Part> $(+ $static)?,
            Part: Partitioner,
        {
            /// Sends a record as rdkafka's own producer does, in a span that starts now and ends with the delivery
            /// report.
            ///
            /// # Errors
            ///
            /// As the inner method's, which the span has too: it ends then. The record that comes back has the headers
            /// it was to be sent with; sent again, they are replaced.
            #[expect(clippy::result_large_err, reason = "the signature is the host's")]
            pub fn send<'a, K, P>(
                &self,
                record: BaseRecord<'a, K, P, C::DeliveryOpaque>,
            ) -> Result<(), (KafkaError, BaseRecord<'a, K, P, C::DeliveryOpaque>)>
            where
                K: ToBytes + ?Sized,
                P: ToBytes + ?Sized,
            {
                send(self.client_id.as_deref(), record, |record| self.inner.send(record))
            }

            transactions!();
        }

        impl<C, Part> Deref for $name<C, Part>
        where
            C: ProducerContext<Part> $(+ $static)?,
            Part: Partitioner,
        {
            type Target = producer::$name<Reporting<C>, Part>;

            fn deref(&self) -> &Self::Target {
                &self.inner
            }
        }

        impl<C, Part> fmt::Debug for $name<C, Part>
        where
            C: ProducerContext<Part> $(+ $static)?,
            Part: Partitioner,
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("client_id", &self.client_id)
                    .finish_non_exhaustive()
            }
        }

        impl FromClientConfig for $name<DefaultProducerContext> {
            fn from_config(config: &ClientConfig) -> KafkaResult<Self> {
                Self::from_config_and_context(config, DefaultProducerContext)
            }
        }

        impl<C, Part> FromClientConfigAndContext<C> for $name<C, Part>
        where
            C: ProducerContext<Part> $(+ $static)?,
            Part: Partitioner $(+ Send + Sync + $static)?,
        {
            fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
                let context = Reporting(context);
                Ok(Self {
                    inner: producer::$name::from_config_and_context(config, context)?,
                    client_id: config.get("client.id").map(Arc::from),
                })
            }
        }
    };
}

/// [`rdkafka::producer::BaseProducer`] whose records take the context along, with a span from each send to its delivery
/// report.
///
/// It is made like rdkafka's own, from a `ClientConfig` and a `ProducerContext`, which gets the reports as always, and
/// derefs to it. The span is called `send {topic}` and is the child of the span that is current; it ends where the
/// report is polled.
///
/// ```no_run
/// use std::time::Duration;
/// use rdkafka::ClientConfig;
/// use rdkafka::producer::{BaseRecord, Producer};
/// use throughline_rdkafka::BaseProducer; // was: use rdkafka::producer::BaseProducer;
///
/// # fn example() -> Result<(), rdkafka::error::KafkaError> {
/// let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", "localhost:9092").create()?;
/// let record = BaseRecord::to("orders").key("7").payload("two books");
/// producer.send(record).map_err(|(error, _)| error)?;
/// producer.flush(Duration::from_secs(1))?;
/// # Ok(())
/// # }
/// ```
pub struct BaseProducer<C = DefaultProducerContext, Part = NoCustomPartitioner>
where
    C: ProducerContext<Part>,
    Part: Partitioner,
{
    inner: producer::BaseProducer<Reporting<C>, Part>,
    client_id: Option<Arc<str>>,
}

producer!(BaseProducer);

/// [`rdkafka::producer::ThreadedProducer`], with the spans of a [`BaseProducer`]; they end on the producer's thread.
///
/// ```no_run
/// use rdkafka::ClientConfig;
/// use rdkafka::producer::BaseRecord;
/// use throughline_rdkafka::ThreadedProducer; // was: use rdkafka::producer::ThreadedProducer;
///
/// # fn example() -> Result<(), rdkafka::error::KafkaError> {
/// let producer: ThreadedProducer = ClientConfig::new().set("bootstrap.servers", "localhost:9092").create()?;
/// let record = BaseRecord::to("orders").key("7").payload("two books");
/// producer.send(record).map_err(|(error, _)| error)?;
/// # Ok(())
/// # }
/// ```
#[must_use = "the producer's thread stops with the producer"]
pub struct ThreadedProducer<C = DefaultProducerContext, Part = NoCustomPartitioner>
where
    C: ProducerContext<Part> + 'static,
    Part: Partitioner,
{
    inner: producer::ThreadedProducer<Reporting<C>, Part>,
    client_id: Option<Arc<str>>,
}

producer!(ThreadedProducer, 'static);

impl<C: ProducerContext + 'static> Clone for ThreadedProducer<C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            client_id: self.client_id.clone(),
        }
    }
}
