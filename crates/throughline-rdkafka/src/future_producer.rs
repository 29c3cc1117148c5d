//! The producer whose sends are futures.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_util::FutureExt;
use futures_util::future::lazy;
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::{ClientConfig, FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::ToBytes;
use rdkafka::producer::future_producer::OwnedDeliveryResult;
use rdkafka::producer::{self, FutureRecord, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::util::{AsyncRuntime, DefaultRuntime, Timeout};
use throughline_core::{InSpan, Inspect, Span};

use crate::outcome;
use crate::send::{Outgoing, delivered, refused};
use crate::settle::{of_offsets, of_transaction, settle, transactions};

/// [`rdkafka::producer::FutureProducer`] whose records take the context along, with a span from each send to its
/// delivery report.
///
/// It is made like rdkafka's own, from a `ClientConfig`, and derefs to it, so that `flush` and `poll` are the
/// same. The span is called `send {topic}`, is the child of the span that is current, and says where the record
/// went, or why it did not. Its context is in the record's headers, sampled or not; where no span is made, the current
/// context is.
///
/// ```no_run
/// use std::time::Duration;
/// use rdkafka::ClientConfig;
/// use rdkafka::producer::FutureRecord;
/// use throughline_rdkafka::FutureProducer; // was: use rdkafka::producer::FutureProducer;
///
/// # async fn example() -> Result<(), rdkafka::error::KafkaError> {
/// let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", "localhost:9092").create()?;
/// let record = FutureRecord::to("orders").key("7").payload("two books");
/// producer.send(record, Duration::from_secs(1)).await.map_err(|(error, _)| error)?;
/// # Ok(())
/// # }
/// ```
#[must_use = "the producer's thread stops with the producer"]
pub struct FutureProducer<C = DefaultClientContext, R = DefaultRuntime>
where
    C: ClientContext + 'static,
{
    inner: producer::FutureProducer<C, R>,
    client_id: Option<Arc<str>>,
}

impl<C: ClientContext + 'static, R: AsyncRuntime> FutureProducer<C, R> {
    /// Wraps a producer that exists already; `client_id` is what it is configured as, if spans are to tell it.
    pub fn new(producer: producer::FutureProducer<C, R>, client_id: Option<&str>) -> Self {
        Self {
            inner: producer,
            client_id: client_id.map(Arc::from),
        }
    }

    /// [`rdkafka::producer::FutureProducer::send`], in a span that starts with the first poll and ends with the
    /// delivery report, or cancelled if the future is dropped before.
    ///
    /// # Errors
    ///
    /// As the inner method's. The record that comes back has the headers it was sent with; sent again, they are
    /// replaced.
    pub fn send<K, P, T>(
        &self,
        mut record: FutureRecord<'_, K, P>,
        queue_timeout: T,
    ) -> impl Future<Output = OwnedDeliveryResult>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
        T: Into<Timeout>,
    {
        // An async fn would keep a place for the record beside that in the inner future, for as long as the send takes.
        let sending = lazy(move |_| {
            let span = self.start(&mut record);
            InSpan::new(span, self.inner.send(record, queue_timeout), Report)
        });
        sending.flatten()
    }

    /// [`rdkafka::producer::FutureProducer::send_result`], with a span that starts now and ends when the future that is
    /// returned has the delivery report.
    ///
    /// Who drops that future does not want to know: the span ends then, without saying how the send did.
    ///
    /// # Errors
    ///
    /// As the inner method's; the record that comes back has the headers it was to be sent with.
    #[expect(clippy::result_large_err, reason = "the signature is the host's")]
    pub fn send_result<'a, K, P>(
        &self,
        mut record: FutureRecord<'a, K, P>,
    ) -> Result<DeliveryFuture, (KafkaError, FutureRecord<'a, K, P>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let mut span = self.start(&mut record);
        match self.inner.send_result(record) {
            Ok(inner) => Ok(DeliveryFuture { inner, span }),
            Err((error, record)) => {
                refused(&mut span, &error);
                Err((error, record))
            }
        }
    }

    transactions!();

    fn start<K, P>(&self, record: &mut FutureRecord<'_, K, P>) -> Span
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let outgoing = Outgoing {
            topic: record.topic,
            partition: record.partition,
            key: record.key,
            payload: record.payload,
        };
        outgoing.start(self.client_id.as_deref(), &mut record.headers)
    }
}

/// Records what the delivery report says.
fn report(result: &OwnedDeliveryResult, span: &mut Span) {
    match result {
        Ok(delivery) => delivered(span, delivery.partition, delivery.offset),
        Err((error, _)) => refused(span, error),
    }
}

/// Looks at what the delivery report says.
struct Report;

impl Inspect<OwnedDeliveryResult> for Report {
    fn inspect(&mut self, result: &OwnedDeliveryResult, span: &mut Span) {
        report(result, span);
    }

    fn error_type(&self, result: &OwnedDeliveryResult) -> Option<&'static str> {
        let (error, _) = result.as_ref().err()?;
        Some(outcome::kept_code(error))
    }
}

impl<C: ClientContext + 'static, R> Clone for FutureProducer<C, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            client_id: self.client_id.clone(),
        }
    }
}

impl<C: ClientContext + 'static, R> Deref for FutureProducer<C, R> {
    type Target = producer::FutureProducer<C, R>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl<C: ClientContext + 'static, R> fmt::Debug for FutureProducer<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FutureProducer")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl<R: AsyncRuntime> FromClientConfig for FutureProducer<DefaultClientContext, R> {
    fn from_config(config: &ClientConfig) -> KafkaResult<Self> {
        Self::from_config_and_context(config, DefaultClientContext)
    }
}

impl<C, R> FromClientConfigAndContext<C> for FutureProducer<C, R>
where
    C: ClientContext + 'static,
    R: AsyncRuntime,
{
    fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        let inner = producer::FutureProducer::from_config_and_context(config, context)?;
        Ok(Self::new(inner, config.get("client.id")))
    }
}

/// [`rdkafka::producer::DeliveryFuture`] with the span of the send, which ends with it.
#[must_use = "the delivery report is known to who polls the future"]
pub struct DeliveryFuture {
    inner: producer::DeliveryFuture,
    span: Span,
}

impl Future for DeliveryFuture {
    type Output = <producer::DeliveryFuture as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.inner).poll(cx);
        if let Poll::Ready(result) = &polled {
            let mut span = std::mem::replace(&mut self.span, Span::disabled());
            if let Ok(result) = result {
                report(result, &mut span);
            }
            span.end();
        }
        polled
    }
}

impl fmt::Debug for DeliveryFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryFuture")
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}
