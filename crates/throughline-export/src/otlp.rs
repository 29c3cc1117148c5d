//! The OTLP exporter: which protocol, to where, and how it is set up.
//!
//! Owns the public exporter, its builder and the words for protocols, compressions
//! and signals. The options and their variables are [`options`]; [`client`] sends
//! what is already encoded, over [`http`] or [`grpc`]. Retrying, timeouts and
//! counting are the pipeline's.

use std::fmt;
use std::path::PathBuf;

use crate::connect::proxy::ProxySettings;
use crate::env::{Env, process_variable};
use crate::error::StartError;
use crate::exporter::{Batch, ExportFuture, SpanExporter};
use crate::given::Given;
use crate::say;

pub(crate) mod client;
pub(crate) mod compress;
#[cfg(feature = "grpc")]
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod options;
mod response;

use client::OtlpClient;
use options::OtlpOptions;

/// How requests travel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// OTLP over gRPC, by default to port 4317. Needs the feature `grpc`.
    Grpc,
    /// OTLP over HTTP with protobuf bodies, by default to port 4318.
    #[default]
    HttpProtobuf,
    /// OTLP over HTTP with JSON bodies, by default to port 4318. Needs the feature
    /// `json`. Each batch is translated, which costs more than to record it.
    HttpJson,
}

/// How request bodies are compressed. It is done on the export thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// They are not.
    #[default]
    None,
    /// With gzip, which every OTLP receiver takes. Needs the feature `gzip`.
    Gzip,
    /// With Zstandard, which some receivers take, the OpenTelemetry Collector among
    /// them. Needs the feature `zstd`.
    Zstd,
}

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    /// Its path under a base URL.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
            Self::Logs => "v1/logs",
        }
    }

    /// The path of its gRPC method.
    pub(crate) fn grpc_method(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

/// Sends batches over OTLP: gRPC, or HTTP with protobuf or JSON bodies.
///
/// This is what a pipeline uses by itself; made explicitly, it is one destination
/// among several.
///
/// ```no_run
/// use throughline_export::{OtlpExporter, Pipeline};
///
/// let exporter = OtlpExporter::builder()
///     .endpoint("http://collector:4318")
///     .header("authorization", "Bearer …")
///     .build()?;
/// let pipeline = Pipeline::builder().exporter(exporter).start()?;
/// # Ok::<(), throughline_export::StartError>(())
/// ```
///
/// The connection is made with the first batch and kept open. Names are looked up
/// anew for each connection. A request is at most 64 MiB before compression, and a
/// response at most 4 MiB after decompression, as the OTLP specification recommends.
pub struct OtlpExporter {
    client: OtlpClient,
}

impl OtlpExporter {
    /// The options of an exporter.
    pub fn builder() -> OtlpExporterBuilder {
        OtlpExporterBuilder::default()
    }

    pub(crate) fn with_client(client: OtlpClient) -> Self {
        Self { client }
    }
}

impl SpanExporter for OtlpExporter {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        Box::pin(async move { self.client.send(batch.request()).await })
    }

    fn destination(&self) -> String {
        self.client.endpoint().to_string()
    }

    fn component_type(&self) -> &str {
        match self.client.protocol() {
            Protocol::Grpc => "otlp_grpc_span_exporter",
            Protocol::HttpProtobuf => "otlp_http_span_exporter",
            Protocol::HttpJson => "otlp_http_json_span_exporter",
        }
    }
}

impl fmt::Debug for OtlpExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpExporter")
            .field("endpoint", self.client.endpoint())
            .finish_non_exhaustive()
    }
}

/// The options of an [`OtlpExporter`]. Made by [`OtlpExporter::builder`].
///
/// Explicit options win over what [`env`](Self::env) reads, whichever is said first.
#[must_use = "a builder does nothing until it builds"]
#[derive(Debug, Default)]
pub struct OtlpExporterBuilder {
    explicit: OtlpOptions,
    environment: OtlpOptions,
    proxies: ProxySettings,
    warnings: Vec<String>,
    /// The first option that was refused.
    error: Option<StartError>,
}

impl OtlpExporterBuilder {
    /// Takes whatever is not said explicitly from the `OTEL_EXPORTER_OTLP_*`
    /// variables for traces, and proxies from `HTTP_PROXY`, `HTTPS_PROXY`,
    /// `ALL_PROXY` and `NO_PROXY`.
    pub fn env(self) -> Self {
        self.env_from(process_variable)
    }

    /// Like [`env`](Self::env), with another source of variables.
    pub fn env_from(mut self, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let mut env = Env::new(&lookup);
        self.environment = OtlpOptions::from_env(&mut env, Signal::Traces);
        self.proxies = ProxySettings::from_env(&mut env);
        self.warnings = env.into_warnings();
        self
    }

    /// How requests travel. Default: [`Protocol::HttpProtobuf`].
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.explicit.protocol = Some(protocol);
        self
    }

    /// Sends to `v1/traces` under this URL; for gRPC, to this host and port; with
    /// `unix:///path`, to a unix socket. Default: `http://localhost:4318`, and for
    /// gRPC `http://localhost:4317`.
    pub fn endpoint(mut self, url: &str) -> Self {
        let result = self.explicit.set_endpoint(url);
        self.refuse_error(result)
    }

    /// Sends to exactly this URL.
    pub fn traces_endpoint(mut self, url: &str) -> Self {
        let result = self.explicit.set_exact_endpoint("traces_endpoint", url);
        self.refuse_error(result)
    }

    /// Whether gRPC goes without TLS to an endpoint without a scheme, such as
    /// `collector:4317`. Default: no.
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.explicit.insecure = Some(insecure);
        self
    }

    /// Adds or replaces a header of each request. The value is never shown.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let result = self.explicit.set_header(name, value);
        self.refuse_error(result)
    }

    /// How request bodies are compressed. Default: they are not.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.explicit.compression = Some(compression);
        self
    }

    /// A PEM file with the certificates to trust instead of those of the system.
    pub fn certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.explicit.tls.certificate = Some(Given::by_option("certificate", file.into()));
        self
    }

    /// A PEM file with the certificate, and those between it and its root, that
    /// proves who the client is. Needs [`client_key`](Self::client_key).
    pub fn client_certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.explicit.tls.client_certificate =
            Some(Given::by_option("client_certificate", file.into()));
        self
    }

    /// A PEM file with the key of the [client certificate](Self::client_certificate).
    pub fn client_key(mut self, file: impl Into<PathBuf>) -> Self {
        self.explicit.tls.client_key = Some(Given::by_option("client_key", file.into()));
        self
    }

    /// Makes the exporter. It connects with the first batch.
    ///
    /// # Errors
    ///
    /// An option is [invalid](StartError::is_invalid_option), a PEM file that cannot
    /// be read included, or it needs a feature that was
    /// [not compiled in](StartError::is_unsupported), such as `https` without `tls`.
    pub fn build(self) -> Result<OtlpExporter, StartError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        for warning in self.warnings {
            say::warn(warning);
        }
        let options = self.explicit.over(self.environment);
        OtlpClient::new(Signal::Traces, &options, &self.proxies).map(OtlpExporter::with_client)
    }

    fn refuse_error(mut self, result: Result<(), StartError>) -> Self {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
        self
    }
}
