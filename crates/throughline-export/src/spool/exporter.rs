//! The spool as an exporter: its options, its start and its end.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::error::SpoolError;
use super::log::{Bounds, Log};
use super::notices::Notices;
use super::settings::{MAX_BYTES, MIN_MAX_BYTES};
use super::stats::SpoolHandle;
use super::storage::{Directory, Storage};
use super::worker::{Answer, Request, Times, Worker};
use crate::deliver::quietly;
use crate::exporter::{Batch, ExportError, ExportFuture, Receipt, SpanExporter, SpooledReader};
use crate::settings::TIMEOUT;
use crate::sync::Bell;
use crate::thread;

/// How long a batch may go unanswered before it is written.
const PATIENCE: Duration = Duration::from_secs(1);

/// The size of a segment: what is read at once, and given up at once when room is
/// needed.
const SEGMENT_BYTES: u64 = 4 << 20;

/// A spool has at least so many segments, so that making room costs a part of it.
const SEGMENTS: u64 = 8;

/// How long the end of a spool waits for its thread, which may hang on a disk.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Keeps spans in files while the destination of another exporter does not work.
///
/// ```no_run
/// use throughline_export::{Pipeline, SpanExporter, SpoolExporter};
///
/// # fn otlp() -> impl SpanExporter + 'static { struct E; impl SpanExporter for E { fn export(&mut self, _: throughline_export::Batch) -> throughline_export::ExportFuture<'_> { unimplemented!() } } E }
/// let exporter = SpoolExporter::wrap(otlp(), "/var/spool/cart")
///     .max_bytes(1 << 30)
///     .open()?;
/// let spool = exporter.handle();
/// let pipeline = Pipeline::builder().exporter(exporter).start()?;
/// // … during an outage of the collector:
/// println!("{} spans wait on the disk", spool.stats().own.waiting());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What goes where
///
/// While the destination works, batches go there and no file is touched. A batch
/// that fails with a [transient](ExportError::is_transient) error, or is not answered
/// [in time](SpoolBuilder::write_after), is written to the spool, and so are all
/// after it until the spool is empty again. What is in the spool is delivered oldest
/// first, in the background, with the pipeline's backoff, for as long as it takes; what
/// earlier processes left in the directory comes first. A batch that the destination
/// refuses for good is counted as failed.
///
/// A batch that the spool cannot take, because the disk is full or broken, is sent
/// again from memory like one without a spool.
///
/// # What survives what
///
/// | event | what it costs |
/// |---|---|
/// | end of the process, however it comes | nothing that the spool took |
/// | end of the machine | what was [not yet on the disk](SpoolBuilder::max_unsynced_bytes); by default nothing that the spool took |
/// | a damaged record | that record |
/// | more than [`max_bytes`](SpoolBuilder::max_bytes) | the oldest segment: an eighth of the spool, 4 MiB at most |
/// | a directory that cannot be written to | nothing that memory can hold |
///
/// Delivery is at least once: what was delivered and not yet marked so when the process
/// ended is delivered again; after the end of the machine it may be all that was
/// delivered lately, and out of order, since marks and removals are not brought to the
/// disk one by one. With [`write_after`](SpoolBuilder::write_after)
/// zero, every batch is written before it is sent.
///
/// # Cost
///
/// A thread, and while something is in the spool the memory of one segment (4 MiB, or
/// one batch if that is larger) and of one batch. Nothing but that thread ever waits
/// for a disk. While the destination works, a batch crosses to that thread and back.
///
/// # Counts
///
/// The pipeline counts spans that the spool took as
/// [spooled](crate::PipelineStats::spooled) until it is known what became of them, so
/// its counts remain exact. [`handle`](Self::handle) tells more, and the fate of the
/// spans of earlier processes, which are in nobody else's counts. A flush
/// tries to empty the spool and fails if it cannot: what the flush has not delivered
/// is on the disk by then. Dropping the exporter leaves what is in the spool to the
/// next process.
///
/// # Sharing
///
/// A directory belongs to one exporter of one process at a time, by a lock that ends
/// with the exporter, with a shutdown of the pipeline that has it, once that is complete,
/// or with the process. [`open`](SpoolBuilder::open) refuses a second one at once. A child
/// that was forked without `exec` inherits the lock, and keeps it if the process ends
/// without giving it back. Files with other names are left alone.
pub struct SpoolExporter {
    /// None once it is released, which ends the thread.
    requests: Option<mpsc::Sender<Request>>,
    counts: SpoolHandle,
    destination: String,
    directory: PathBuf,
    /// Ends the rest of the thread after a panic.
    bell: Arc<Bell>,
    /// Closed when the thread is done with the files.
    done: std_mpsc::Receiver<()>,
}

impl SpoolExporter {
    /// A spool for this exporter in this directory, which is made if it is missing.
    pub fn wrap(
        exporter: impl SpanExporter + 'static,
        directory: impl Into<PathBuf>,
    ) -> SpoolBuilder {
        SpoolBuilder::new(Box::new(exporter), directory.into())
    }

    /// Looks into the spool from elsewhere, also after the exporter was handed to a
    /// pipeline.
    #[must_use]
    pub fn handle(&self) -> SpoolHandle {
        self.counts.clone()
    }
}

impl SpanExporter for SpoolExporter {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        Box::pin(async move {
            let spans = batch.spans();
            let (answer, answered) = oneshot::channel();
            self.ask(Request::Export(batch, answer)).await?;
            match answered.await {
                Ok(Answer::Settled(result)) => result,
                Ok(Answer::Kept(confirm)) => {
                    // In this order, and without a wait in between: the caller counts the
                    // spans as exported if and only if they are counted here.
                    self.counts.accept(spans);
                    let _ = confirm.send(());
                    Ok(Receipt::complete())
                }
                Err(_) => Err(interrupted()),
            }
        })
    }

    fn flush(&mut self) -> ExportFuture<'_> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.ask(Request::Flush(answer)).await?;
            match answered.await {
                Ok(Answer::Settled(result)) => result,
                Ok(Answer::Kept(_)) | Err(_) => Err(interrupted()),
            }
        })
    }

    fn release(&mut self) {
        self.requests = None;
        self.bell.ring();
        // The directory is free for the next one once this returns, unless the disk
        // hangs. Nothing is ever sent: the end of the thread closes the channel.
        let _ = self.done.recv_timeout(CLOSE_TIMEOUT);
    }

    fn spooled(&self) -> Option<SpooledReader> {
        let counts = self.counts.clone();
        Some(Arc::new(move || counts.stats().own))
    }

    fn destination(&self) -> String {
        self.destination.clone()
    }
}

impl SpoolExporter {
    async fn ask(&self, request: Request) -> Result<(), ExportError> {
        match &self.requests {
            Some(requests) => requests.send(request).await.map_err(|_| interrupted()),
            None => Err(interrupted()),
        }
    }
}

impl Drop for SpoolExporter {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for SpoolExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolExporter")
            .field("destination", &self.destination)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// The options of a [`SpoolExporter`]. Made by [`SpoolExporter::wrap`].
#[must_use = "a builder does nothing until it is opened"]
pub struct SpoolBuilder {
    inner: Box<dyn SpanExporter>,
    directory: PathBuf,
    max_bytes: u64,
    max_unsynced_bytes: u64,
    times: Times,
}

impl SpoolBuilder {
    pub(crate) fn new(inner: Box<dyn SpanExporter>, directory: PathBuf) -> Self {
        Self {
            inner,
            directory,
            max_bytes: MAX_BYTES,
            max_unsynced_bytes: 0,
            times: Times {
                attempt: TIMEOUT,
                patience: PATIENCE,
            },
        }
    }

    /// What all files together may occupy, at any moment, in bytes of content; the
    /// file system adds its own. Default: 128 MiB; at least 64 KiB. When it is full,
    /// the oldest segment makes room, and its spans count as
    /// [dropped](crate::SpooledSpans::dropped) under `spool_full`: the latest spans
    /// are those that say what is wrong now.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many bytes the spool may have accepted that are not yet on the disk: what the
    /// end of the machine may cost. Default: 0, so each batch is on the disk before it
    /// is accepted. (The end of the process costs nothing in either case.) A flush and
    /// the end of the exporter bring the rest to the disk, and so does each full segment.
    pub fn max_unsynced_bytes(mut self, bytes: u64) -> Self {
        self.max_unsynced_bytes = bytes;
        self
    }

    /// How long the destination may take to answer before a batch is written to the
    /// spool, too. The attempt goes on, and if it succeeds nothing is sent twice.
    /// Default: 1 s. Zero: before it is sent.
    ///
    /// It is the part of a shutdown's time that a destination that accepts and never
    /// answers can take, so give shutdowns more.
    pub fn write_after(mut self, patience: Duration) -> Self {
        self.times.patience = patience;
        self
    }

    /// How long one attempt may take; zero means no limit. Default: 10 s, like the
    /// pipeline's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.times.attempt = match timeout {
            Duration::ZERO => Duration::MAX,
            timeout => timeout,
        };
        self
    }

    /// Locks the directory and starts the thread. No file is read, unless the bound has
    /// become lower: whatever is in the directory, this takes as long as listing it,
    /// and succeeds.
    ///
    /// # Errors
    ///
    /// The directory is [in use](SpoolError::is_in_use), which is said at once: a process
    /// that replaces another one on a directory has to start after that one's end. Or it
    /// is [unusable](SpoolError::is_unusable), for one that is read-only for instance; an
    /// option is [invalid](SpoolError::is_invalid_option); or there is
    /// [no thread](SpoolError::is_out_of_resources) to be had.
    pub fn open(self) -> Result<SpoolExporter, SpoolError> {
        let max_bytes = self.max_bytes;
        if max_bytes < MIN_MAX_BYTES {
            return Err(SpoolError::invalid(format!(
                "max_bytes of a spool is {max_bytes}; give at least {MIN_MAX_BYTES}"
            )));
        }
        let storage = Directory::open(&self.directory)?;
        self.open_in(storage, max_bytes)
    }

    /// Like [`open`](Self::open), with other files and nothing checked.
    pub(super) fn open_in(
        self,
        storage: impl Storage + 'static,
        max_bytes: u64,
    ) -> Result<SpoolExporter, SpoolError> {
        let bounds = Bounds {
            bytes: max_bytes,
            segment_bytes: SEGMENT_BYTES.min(max_bytes / SEGMENTS),
            unsynced_bytes: self.max_unsynced_bytes,
        };
        let counts = SpoolHandle::default();
        let log = Log::open(storage, bounds, counts.clone())
            .map_err(|error| SpoolError::unusable(&self.directory, error))?;
        let inner = self.inner;
        let destination = catch_unwind(AssertUnwindSafe(|| inner.destination()))
            .unwrap_or_else(|_| "the exporter".to_owned());
        let notices = Notices::new(
            destination.clone(),
            self.directory.clone(),
            max_bytes,
            counts.clone(),
        );
        let (requests, asked) = mpsc::channel(1);
        let worker = Worker::new(inner, log, self.times, asked, notices);
        let bell = Arc::<Bell>::default();
        let done = spawn(worker, Arc::clone(&bell)).map_err(SpoolError::resources)?;
        Ok(SpoolExporter {
            requests: Some(requests),
            counts,
            destination,
            directory: self.directory,
            bell,
            done,
        })
    }
}

impl fmt::Debug for SpoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolBuilder")
            .field("directory", &self.directory)
            .field("max_bytes", &self.max_bytes)
            .field("max_unsynced_bytes", &self.max_unsynced_bytes)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

/// Starts the thread and waits until it has its runtime. The result is closed when
/// the thread is done with the files.
fn spawn<S: Storage + 'static>(
    mut worker: Worker<S>,
    bell: Arc<Bell>,
) -> io::Result<std_mpsc::Receiver<()>> {
    let (holds_files, done) = std_mpsc::channel();
    thread::start("throughline-spool", thread::runtime, move |runtime| {
        thread::supervise(&bell, || runtime.block_on(worker.run()), || {});
        let inside = runtime.enter();
        // The files are free from here on.
        let mut inner = worker.into_inner();
        // The exporter may hold what wants a runtime around it while it is dropped, and
        // its destructor may take its time, or panic.
        quietly(|| inner.release());
        drop(holds_files);
        quietly(|| drop(inner));
        drop(inside);
        runtime.shutdown_background();
    })?;
    Ok(done)
}

fn interrupted() -> ExportError {
    ExportError::transient("spool", "the thread of the spool was interrupted")
}
