//! The OTLP options of a pipeline.
//!
//! Owns their public names. What they mean is [`crate::otlp::options`]'s.

use std::path::PathBuf;
use std::time::Duration;

use crate::connect::TlsFiles;
use crate::error::StartError;
use crate::given::Given;
use crate::otlp::client::OtlpClient;
use crate::otlp::options::OtlpOptions;
use crate::otlp::{Compression, OtlpExporter, Protocol, Signal};
use crate::settings::Settings;

use super::PipelineBuilder;

/// Options of the requests over OTLP that the pipeline makes itself. Those of an
/// [`exporter`](PipelineBuilder::exporter) are that exporter's own.
impl PipelineBuilder {
    /// How requests travel. Default: [`Protocol::HttpProtobuf`].
    pub fn protocol(self, protocol: Protocol) -> Self {
        self.set(|options| options.protocol = Some(protocol))
    }

    /// Sends to `v1/traces` under this URL; for gRPC, to this host and port; with
    /// `unix:///path`, to a unix socket. Default: `http://localhost:4318`, and for
    /// gRPC `http://localhost:4317`.
    pub fn endpoint(self, url: &str) -> Self {
        self.try_set(|options| options.set_endpoint(url))
    }

    /// Sends traces to exactly this URL.
    pub fn traces_endpoint(mut self, url: &str) -> Self {
        let traces = &mut self.explicit.otlp.traces;
        let result = traces.set_exact_endpoint("traces_endpoint", url);
        self.refuse_error(result);
        self
    }

    /// Whether gRPC goes without TLS to an endpoint without a scheme, such as
    /// `collector:4317`. Default: no.
    pub fn insecure(self, insecure: bool) -> Self {
        self.set(|options| options.insecure = Some(insecure))
    }

    /// Adds or replaces a header of each request. The value is never shown.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.try_set(|options| options.set_header(name, value))
    }

    /// How request bodies are compressed. Default: they are not.
    pub fn compression(self, compression: Compression) -> Self {
        self.set(|options| options.compression = Some(compression))
    }

    /// A PEM file with the certificates to trust instead of those of the system.
    pub fn certificate(self, file: impl Into<PathBuf>) -> Self {
        let file = Given::by_option("certificate", file.into());
        self.set_tls(|tls| tls.certificate = Some(file.clone()))
    }

    /// A PEM file with the certificate, and those between it and its root, that
    /// proves who the client is. Needs [`client_key`](Self::client_key).
    pub fn client_certificate(self, file: impl Into<PathBuf>) -> Self {
        let file = Given::by_option("client_certificate", file.into());
        self.set_tls(|tls| tls.client_certificate = Some(file.clone()))
    }

    /// A PEM file with the key of the [client certificate](Self::client_certificate).
    pub fn client_key(self, file: impl Into<PathBuf>) -> Self {
        let file = Given::by_option("client_key", file.into());
        self.set_tls(|tls| tls.client_key = Some(file.clone()))
    }

    /// How long one request may take; zero means no limit. Default: 10 s.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|options| options.timeout = Some(timeout))
    }

    fn set(mut self, set: impl Fn(&mut OtlpOptions)) -> Self {
        self.explicit.otlp.each().into_iter().for_each(set);
        self
    }

    fn set_tls(self, set: impl Fn(&mut TlsFiles)) -> Self {
        self.set(|options| set(&mut options.tls))
    }

    fn try_set(mut self, set: impl Fn(&mut OtlpOptions) -> Result<(), StartError>) -> Self {
        let result = self.explicit.otlp.each().into_iter().try_for_each(set);
        self.refuse_error(result);
        self
    }

    fn refuse_error(&mut self, result: Result<(), StartError>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}

/// The exporter that a pipeline uses by itself.
pub(super) fn exporter(settings: &Settings) -> Result<OtlpExporter, StartError> {
    OtlpClient::new(Signal::Traces, &settings.otlp.traces, &settings.proxies)
        .map(OtlpExporter::with_client)
}
