"""Reads as many records as its argument says, and prints their values.

OpenTelemetry's SDK for Python is told by the usual variables where the spans go; its instrumentation of kafka-python
makes the consumers' spans.
"""

import os
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.kafka import KafkaInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
KafkaInstrumentor().instrument()

from kafka import KafkaConsumer  # noqa: E402 (after what instruments it)

consumer = KafkaConsumer(
    os.environ["TOPIC"],
    bootstrap_servers=f"127.0.0.1:{os.environ['KAFKA_PORT']}",
    auto_offset_reset="earliest",
    group_id=None,
)
for _ in range(int(sys.argv[1])):
    print(next(consumer).value.decode())
consumer.close()
provider.shutdown()
