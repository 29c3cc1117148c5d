//! TLS with rustls.
//!
//! Owns certificates: whom to trust and who to be. The cryptography is named here,
//! so that the process needs no default of its own and none of its choices count.
//! Files are read once, when the exporter is made.

use std::path::Path;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;
use crate::error::StartError;
use crate::given::Given;

use super::{ConnectError, Io, TlsFiles, Version};

/// Wraps connections to one endpoint.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    pub(super) fn new(
        endpoint: &Endpoint,
        version: Version,
        files: &TlsFiles,
    ) -> Result<Self, StartError> {
        let host = endpoint.uri().host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            let endpoint = endpoint.to_string();
            StartError::invalid(format!(
                "endpoint {endpoint:?} has no host that tls can check"
            ))
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| StartError::invalid(format!("tls cannot be set up: {error}")))?
            .with_root_certificates(roots(files)?);
        let mut config = match (&files.client_certificate, &files.client_key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => builder
                .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
                .map_err(|error| {
                    let what = format!("does not go with {}: {error}", certificate.by);
                    bad_file(key, &what)
                })?,
            (Some(only), None) => return Err(bad_file(only, "comes without a client key")),
            (None, Some(only)) => return Err(bad_file(only, "comes without a client certificate")),
        };
        config.alpn_protocols = match version {
            Version::Http1 => vec![b"http/1.1".to_vec()],
            Version::Http2 => vec![b"h2".to_vec()],
        };
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }

    /// Shakes hands over a connection.
    pub(super) async fn wrap(&self, io: Box<dyn Io>) -> Result<Box<dyn Io>, ConnectError> {
        let stream = self
            .connector
            .connect(self.name.clone(), TokioIo::new(io))
            .await
            .map_err(|error| ConnectError::new("tls", error))?;
        Ok(Box::new(TokioIo::new(stream)))
    }
}

fn roots(files: &TlsFiles) -> Result<RootCertStore, StartError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &files.certificate {
        for certificate in certificates(file)? {
            roots
                .add(certificate)
                .map_err(|error| bad_file(file, &format!("holds no usable root: {error}")))?;
        }
        return Ok(roots);
    }
    // Systems ship some roots that cannot be read; the others are as good as ever.
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(StartError::invalid(
            "the system has no trusted certificates; name a file with the option certificate or \
             the variable OTEL_EXPORTER_OTLP_CERTIFICATE",
        ));
    }
    Ok(roots)
}

fn certificates(
    file: &Given<impl AsRef<Path>>,
) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&read(file)?)
        .collect::<Result<_, _>>()
        .map_err(|error| bad_pem(file, &error))?;
    if certificates.is_empty() {
        return Err(bad_file(file, "holds no certificate in pem form"));
    }
    Ok(certificates)
}

fn private_key(file: &Given<impl AsRef<Path>>) -> Result<PrivateKeyDer<'static>, StartError> {
    PrivateKeyDer::from_pem_slice(&read(file)?).map_err(|error| match error {
        pem::Error::NoItemsFound => bad_file(file, "holds no private key in pem form"),
        error => bad_pem(file, &error),
    })
}

fn read(file: &Given<impl AsRef<Path>>) -> Result<Vec<u8>, StartError> {
    std::fs::read(file.value.as_ref())
        .map_err(|error| bad_file(file, &format!("cannot be read: {}", error.kind())))
}

/// The error may quote the file, which may be a key.
fn bad_pem(file: &Given<impl AsRef<Path>>, error: &pem::Error) -> StartError {
    bad_file(
        file,
        match error {
            pem::Error::MissingSectionEnd { .. } => "is no pem: a section does not end",
            pem::Error::Base64Decode(_) => "is no pem: a section is not base64",
            _ => "is no pem",
        },
    )
}

fn bad_file(file: &Given<impl AsRef<Path>>, what: &str) -> StartError {
    let path = file.value.as_ref().display().to_string();
    StartError::invalid(format!("{} {path:?} {what}", file.by))
}

#[cfg(test)]
mod tests;
