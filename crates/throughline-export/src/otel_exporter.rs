//! Any exporter of the OpenTelemetry SDK as a destination.
//!
//! Owns the adapter: what calls the exporter, and when. To read the request is the work of `decode`.

mod decode;

use std::fmt;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanExporter as SdkSpanExporter;

use crate::exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter};

/// Hands the spans to an exporter of the OpenTelemetry SDK, such as `opentelemetry-stdout` has one.
///
/// Such an exporter takes values, not bytes, so each batch is decoded first: this costs what the rest of the pipeline
/// saves. A value that the SDK's types cannot hold (bytes, a map, an array of mixed types) becomes text.
///
/// A batch is not repeated: by the SDK's contract its exporters do that themselves. The exporter is shut down when it
/// is dropped, at the end of the pipeline.
///
/// ```no_run
/// use throughline_export::{Pipeline, SdkExporter};
///
/// # fn exporter() -> impl opentelemetry_sdk::trace::SpanExporter + 'static { opentelemetry_sdk::trace::InMemorySpanExporter::default() }
/// let pipeline = Pipeline::builder()
///     .exporter(SdkExporter::new(exporter()))
///     .start()?;
/// # Ok::<(), throughline_export::StartError>(())
/// ```
pub struct SdkExporter<E: SdkSpanExporter> {
    exporter: E,
    /// The encoded resource that the exporter was told.
    resource: Option<Vec<u8>>,
}

impl<E: SdkSpanExporter> SdkExporter<E> {
    /// An adapter of this exporter.
    #[must_use]
    pub fn new(exporter: E) -> Self {
        Self {
            exporter,
            resource: None,
        }
    }
}

impl<E: SdkSpanExporter> SpanExporter for SdkExporter<E> {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        Box::pin(async move {
            let decoded = decode::request(batch.request()).map_err(|malformed| {
                ExportError::permanent("malformed_request", malformed.to_string())
            })?;
            if self.resource.as_deref() != Some(decoded.resource_bytes) {
                self.resource = Some(decoded.resource_bytes.to_vec());
                self.exporter.set_resource(&decoded.resource);
            }
            result(self.exporter.export(decoded.spans).await)
        })
    }

    fn flush(&mut self) -> ExportFuture<'_> {
        let flushed = result(self.exporter.force_flush());
        Box::pin(std::future::ready(flushed))
    }

    fn destination(&self) -> String {
        format!("the exporter {}", std::any::type_name::<E>())
    }
}

impl<E: SdkSpanExporter> Drop for SdkExporter<E> {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.exporter.shutdown();
    }
}

impl<E: SdkSpanExporter> fmt::Debug for SdkExporter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkExporter")
            .field("exporter", &self.exporter)
            .finish_non_exhaustive()
    }
}

fn result(result: OTelSdkResult) -> Result<Receipt, ExportError> {
    result.map(|()| Receipt::complete()).map_err(|error| {
        let error_type = match &error {
            OTelSdkError::AlreadyShutdown => "already_shutdown",
            OTelSdkError::Timeout(_) => "timeout",
            OTelSdkError::InternalFailure(_) => "sdk_exporter",
        };
        ExportError::permanent(error_type, error.to_string())
    })
}
