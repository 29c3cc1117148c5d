//! What an exporter is: takes an encoded batch, says what became of it.
//!
//! Owns the trait, the batch and the error that tells the pipeline what to do
//! next. It must not know any transport; retrying is the pipeline's work.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::stats::SpooledSpans;

/// The future of one export.
///
/// It is polled on one export thread only, inside that thread's own tokio runtime
/// with time and I/O enabled, so it need not be `Send`.
pub type ExportFuture<'a> = Pin<Box<dyn Future<Output = Result<Receipt, ExportError>> + 'a>>;

/// Reads the counts of an exporter that keeps spans and delivers them later. Spans are
/// among the accepted ones before the future of their export is ready.
pub type SpooledReader = Arc<dyn Fn() -> SpooledSpans + Send + Sync>;

/// Sends batches somewhere.
///
/// The pipeline calls an exporter from one thread, which is for it alone, and never
/// concurrently. It repeats a batch after a [transient](ExportError::transient)
/// error, sends one that is [too large](ExportError::too_large) in halves, ends an
/// attempt that takes longer than the timeout by dropping its future, and counts
/// a panic as a failed batch. An exporter that holds its thread beyond the timeout
/// loses the batch, and what waits for it waits on.
///
/// ```
/// use std::future::ready;
/// use throughline_export::{Batch, ExportFuture, Receipt, SpanExporter};
///
/// struct Count(u64);
///
/// impl SpanExporter for Count {
///     fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
///         self.0 += batch.spans();
///         Box::pin(ready(Ok(Receipt::complete())))
///     }
/// }
/// ```
pub trait SpanExporter: Send {
    /// Sends one batch.
    fn export(&mut self, batch: Batch) -> ExportFuture<'_>;

    /// Passes on what the exporter itself holds back. Called after the last batch
    /// of a flush and of a shutdown; a failure makes the report incomplete.
    fn flush(&mut self) -> ExportFuture<'_> {
        Box::pin(std::future::ready(Ok(Receipt::complete())))
    }

    /// Gives back what only one can have at a time, such as the lock of a file, for the
    /// next one to have it once a shutdown is complete. Called after the last flush of a
    /// shutdown; nothing is exported afterwards.
    fn release(&mut self) {}

    /// What tells, from any thread, which of the spans that [`export`](Self::export) has
    /// accepted are not at the destination yet, and what became of the others. None
    /// for an exporter that accepts only what has arrived. Asked once, at the start.
    fn spooled(&self) -> Option<SpooledReader> {
        None
    }

    /// Where the spans go, for messages: a URL, a file name. It must hold no secret.
    fn destination(&self) -> String {
        "the exporter".to_owned()
    }

    /// What kind of exporter this is, in metrics: the `otel.component.type` of the
    /// OpenTelemetry semantic conventions. Default: the name of the type.
    fn component_type(&self) -> &str {
        std::any::type_name::<Self>()
    }
}

/// A number of finished spans, encoded as one `ExportTraceServiceRequest`.
///
/// Cloning is cheap: clones share the bytes.
#[derive(Clone)]
pub struct Batch {
    request: Bytes,
    spans: u64,
}

impl Batch {
    pub(crate) fn new(request: Bytes, spans: u64) -> Self {
        Self { request, spans }
    }

    /// The buffer of the request, unless somebody still has a clone.
    pub(crate) fn into_buffer(self) -> Option<Vec<u8>> {
        let mut buffer = self.request.try_into_mut().ok()?;
        // Otherwise its content would be moved to the front, although nobody reads it again.
        buffer.clear();
        Some(Vec::from(buffer))
    }

    /// The encoded request.
    #[must_use]
    pub fn request(&self) -> &Bytes {
        &self.request
    }

    /// How many spans are in the request.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.spans
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("spans", &self.spans)
            .field("bytes", &self.request.len())
            .finish()
    }
}

/// The acknowledgement of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    rejected: u64,
    message: Option<String>,
}

impl Receipt {
    /// Every span was accepted.
    #[must_use]
    pub fn complete() -> Self {
        Self::default()
    }

    /// All but `rejected` spans were accepted; more than the batch holds counts as
    /// all of it. With no rejected span the message is a warning.
    #[must_use]
    pub fn partial(rejected: u64, message: impl Into<String>) -> Self {
        let message = Some(message.into()).filter(|message| !message.is_empty());
        Self { rejected, message }
    }

    /// How many spans were refused.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// What the other side says about it.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

/// Why a batch was not exported, and so what to do next.
#[derive(Debug)]
pub struct ExportError {
    next: Next,
    error_type: Cow<'static, str>,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Repeat the batch after a while.
    Retry,
    /// Repeat it, but not while the process waits to end: nobody is listening.
    RetryUnlessClosing,
    /// Send the batch in parts; a single span counts as failed.
    Split,
    /// Count the batch as failed.
    GiveUp,
}

impl ExportError {
    /// A failure that may pass: the batch is sent again after a while.
    ///
    /// `error_type` is the low-cardinality name under which the spans are counted
    /// if they never get through, such as `timeout`.
    #[must_use]
    pub fn transient(error_type: &'static str, message: impl Into<String>) -> Self {
        Self::new(Next::Retry, error_type.into(), message.into())
    }

    /// Nobody answers at the destination. It is like [`transient`](Self::transient),
    /// except that a shutdown tries only once more.
    #[must_use]
    pub fn unreachable(error_type: &'static str, message: impl Into<String>) -> Self {
        Self::new(Next::RetryUnlessClosing, error_type.into(), message.into())
    }

    /// A failure that would repeat: the batch is counted as failed at once.
    #[must_use]
    pub fn permanent(error_type: &'static str, message: impl Into<String>) -> Self {
        Self::new(Next::GiveUp, error_type.into(), message.into())
    }

    /// The batch is larger than the other side takes: its halves may pass.
    #[must_use]
    pub fn too_large(error_type: &'static str, message: impl Into<String>) -> Self {
        Self::new(Next::Split, error_type.into(), message.into())
    }

    /// An HTTP response with an error status; the status is the type.
    pub(crate) fn status(status: u16, transient: bool, message: String) -> Self {
        let next = if transient { Next::Retry } else { Next::GiveUp };
        Self::new(next, status.to_string().into(), message)
    }

    /// The other side asked to be left alone for this long.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The error underneath.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether sending the same batch again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.next, Next::Retry | Next::RetryUnlessClosing)
    }

    /// Whether parts of the same batch may get through.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.next == Next::Split
    }

    /// Whether nobody answers at the destination.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        self.next == Next::RetryUnlessClosing
    }

    /// How long the other side asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The name under which spans lost to this error are counted.
    #[must_use]
    pub fn error_type(&self) -> &str {
        &self.error_type
    }

    fn new(next: Next, error_type: Cow<'static, str>, message: String) -> Self {
        Self {
            next,
            error_type,
            message,
            retry_after: None,
            source: None,
        }
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ExportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
