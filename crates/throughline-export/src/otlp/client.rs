//! Sends requests of one signal that are encoded already.
//!
//! Owns the choice of the transport and the bound of a request.

use bytes::Bytes;

use crate::connect::proxy::ProxySettings;
use crate::endpoint::{Address, Endpoint, EndpointError, default_url};
use crate::error::StartError;
use crate::exporter::{ExportError, Receipt};
use crate::say;

use super::http::HttpTransport;
use super::options::OtlpOptions;
use super::{Protocol, Signal};

/// The largest request that is sent, before compression, from the OTLP specification.
const MAX_REQUEST_BYTES: usize = 64 << 20;

/// Who a request comes from.
pub(super) const PRODUCT: http::HeaderValue = http::HeaderValue::from_static(concat!(
    "throughline/",
    env!("CARGO_PKG_VERSION"),
    " OTel-OTLP-Exporter-Rust/",
    env!("CARGO_PKG_VERSION")
));

/// The way to one collector, for one signal.
pub(crate) struct OtlpClient {
    protocol: Protocol,
    endpoint: Endpoint,
    transport: Transport,
}

enum Transport {
    Http(HttpTransport),
    #[cfg(feature = "grpc")]
    Grpc(super::grpc::GrpcTransport),
}

impl OtlpClient {
    /// Connects with the first request.
    pub(crate) fn new(
        signal: Signal,
        options: &OtlpOptions,
        proxies: &ProxySettings,
    ) -> Result<Self, StartError> {
        let protocol = options.protocol.unwrap_or_default();
        let endpoint = endpoint(protocol, signal, options)?;
        options.compression.unwrap_or_default().check()?;
        let transport = match protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc => {
                super::grpc::GrpcTransport::new(&endpoint, options, proxies).map(Transport::Grpc)?
            }
            #[cfg(not(feature = "grpc"))]
            Protocol::Grpc => return Err(missing("grpc", "grpc")),
            _ => HttpTransport::new(&endpoint, signal, options, proxies).map(Transport::Http)?,
        };
        Ok(Self {
            protocol,
            endpoint,
            transport,
        })
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends one encoded request. It must run inside a tokio runtime with time and
    /// I/O; whoever drops the future closes the connection.
    pub(crate) async fn send(&mut self, request: &Bytes) -> Result<Receipt, ExportError> {
        check_size(request)?;
        match &mut self.transport {
            Transport::Http(http) => http.send(request).await,
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => grpc.send(request).await,
        }
    }
}

/// A request over the limit is not sent; parts of it may be.
pub(super) fn check_size(request: &Bytes) -> Result<(), ExportError> {
    if request.len() <= MAX_REQUEST_BYTES {
        return Ok(());
    }
    let message = format!(
        "the request has {} bytes, more than {MAX_REQUEST_BYTES}",
        request.len()
    );
    Err(ExportError::too_large("request_too_large", message))
}

#[cfg(not(all(feature = "grpc", feature = "json")))]
pub(super) fn missing(protocol: &str, feature: &str) -> StartError {
    StartError::unsupported(format!("protocol {protocol} needs the feature `{feature}`"))
}

fn endpoint(
    protocol: Protocol,
    signal: Signal,
    options: &OtlpOptions,
) -> Result<Endpoint, StartError> {
    let insecure = options.insecure.unwrap_or(false);
    let invalid = |error: EndpointError| StartError::invalid(error.what());
    let or_default = || Address::default_of(protocol).endpoint(protocol, signal, insecure);
    let Some(address) = &options.address else {
        return or_default().map_err(invalid);
    };
    match address.value.endpoint(protocol, signal, insecure) {
        Ok(endpoint) => Ok(endpoint),
        Err(error) if address.is_variable => {
            say::warn(format_args!(
                "{}=\"{:?}\" is {}; using the default {}",
                address.by,
                address.value,
                error.what(),
                default_url(protocol)
            ));
            or_default().map_err(invalid)
        }
        Err(error) => Err(StartError::invalid(format!(
            "{} \"{:?}\" is {}",
            address.by,
            address.value,
            error.what()
        ))),
    }
}
