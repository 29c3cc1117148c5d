//! Spans to Zipkin, over HTTP.
//!
//! Owns the exporter, its options and what a response means. [`encode`] makes the
//! spans, [`value`] the text of their tags. Retrying and counting are the pipeline's.

pub(crate) mod encode;
mod value;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, PROXY_AUTHORIZATION, USER_AGENT};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::Full;
use tokio::time::timeout;

use crate::connect::body::{Read, ReadError};
use crate::connect::client::HttpClient;
use crate::connect::failure::{no_response, refusal};
use crate::connect::proxy::ProxySettings;
use crate::connect::{Connector, TlsFiles, Version};
use crate::deliver::FOREVER;
use crate::endpoint::Endpoint;
use crate::env::{Env, process_variable};
use crate::error::StartError;
use crate::exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter};
use crate::say;

const DEFAULT_ENDPOINT: &str = "http://localhost:9411/api/v2/spans";
/// Where a unix socket serves the same.
const PATH: &str = "/api/v2/spans";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a response is read; none of it decides anything.
const MAX_RESPONSE_BYTES: usize = 4 << 10;

const PRODUCT: HeaderValue =
    HeaderValue::from_static(concat!("throughline/", env!("CARGO_PKG_VERSION")));

/// Sends batches to Zipkin, or to anything that takes its spans: version 2 of the
/// API, JSON over HTTP.
///
/// Spans are translated by the [rules of the OpenTelemetry specification][spec]:
/// attributes, status, instrumentation scope and dropped counts become tags, events
/// become annotations, times are whole microseconds. What the specification leaves
/// open is done as the OpenTelemetry Collector does it: attributes of the resource
/// are tags of each span, links and the trace state are tags. Each batch is
/// translated on the export thread, which costs more than to record it.
///
/// Requests carry `b3: 0`, so that proxies on the way do not trace them.
///
/// ```
/// use throughline_export::{Pipeline, ZipkinExporter};
///
/// let zipkin = ZipkinExporter::builder()
///     .endpoint("http://zipkin:9411/api/v2/spans")
///     .build()?;
/// let pipeline = Pipeline::builder().exporter(zipkin).start()?;
/// # Ok::<(), throughline_export::StartError>(())
/// ```
///
/// [spec]: https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/
pub struct ZipkinExporter {
    endpoint: Endpoint,
    headers: HeaderMap,
    timeout: Duration,
    client: HttpClient<Full<Bytes>>,
    /// The last batch that was not accepted and what was made of it: to send it
    /// again is to send the same bytes.
    prepared: Option<(Bytes, Bytes)>,
}

impl ZipkinExporter {
    /// The options of an exporter.
    pub fn builder() -> ZipkinExporterBuilder {
        ZipkinExporterBuilder::default()
    }

    async fn send(&mut self, batch: &Bytes) -> Result<Receipt, ExportError> {
        let mut request = Request::new(Full::new(self.body(batch)?));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.uri().clone();
        *request.headers_mut() = self.headers.clone();
        let exchange = self.client.exchange(request, MAX_RESPONSE_BYTES);
        let result = match timeout(self.timeout, exchange).await {
            Ok(Ok((head, body))) => outcome(&head, body),
            Ok(Err(error)) => Err(no_response(error)),
            Err(_) => {
                let message = format!("no answer within {} ms", self.timeout.as_millis());
                Err(ExportError::transient("timeout", message))
            }
        };
        if !result.as_ref().is_err_and(ExportError::is_transient) {
            self.prepared = None;
        }
        result
    }

    fn body(&mut self, batch: &Bytes) -> Result<Bytes, ExportError> {
        match &self.prepared {
            // The clone keeps the place from being used again.
            Some((same, body)) if std::ptr::eq(&raw const same[..], &raw const batch[..]) => {
                Ok(body.clone())
            }
            _ => {
                let body = Bytes::from(encode::spans(batch)?);
                self.prepared = Some((batch.clone(), body.clone()));
                Ok(body)
            }
        }
    }
}

impl SpanExporter for ZipkinExporter {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        Box::pin(async move { self.send(batch.request()).await })
    }

    fn destination(&self) -> String {
        self.endpoint.to_string()
    }

    fn component_type(&self) -> &str {
        "zipkin_http_span_exporter"
    }
}

impl fmt::Debug for ZipkinExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZipkinExporter")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// The options of a [`ZipkinExporter`]. Made by [`ZipkinExporter::builder`].
///
/// Explicit options win over what [`env`](Self::env) reads, whichever is said first.
#[must_use = "a builder does nothing until it builds"]
#[derive(Debug, Default)]
pub struct ZipkinExporterBuilder {
    explicit: ZipkinOptions,
    environment: ZipkinOptions,
    proxies: ProxySettings,
    warnings: Vec<String>,
    /// The first option that was refused.
    error: Option<StartError>,
}

impl ZipkinExporterBuilder {
    /// Takes what is not said explicitly from `OTEL_EXPORTER_ZIPKIN_ENDPOINT` and
    /// `OTEL_EXPORTER_ZIPKIN_TIMEOUT`, and proxies from `HTTP_PROXY`, `HTTPS_PROXY`,
    /// `ALL_PROXY` and `NO_PROXY`.
    pub fn env(self) -> Self {
        self.env_from(process_variable)
    }

    /// Like [`env`](Self::env), with another source of variables.
    pub fn env_from(mut self, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let mut env = Env::new(&lookup);
        self.environment = ZipkinOptions::from_env(&mut env);
        self.proxies = ProxySettings::from_env(&mut env);
        self.warnings = env.into_warnings();
        self
    }

    /// Sends to exactly this URL. Default: `http://localhost:9411/api/v2/spans`.
    pub fn endpoint(mut self, url: &str) -> Self {
        match Endpoint::exact(url, PATH) {
            Ok(endpoint) => self.explicit.endpoint = Some(endpoint),
            Err(error) => {
                let shown = Some(url).filter(|_| !error.is_secret());
                let shown = shown.map(|url| format!(" {url:?}")).unwrap_or_default();
                let message = format!("endpoint{shown} is {}", error.what());
                self.error
                    .get_or_insert_with(|| StartError::invalid(message));
            }
        }
        self
    }

    /// How long one request may take; zero means as long as the pipeline allows.
    /// Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.explicit.timeout = Some(timeout);
        self
    }

    /// Makes the exporter. It connects with the first batch.
    ///
    /// # Errors
    ///
    /// The endpoint is [invalid](StartError::is_invalid_option) or needs what was
    /// [not compiled in](StartError::is_unsupported).
    pub fn build(self) -> Result<ZipkinExporter, StartError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        for warning in self.warnings {
            say::warn(warning);
        }
        let options = self.explicit.over(self.environment);
        options.exporter(&self.proxies)
    }
}

/// Options as they were given.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ZipkinOptions {
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) timeout: Option<Duration>,
}

impl ZipkinOptions {
    pub(crate) fn from_env(env: &mut Env<'_>) -> Self {
        Self {
            endpoint: endpoint(env),
            timeout: env.millis("OTEL_EXPORTER_ZIPKIN_TIMEOUT", DEFAULT_TIMEOUT),
        }
    }

    /// Lays these options over weaker ones.
    pub(crate) fn over(self, weaker: Self) -> Self {
        Self {
            endpoint: self.endpoint.or(weaker.endpoint),
            timeout: self.timeout.or(weaker.timeout),
        }
    }

    pub(crate) fn exporter(self, proxies: &ProxySettings) -> Result<ZipkinExporter, StartError> {
        let endpoint = match self.endpoint {
            Some(endpoint) => endpoint,
            None => Endpoint::exact(DEFAULT_ENDPOINT, PATH)
                .map_err(|error| StartError::invalid(error.what()))?,
        };
        let timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT);
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, PRODUCT);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("b3", HeaderValue::from_static("0"));
        let connector = Connector::new(&endpoint, Version::Http1, &TlsFiles::default(), proxies)?;
        if let Some(authorization) = connector.proxy_authorization() {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        Ok(ZipkinExporter {
            endpoint,
            headers,
            timeout: if timeout.is_zero() { FOREVER } else { timeout },
            client: HttpClient::new(connector),
            prepared: None,
        })
    }
}

/// The status decides. What stands in the body is for people, if there is an error.
fn outcome(head: &Parts, body: Result<Read, ReadError>) -> Result<Receipt, ExportError> {
    if head.status.is_success() {
        return Ok(Receipt::complete());
    }
    let body = body.map_or_else(|_| Bytes::new(), |body| body.bytes);
    let said = String::from_utf8_lossy(&body);
    Err(refusal(head.status, &head.headers, said.trim()))
}

fn endpoint(env: &mut Env<'_>) -> Option<Endpoint> {
    const NAME: &str = "OTEL_EXPORTER_ZIPKIN_ENDPOINT";
    let url = env.text(NAME)?;
    match Endpoint::exact(&url, PATH) {
        Ok(endpoint) => return Some(endpoint),
        Err(error) if error.is_secret() => env.bad_secret(
            NAME,
            &format!("the value is {}", error.what()),
            &format!("using the default {DEFAULT_ENDPOINT}"),
        ),
        Err(error) => env.bad(NAME, &url, error.what(), DEFAULT_ENDPOINT),
    }
    None
}
