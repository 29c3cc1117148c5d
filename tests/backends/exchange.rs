//! Node → ours → Python over real Kafka: applications in other languages, with OpenTelemetry's own SDKs and
//! instrumentations, and ours between them make one trace of each record.

use std::process::Output;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::FutureRecord;
use throughline::rdkafka::StreamConsumer;
use throughline::testing::{OtlpReceiver, TreeOptions, Value};
use throughline::{Context, FutureExt, Pipeline};
use throughline_tests::support::kafka::{PATIENCE, Place, config, future_producer};
use throughline_tests::support::server;
use tokio::task;

use crate::kafka::{Broker, Topic};

const RECORDS: [&str; 2] = ["two books", "a pen"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "installs and starts Kafka, and packages of Node and Python"]
async fn exchange_with_node_and_python_is_one_trace() {
    let broker = Broker::shared();
    let orders = broker.topic("orders-of-node", 1).await;
    let invoices = broker.topic("invoices-for-python", 1).await;
    let receiver = OtlpReceiver::start().expect("a free port");

    let sent = run("node", "shop", &receiver, &orders, &RECORDS);
    assert!(sent.status.success(), "{sent:?}");

    let pipeline = Pipeline::builder()
        .endpoint(&receiver.endpoint())
        .service_name("billing")
        .start()
        .expect("a pipeline");
    bill(&orders, &invoices)
        .with_context(pipeline.context())
        .await;
    let flushed = pipeline.shutdown(PATIENCE);
    assert!(flushed.is_complete(), "{flushed}");

    let read = run("python", "ledger", &receiver, &invoices, &["2"]);
    let printed = String::from_utf8_lossy(&read.stdout);
    let expected = RECORDS.map(|payload| format!("invoice for {payload}\n"));
    assert_eq!(printed, expected.concat(), "{read:?}");

    let traces = receiver.traces();
    assert_eq!(traces.len(), RECORDS.len());
    let options = TreeOptions::new().hide("*");
    for trace in traces {
        let trace = trace.assert_complete();
        insta::allow_duplicates! {
            insta::assert_snapshot!(trace.tree_with(&options), @r"
            order
            └─ send orders-of-node [producer]
               └─ process orders-of-node [consumer]
                  │  → send orders-of-node
                  ├─ send invoices-for-python [producer]
                  │  └─ invoices-for-python receive [consumer]
                  └─ commit orders-of-node [client]
                        → send orders-of-node
            ");
        }
        let services: Vec<_> = trace
            .spans()
            .iter()
            .map(|span| span.resource_attribute("service.name"))
            .map(|name| name.and_then(Value::as_str).unwrap_or_default())
            .collect();
        let ours = ["billing"; 3];
        assert_eq!(services, [&["shop"; 2], &ours[..], &["ledger"]].concat());
    }
}

/// Sends an invoice for each order, as its handler.
async fn bill(orders: &Topic, invoices: &Topic) {
    let consumer: StreamConsumer = config(orders).create().expect("a consumer");
    consumer.subscribe(&[orders.topic()]).expect("subscribed");
    let producer = future_producer(invoices);
    for _ in RECORDS {
        let message = consumer.recv().await.expect("a record");
        let handler = async {
            let context = Context::current();
            let tenant = context.baggage().get("tenant").map(str::to_owned);
            assert_eq!(tenant.as_deref(), Some("blue"), "baggage came along");
            let order = String::from_utf8_lossy(message.payload().unwrap_or_default());
            let invoice = format!("invoice for {order}");
            let record = FutureRecord::<str, str>::to(invoices.topic()).payload(&invoice);
            producer.send(record, PATIENCE).await.expect("delivered");
            consumer
                .commit_message(&message, CommitMode::Sync)
                .expect("committed");
        };
        consumer.record(&message).process(handler).await;
    }
}

/// Runs an application whose spans go to the receiver, to its end.
fn run(
    name: &str,
    service: &str,
    receiver: &OtlpReceiver,
    topic: &Topic,
    arguments: &[&str],
) -> Output {
    let servers = topic.servers();
    let (_, port) = servers.rsplit_once(':').expect("host and port");
    let mut command = server::backend("run", name);
    command
        .args(arguments)
        .env("KAFKA_PORT", port)
        .env("TOPIC", topic.topic())
        .env("OTEL_SERVICE_NAME", service)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint())
        .env("OTEL_METRICS_EXPORTER", "none")
        .env("OTEL_LOGS_EXPORTER", "none");
    task::block_in_place(|| command.output().expect("there is a shell"))
}
