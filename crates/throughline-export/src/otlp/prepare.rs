//! What becomes of a request before it is sent: it is translated and compressed, once.

use bytes::Bytes;

use crate::error::StartError;
use crate::exporter::ExportError;

use super::client::check_size;
use super::options::OtlpOptions;
use super::{Compression, Protocol, Signal};

/// Makes the bodies of requests.
pub(super) struct Preparation {
    /// Makes JSON of protobuf.
    translate: Option<Translate>,
    compression: Compression,
    /// The last request and the body that was made of it: to send it again is to send the same bytes.
    last: Option<(Bytes, Bytes)>,
}

impl Preparation {
    /// # Errors
    ///
    /// What it takes was not compiled in.
    pub(super) fn new(signal: Signal, options: &OtlpOptions) -> Result<Self, StartError> {
        let compression = options.compression.unwrap_or_default();
        compression.check()?;
        Ok(Self {
            translate: match options.protocol {
                Some(Protocol::HttpJson) => Some(translation(signal)?),
                _ => None,
            },
            compression,
            last: None,
        })
    }

    /// What is sent for a request.
    pub(super) fn body(&mut self, request: &Bytes) -> Result<Bytes, ExportError> {
        check_size(request)?;
        if self.translate.is_none() && self.compression == Compression::None {
            return Ok(request.clone());
        }
        match &self.last {
            // The clone keeps the place from being used again.
            Some((same, body)) if same.as_ptr() == request.as_ptr() && same == request => {
                Ok(body.clone())
            }
            _ => {
                let body = match self.translate {
                    Some(translate) => translate(request)?,
                    None => request.clone(),
                };
                check_size(&body)?;
                let body = self.compression.compress(body)?;
                self.last = Some((request.clone(), body.clone()));
                Ok(body)
            }
        }
    }

    /// The last request is not sent again.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

type Translate = fn(&[u8]) -> Result<Bytes, ExportError>;

#[cfg(feature = "json")]
fn translation(signal: Signal) -> Result<Translate, StartError> {
    match signal {
        Signal::Traces => Ok(crate::json::trace_request),
        Signal::Metrics => Ok(crate::json::metrics_request),
        Signal::Logs => Err(StartError::unsupported(
            "protocol http/json is there for traces and metrics only",
        )),
    }
}

#[cfg(not(feature = "json"))]
fn translation(_: Signal) -> Result<Translate, StartError> {
    Err(super::client::missing("http/json", "json"))
}
