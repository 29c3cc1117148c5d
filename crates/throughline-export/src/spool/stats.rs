//! What became of the spans in a spool, and what went wrong with its files.
//!
//! Owns the numbers and the lock around them. The thread of the spool writes them,
//! anybody may read them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::stats::{SpooledSpans, Tallies};

/// What a spool has done since it was opened.
///
/// For this process's spans and for those of earlier ones, [`SpooledSpans::waiting`]
/// and the three fates add up to what was accepted, exactly and always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolStats {
    /// Spans of this process: those that the spool took over from the pipeline.
    pub own: SpooledSpans,
    /// Spans that earlier processes left. They count as accepted when their file is
    /// read, which is when it is their turn; until then only
    /// [`earlier_bytes`](Self::earlier_bytes) knows of them.
    pub earlier: SpooledSpans,
    /// The size of the files that earlier processes left and that are not yet done
    /// with.
    pub earlier_bytes: u64,
    /// The size of all files at this moment. Never more than the bound.
    pub file_bytes: u64,
    /// The number of files at this moment.
    pub files: u64,
    /// Records, stretches of files without any, and whole files of earlier processes
    /// that could not be read: torn by the end of a process or damaged since. They are
    /// skipped. What was torn was never accepted.
    pub corrupt_records: u64,
    /// The bytes of those.
    pub corrupt_bytes: u64,
    /// Operations on files that failed, by name: `create`, `write`, `truncate`, `sync`,
    /// `read`, `mark` and `remove`.
    pub failures: Tallies,
}

/// Looks into a spool from anywhere. Clones look into the same one.
///
/// ```
/// use throughline_export::{SpoolExporter, SpoolHandle};
/// # use throughline_export::{Batch, ExportFuture, Receipt, SpanExporter};
/// # struct Nowhere;
/// # impl SpanExporter for Nowhere {
/// #     fn export(&mut self, _: Batch) -> ExportFuture<'_> { Box::pin(std::future::ready(Ok(Receipt::complete()))) }
/// # }
/// # let directory = tempfile::tempdir()?;
/// let exporter = SpoolExporter::wrap(Nowhere, directory.path()).open()?;
/// let spool: SpoolHandle = exporter.handle();
/// // … hand the exporter to a pipeline; then at any time, on any thread:
/// assert_eq!(spool.stats().own.waiting(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct SpoolHandle(Arc<Mutex<SpoolStats>>);

impl SpoolHandle {
    /// The numbers at this moment, all of the same one. Costs a lock that is never
    /// held for long, and a copy.
    #[must_use]
    pub fn stats(&self) -> SpoolStats {
        self.lock().clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SpoolStats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over spans of this process. Whoever calls it has written them before.
    pub(super) fn accept(&self, spans: u64) {
        self.lock().own.accepted += spans;
    }
}

impl SpoolStats {
    /// The side that a record belongs to.
    pub(super) fn side(&mut self, earlier: bool) -> &mut SpooledSpans {
        if earlier {
            &mut self.earlier
        } else {
            &mut self.own
        }
    }
}
