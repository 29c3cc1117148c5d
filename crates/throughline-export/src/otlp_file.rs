//! OTLP in JSON, one line per batch, to a file, standard output or any other stream.
//!
//! Owns the file exporter of the OpenTelemetry specification: what stands on a line
//! and when a write that failed may be repeated. Writing may take as long as the
//! reader of a pipe likes, so a thread of its own does it; the thread and the lines
//! are in [`writer`].

mod writer;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use bytes::Bytes;
use tokio::sync::oneshot;

use self::writer::{Job, Lines, Writer};
use crate::exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter};

/// Writes each batch as one line of OTLP/JSON, a `TracesData` object, as the
/// [OTLP file exporter][spec] of the OpenTelemetry specification (status:
/// development) says.
///
/// A batch is acknowledged when the operating system has all of its line, which
/// survives the death of the process, not that of the machine. A line that was
/// written in part is left as it is, and the next one starts on a new line. Nothing
/// is held back for a flush. A file grows without bound; it is opened for appending
/// and kept open, so rotate it by copying and truncating.
///
/// Writing happens on a thread that the first batch starts. A reader that stops
/// reading holds up that thread and nothing else; the pipeline's timeouts apply.
///
/// Spans are lost under these types: `storage_full` (after retries), `broken_pipe`,
/// `io`, `malformed`.
///
/// ```
/// use throughline_export::{OtlpFileExporter, Pipeline};
///
/// # let directory = std::env::temp_dir();
/// let exporter = OtlpFileExporter::file(directory.join("traces.jsonl"))?;
/// let pipeline = Pipeline::builder().exporter(exporter).start().unwrap();
/// # drop(pipeline);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// [spec]: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/
pub struct OtlpFileExporter {
    destination: String,
    writer: Writer,
    /// The write that has not been answered. It goes on when its attempt has timed
    /// out, since nothing can take it back.
    pending: Option<Pending>,
}

struct Pending {
    request: Bytes,
    answer: oneshot::Receiver<Result<(), ExportError>>,
}

impl OtlpFileExporter {
    /// Appends to a file, which is made if it does not exist. The preferred extension
    /// is `jsonl`.
    ///
    /// # Errors
    ///
    /// The file cannot be opened for appending.
    pub fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let torn = ends_within_a_line(path, &file)?;
        let lines = Lines::new(Box::new(file), torn);
        Ok(Self::new(path.display().to_string(), lines))
    }

    /// Writes to standard output, between the lines that the program prints.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new("standard output".to_owned(), Lines::to_stdout())
    }

    /// Writes to a stream, whose buffer, if it has one, is flushed after each line.
    #[must_use]
    pub fn writer(stream: impl Write + Send + 'static) -> Self {
        Self::new("a stream".to_owned(), Lines::new(Box::new(stream), false))
    }

    fn new(destination: String, lines: Lines) -> Self {
        Self {
            destination,
            writer: Writer::new(lines),
            pending: None,
        }
    }

    async fn write(&mut self, batch: Batch) -> Result<Receipt, ExportError> {
        let request = batch.request();
        if let Some(pending) = &mut self.pending {
            let result = answer(&mut pending.answer).await;
            // The same memory is the same batch: a clone is held here.
            let again = std::ptr::eq(&raw const pending.request[..], &raw const request[..]);
            self.pending = None;
            if again {
                return result;
            }
        }
        let (reply, answered) = oneshot::channel();
        self.writer.begin(Job {
            request: request.clone(),
            reply,
        })?;
        let pending = self.pending.insert(Pending {
            request: request.clone(),
            answer: answered,
        });
        let result = answer(&mut pending.answer).await;
        self.pending = None;
        result
    }
}

impl SpanExporter for OtlpFileExporter {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        Box::pin(self.write(batch))
    }

    fn destination(&self) -> String {
        self.destination.clone()
    }
}

impl fmt::Debug for OtlpFileExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpFileExporter")
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}

async fn answer(
    answer: &mut oneshot::Receiver<Result<(), ExportError>>,
) -> Result<Receipt, ExportError> {
    match answer.await {
        Ok(result) => result.map(|()| Receipt::complete()),
        Err(_) => Err(ExportError::permanent("io", "the writing thread has ended")),
    }
}

/// Whether somebody was interrupted while writing the last line.
fn ends_within_a_line(path: &Path, file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(false);
    }
    let last = File::open(path).and_then(|mut file| {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok(last)
    });
    // A file that may be written and not read: an empty line does no harm.
    Ok(!matches!(last, Ok([b'\n'])))
}

#[cfg(test)]
mod tests;
