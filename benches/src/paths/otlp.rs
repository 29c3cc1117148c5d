//! The OTLP exporter of the OpenTelemetry SDK, shared by the paths that use it.

use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use crate::scenario::Sampling;

/// OTLP over HTTP with protobuf, by the default blocking client.
pub(super) fn exporter(endpoint: &str) -> SpanExporter {
    SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .build()
        .expect("the receiver's address makes a valid endpoint")
}

/// A tracer provider with the default batch processor.
pub(super) fn provider(endpoint: &str, sampling: Sampling) -> SdkTracerProvider {
    let builder = SdkTracerProvider::builder()
        .with_batch_exporter(exporter(endpoint))
        .with_resource(resource());
    match sampling {
        Sampling::Unsampled => builder.with_sampler(Sampler::AlwaysOff).build(),
        Sampling::Sampled | Sampling::Disabled => builder.build(),
    }
}

/// The resource that all paths send.
pub(super) fn resource() -> Resource {
    Resource::builder_empty()
        .with_service_name(SERVICE_NAME)
        .build()
}

/// The instrumentation scope of the paths that name one.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SERVICE_NAME).build()
}

/// `service.name` in every path.
pub(super) const SERVICE_NAME: &str = "throughline-benches";
