//! Produce and consume on librdkafka's mock cluster.
//!
//! Each column has a cluster and clients of its own, made from the same configuration. One thread sends and handles, as
//! fast as it can, with a bounded number of records whose delivery is not reported yet; librdkafka's threads and the
//! cluster's are beside it, and so is the pipeline's in the columns that have one: on a machine that is busy with all
//! of them, what any of them takes is missing elsewhere. So the elapsed time of a round is measured.
//!
//! With fewer records on their way both programs wait for librdkafka to fill its batches most of the time. That is
//! beneath the row, and so is the bare program with a header as long as the one that brings a context along.
//!
//! A round's records fit into what the mock cluster keeps of a partition, so that none is lost while the consumer lags.

use std::future::{Future, ready};
use std::time::{Duration, Instant};

use futures::{StreamExt, future, stream};
use rdkafka::consumer::{Consumer, StreamConsumer as BareConsumer};
use rdkafka::message::{BorrowedMessage, Header, OwnedHeaders, OwnedMessage};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer as BareProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use throughline::core::Sampler;
use throughline::export::{Batch, ExportFuture, Receipt, SpanExporter};
use throughline::rdkafka::{FutureProducer, StreamConsumer};
use throughline::{FutureExt, Pipeline};
use tokio::runtime::{Builder, Runtime};

use crate::measure::{Beside, Result, Row, medians};

pub(crate) fn measure() -> Result<Row> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // A consumer starts a task of its own.
    let entered = runtime.enter();
    let bare = Bare::start()?;
    let [off, on] = [Sampler::always_off(), Sampler::always_on()].map(Traced::start);
    let [off, on] = [off?, on?];
    drop(entered);
    let [untraced_ns, unsampled_ns, traced_ns, header_ns] = medians(
        ROUNDS,
        [
            &mut || bare.round(&runtime, MANY, false),
            &mut || off.round(&runtime, MANY),
            &mut || on.round(&runtime, MANY),
            &mut || bare.round(&runtime, MANY, true),
        ],
    )?;
    let [few_untraced_ns, few_traced_ns] = medians(
        ROUNDS,
        [&mut || bare.round(&runtime, FEW, false), &mut || {
            on.round(&runtime, FEW)
        }],
    )?;
    for traced in [off, on] {
        traced.stop()?;
    }
    Ok(Row {
        host: "rdkafka",
        untraced_ns,
        unsampled_ns,
        traced_ns,
        measure: "elapsed, at saturation",
        beside: vec![
            Beside {
                what: "bare, with a header that nobody reads",
                untraced_ns,
                ns: header_ns,
            },
            Beside {
                what: "traced, with few records on their way",
                untraced_ns: few_untraced_ns,
                ns: few_traced_ns,
            },
        ],
    })
}

/// The program with the host's own clients.
struct Bare {
    producer: BareProducer,
    consumer: BareConsumer,
    // Goes after its clients.
    _cluster: Cluster,
}

impl Bare {
    fn start() -> Result<Self> {
        let (config, cluster) = configured()?;
        let consumer: BareConsumer = config.create()?;
        read_all(&consumer)?;
        Ok(Self {
            producer: config.create()?,
            consumer,
            _cluster: cluster,
        })
    }

    fn round(&self, runtime: &Runtime, in_flight: usize, with_header: bool) -> Result<f64> {
        let produce = produce(in_flight, |mut record| {
            record.headers = with_header.then(|| OwnedHeaders::new().insert(HEADER));
            self.producer.send(record, PATIENCE)
        });
        let consume = async {
            let mut bytes = 0;
            for _ in 0..MESSAGES {
                let message = self.consumer.recv().await?;
                bytes += handle(&message).await;
            }
            Ok(bytes)
        };
        round(runtime, produce, consume)
    }
}

/// The same with ours, which differ in their names and in what is around the handler.
struct Traced {
    pipeline: Pipeline,
    producer: FutureProducer,
    consumer: StreamConsumer,
    // Goes after its clients.
    _cluster: Cluster,
}

impl Traced {
    fn start(sampler: Sampler) -> Result<Self> {
        let (config, cluster) = configured()?;
        let consumer: StreamConsumer = config.create()?;
        read_all(&*consumer)?;
        Ok(Self {
            pipeline: Pipeline::builder()
                .sampler(sampler)
                .exporter(Discard)
                .start()?,
            producer: config.create()?,
            consumer,
            _cluster: cluster,
        })
    }

    fn round(&self, runtime: &Runtime, in_flight: usize) -> Result<f64> {
        let here = self.pipeline.context();
        let produce = produce(in_flight, |record| {
            let sent = self.producer.send(record, PATIENCE);
            sent.with_context(here.clone())
        });
        let consume = async {
            let mut bytes = 0;
            for _ in 0..MESSAGES {
                let message = self.consumer.recv().await?;
                let handled = self.consumer.record(&message).process(handle(&message));
                bytes += handled.await;
            }
            Ok(bytes)
        };
        round(runtime, produce, consume.with_context(here.clone()))
    }

    /// An error if spans were lost, for then the rounds did less than they should.
    fn stop(self) -> Result<()> {
        let report = self.pipeline.shutdown(PATIENCE);
        let stats = self.pipeline.stats();
        match stats.exported == stats.started {
            true => Ok(()),
            false => Err(format!("spans were lost: {report}, {stats}").into()),
        }
    }
}

/// Sends and handles a round's records; nanoseconds for each.
fn round(
    runtime: &Runtime,
    produce: impl Future<Output = Result<()>>,
    consume: impl Future<Output = Result<usize>>,
) -> Result<f64> {
    let start = Instant::now();
    let (_, bytes) = runtime.block_on(async { future::try_join(produce, consume).await })?;
    let elapsed = start.elapsed();
    if bytes != MESSAGES * PAYLOAD.len() {
        return Err("records are missing".into());
    }
    Ok(elapsed.as_nanos() as f64 / MESSAGES as f64)
}

/// Sends a round's records, so many at once.
async fn produce<T, E, F>(
    in_flight: usize,
    send: impl Fn(FutureRecord<'static, str, [u8]>) -> F,
) -> Result<()>
where
    F: Future<Output = std::result::Result<T, (E, OwnedMessage)>>,
    E: std::error::Error + 'static,
{
    let records = (0..MESSAGES).map(|_| FutureRecord::to(TOPIC).key("7").payload(&PAYLOAD[..]));
    let mut reports = stream::iter(records.map(send)).buffer_unordered(in_flight);
    while let Some(report) = reports.next().await {
        report.map_err(|(error, _)| error)?;
    }
    Ok(())
}

async fn handle(message: &BorrowedMessage<'_>) -> usize {
    message.payload_len()
}

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A broker with a topic of one partition, and what its clients are made of.
fn configured() -> Result<(ClientConfig, Cluster)> {
    let cluster = MockCluster::new(1)?;
    cluster.create_topic(TOPIC, 1, 1)?;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("client.id", "shop-1")
        .set("group.id", "billing")
        .set("enable.auto.commit", "false")
        // The mock cluster lets a fetch that finds nothing wait for all of this.
        .set("fetch.wait.max.ms", "1");
    Ok((config, cluster))
}

/// Lets a consumer read the partition from the start, without the group's ceremony.
fn read_all<C: rdkafka::consumer::ConsumerContext>(consumer: &impl Consumer<C>) -> Result<()> {
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(TOPIC, 0, Offset::Beginning)?;
    Ok(consumer.assign(&partitions)?)
}

/// An exporter that costs nothing: what the drain does before it remains.
struct Discard;

impl SpanExporter for Discard {
    fn export(&mut self, _: Batch) -> ExportFuture<'_> {
        Box::pin(ready(Ok(Receipt::complete())))
    }
}

const TOPIC: &str = "orders";
const PATIENCE: Duration = Duration::from_secs(30);
const ROUNDS: usize = 51;
const MESSAGES: usize = 8_192;
/// Records that are sent and not reported as delivered: so many that librdkafka never waits for a batch to fill.
const MANY: usize = 4_096;
/// So few that it does, and so does everybody.
const FEW: usize = 256;
/// As long as the one that brings a context along.
const HEADER: Header<'_, &str> = Header {
    key: "traceparent",
    value: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
};
static PAYLOAD: [u8; 256] = [7; 256];
