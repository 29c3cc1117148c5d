// Sends one record for each of its arguments, each in a span of its own. OpenTelemetry's SDK for Node is told by the
// usual variables where the spans go; its instrumentation of kafkajs makes the producers' spans.
const { NodeSDK } = require('@opentelemetry/sdk-node');
const { KafkaJsInstrumentation } = require('@opentelemetry/instrumentation-kafkajs');

const sdk = new NodeSDK({ instrumentations: [new KafkaJsInstrumentation()] });
sdk.start();

const { context, propagation, trace } = require('@opentelemetry/api');
const { Kafka, Partitioners, logLevel } = require('kafkajs');

async function main() {
  const kafka = new Kafka({ brokers: [`127.0.0.1:${process.env.KAFKA_PORT}`], logLevel: logLevel.WARN });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  const baggage = propagation.createBaggage({ tenant: { value: 'blue' } });
  for (const value of process.argv.slice(2)) {
    await context.with(propagation.setBaggage(context.active(), baggage), () =>
      trace.getTracer('shop').startActiveSpan('order', async (span) => {
        await producer.send({ topic: process.env.TOPIC, messages: [{ key: '7', value }] });
        span.end();
      }),
    );
  }
  await producer.disconnect();
  await sdk.shutdown();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
