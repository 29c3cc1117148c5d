//! The options of one signal's OTLP requests, and the variables that set them.
//!
//! Owns which variable means what: each exists for all signals and for one, and the
//! latter wins. It must not know what is done with an option; [`super::client`] does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::connect::TlsFiles;
use crate::endpoint::{Address, EndpointError, default_url};
use crate::env::Env;
use crate::error::StartError;
use crate::given::Given;
use crate::headers::Headers;
use crate::settings::TIMEOUT;

use super::{Compression, Protocol, Signal};

/// Options as they were given; `None` and empty mean "not said here".
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OtlpOptions {
    pub(crate) protocol: Option<Protocol>,
    pub(crate) address: Option<Given<Address>>,
    pub(crate) insecure: Option<bool>,
    pub(crate) headers: Headers,
    pub(crate) compression: Option<Compression>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) tls: TlsFiles,
}

impl OtlpOptions {
    /// Reads the variables of a signal.
    pub(crate) fn from_env(env: &mut Env<'_>, signal: Signal) -> Self {
        let protocol = first(signal, "PROTOCOL", |name| {
            env.choice(name, PROTOCOLS, "http/protobuf")
        });
        Self {
            protocol,
            address: address(env, signal, protocol.unwrap_or_default()),
            insecure: first(signal, "INSECURE", |name| env.boolean(name)),
            headers: first(signal, "HEADERS", |name| Headers::from_env(env, name))
                .unwrap_or_default(),
            compression: first(signal, "COMPRESSION", |name| {
                env.choice(name, COMPRESSIONS, "none")
            }),
            timeout: first(signal, "TIMEOUT", |name| env.millis(name, TIMEOUT)),
            tls: TlsFiles {
                certificate: file(env, signal, "CERTIFICATE"),
                client_certificate: file(env, signal, "CLIENT_CERTIFICATE"),
                client_key: file(env, signal, "CLIENT_KEY"),
            },
        }
    }

    /// Lays these options over weaker ones.
    pub(crate) fn over(self, weaker: Self) -> Self {
        let mut headers = weaker.headers;
        headers.extend(self.headers);
        Self {
            protocol: self.protocol.or(weaker.protocol),
            address: self.address.or(weaker.address),
            insecure: self.insecure.or(weaker.insecure),
            headers,
            compression: self.compression.or(weaker.compression),
            timeout: self.timeout.or(weaker.timeout),
            tls: self.tls.over(weaker.tls),
        }
    }

    pub(crate) fn set_endpoint(&mut self, url: &str) -> Result<(), StartError> {
        self.set_address("endpoint", url, Address::base(url))
    }

    pub(crate) fn set_exact_endpoint(&mut self, option: &str, url: &str) -> Result<(), StartError> {
        self.set_address(option, url, Address::exact(url))
    }

    pub(crate) fn set_header(&mut self, name: &str, value: &str) -> Result<(), StartError> {
        self.headers
            .set(name, value)
            .map_err(|error| StartError::invalid(format!("header {name:?} {}", error.what())))
    }

    fn set_address(
        &mut self,
        option: &str,
        url: &str,
        address: Result<Address, EndpointError>,
    ) -> Result<(), StartError> {
        match address {
            Ok(address) => {
                self.address = Some(Given::by_option(option, address));
                Ok(())
            }
            Err(error) if error.is_secret() => {
                Err(StartError::invalid(format!("{option} is {}", error.what())))
            }
            Err(error) => Err(StartError::invalid(format!(
                "{option} {url:?} is {}",
                error.what()
            ))),
        }
    }
}

/// Something for each signal.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PerSignal<T> {
    pub(crate) traces: T,
    pub(crate) metrics: T,
    pub(crate) logs: T,
}

impl<T> PerSignal<T> {
    pub(crate) fn of(mut make: impl FnMut(Signal) -> T) -> Self {
        Self {
            traces: make(Signal::Traces),
            metrics: make(Signal::Metrics),
            logs: make(Signal::Logs),
        }
    }

    pub(crate) fn each(&mut self) -> [&mut T; 3] {
        [&mut self.traces, &mut self.metrics, &mut self.logs]
    }
}

impl PerSignal<OtlpOptions> {
    pub(crate) fn over(self, weaker: Self) -> Self {
        Self {
            traces: self.traces.over(weaker.traces),
            metrics: self.metrics.over(weaker.metrics),
            logs: self.logs.over(weaker.logs),
        }
    }
}

const PROTOCOLS: &[(&str, Protocol)] = &[
    ("grpc", Protocol::Grpc),
    ("http/protobuf", Protocol::HttpProtobuf),
    ("http/json", Protocol::HttpJson),
];

/// Those that were compiled in: to send without one is never wrong.
const COMPRESSIONS: &[(&str, Compression)] = &[
    ("none", Compression::None),
    #[cfg(feature = "gzip")]
    ("gzip", Compression::Gzip),
    #[cfg(feature = "zstd")]
    ("zstd", Compression::Zstd),
];

/// The value that the variable of the signal gives, or else that of all signals.
fn first<T>(signal: Signal, option: &str, mut read: impl FnMut(&str) -> Option<T>) -> Option<T> {
    let [of_signal, of_all] = names(signal, option);
    read(&of_signal).or_else(|| read(&of_all))
}

fn names(signal: Signal, option: &str) -> [String; 2] {
    let signal = match signal {
        Signal::Traces => "TRACES",
        Signal::Metrics => "METRICS",
        Signal::Logs => "LOGS",
    };
    [
        format!("OTEL_EXPORTER_OTLP_{signal}_{option}"),
        format!("OTEL_EXPORTER_OTLP_{option}"),
    ]
}

fn file(env: &mut Env<'_>, signal: Signal, option: &str) -> Option<Given<PathBuf>> {
    first(signal, option, |name| {
        let path = env.text(name)?;
        Some(Given::by_variable(name, Path::new(&path).to_owned()))
    })
}

fn address(env: &mut Env<'_>, signal: Signal, protocol: Protocol) -> Option<Given<Address>> {
    type Parse = fn(&str) -> Result<Address, EndpointError>;
    let parsers: [Parse; 2] = [Address::exact, Address::base];
    for (name, parse) in names(signal, "ENDPOINT").iter().zip(parsers) {
        let Some(url) = env.text(name) else { continue };
        let error = match parse(&url) {
            Ok(address) => return Some(Given::by_variable(name, address)),
            Err(error) => error,
        };
        if error.is_secret() {
            env.bad_secret(
                name,
                &format!("the value is {}", error.what()),
                &format!("using the default {}", default_url(protocol)),
            );
        } else {
            env.bad(name, &url, error.what(), default_url(protocol));
        }
    }
    None
}

#[cfg(test)]
mod tests;
