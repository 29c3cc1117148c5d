//! The OTLP exporter of the OpenTelemetry SDK, shared by the paths that use it.

use std::sync::OnceLock;

use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::{
    Compression, Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use tokio::runtime::Runtime;
use tonic::metadata::MetadataMap;

use crate::scenario::{Sampling, Transport};
use crate::target::{Destination, RUN};

/// OTLP over HTTP with protobuf, by the default blocking client, or over gRPC by tonic.
pub(super) fn exporter(destination: &Destination) -> SpanExporter {
    let Destination {
        url,
        transport,
        run,
    } = destination;
    let http = || {
        SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
    };
    let built = match transport {
        Transport::Http => http().build(),
        Transport::Gzip => http().with_compression(Compression::Gzip).build(),
        Transport::Grpc => {
            let run = run.parse().expect("the names of runs are ASCII");
            let mut metadata = MetadataMap::new();
            metadata.insert(RUN, run);
            let _runtime = runtime().enter();
            SpanExporter::builder()
                .with_tonic()
                .with_endpoint(url)
                .with_metadata(metadata)
                .build()
        }
    };
    built.expect("the receiver's address makes a valid endpoint")
}

/// What drives tonic's connection: it has one thread, as an application would give it that has no other use for Tokio.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a worker process can start a thread")
    })
}

/// A tracer provider with the default batch processor.
pub(super) fn provider(destination: &Destination, sampling: Sampling) -> SdkTracerProvider {
    let builder = SdkTracerProvider::builder()
        .with_batch_exporter(exporter(destination))
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
