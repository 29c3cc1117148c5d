//! The pipeline as the application holds it.
//!
//! Owns the public handle: what it may be asked from any thread, in whatever
//! state the process is. The work is done elsewhere.

use std::fmt;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use throughline_core::{Context, Recorder};
use throughline_ring::fork_generation;

use crate::builder::PipelineBuilder;
#[cfg(all(unix, feature = "signals"))]
use crate::error::StartError;
use crate::shared::Shared;
use crate::stats::{FlushReport, PipelineStats};

/// How long dropping a pipeline may take.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes the ended spans of its recorder to its exporters, on threads of its own.
///
/// Dropping it shuts it down and waits up to five seconds for the last spans to
/// be delivered, so keep it until the end of `main`. It needs no runtime and
/// works inside any.
///
/// All methods may be called from any thread, at the same time and repeatedly;
/// those that wait block the calling thread, up to the timeout they are given.
///
/// ```
/// use std::time::Duration;
/// use throughline_export::Pipeline;
///
/// let pipeline = Pipeline::builder().service_name("cart").no_exporter().start()?;
/// let report = pipeline.shutdown(Duration::from_secs(5));
/// assert!(report.is_complete());
/// # Ok::<(), throughline_export::StartError>(())
/// ```
#[must_use = "dropping a pipeline shuts it down"]
pub struct Pipeline(Kind);

enum Kind {
    /// Records nothing.
    Disabled,
    /// Records into buffers that hold nothing.
    WithoutExporter(Recorder),
    Running(Running),
}

struct Running {
    shared: Arc<Shared>,
    threads: Vec<ThreadId>,
    /// Which process the threads run in.
    generation: u32,
}

impl Pipeline {
    /// The options of a new pipeline.
    pub fn builder() -> PipelineBuilder {
        PipelineBuilder::default()
    }

    /// Exports every span that ended before the call, and waits for it.
    ///
    /// The wait between two attempts at a destination that does not answer is cut
    /// short once. For a destination whose exporter holds its thread, the flush is
    /// answered at once, as a failed one. After a shutdown there is nothing to flush.
    pub fn flush(&self, timeout: Duration) -> FlushReport {
        match self.running() {
            Ok(Some(shared)) => shared.lifecycle.flush(timeout),
            Ok(None) => FlushReport::default(),
            Err(unable) => unable,
        }
    }

    /// Stops recording, exports every span that ended before the call, and ends the
    /// pipeline's threads.
    ///
    /// Spans that end later are counted as dropped. A second call waits for the same
    /// shutdown and returns the same report. What is not delivered when the time of
    /// the first call is over is counted as failed or dropped. Batches that wait for
    /// a destination that does not answer are tried once more. An exporter that holds
    /// its thread is left alone with it: the thread ends when the exporter returns.
    pub fn shutdown(&self, timeout: Duration) -> FlushReport {
        match self.running() {
            Ok(Some(shared)) => shared.shutdown(timeout),
            Ok(None) => {
                if let Kind::WithoutExporter(recorder) = &self.0 {
                    recorder.close();
                }
                FlushReport::default()
            }
            Err(unable) => unable,
        }
    }

    /// At `SIGTERM` or `SIGINT`, shuts this pipeline down and then ends the process by
    /// that signal.
    ///
    /// The shutdown happens on a thread of its own, while the program goes on; a second
    /// signal ends the process at once. Several pipelines are shut down one after the
    /// other. A pipeline without an exporter has nothing to deliver and no need of this.
    ///
    /// It is meant for programs that leave these signals alone otherwise. A program that
    /// winds down by itself at a signal (`tokio::signal`, axum's graceful shutdown) calls
    /// [`shutdown`](Self::shutdown) at the end of that instead. In a child that is forked
    /// and does not `exec`, the signals do what they do without handlers, until the child
    /// calls this for a pipeline that it started itself.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use throughline_export::Pipeline;
    ///
    /// let pipeline = Pipeline::builder().env().start_global()?;
    /// pipeline.shutdown_on_signals(Duration::from_secs(5))?;
    /// # Ok::<(), throughline_export::StartError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The operating system gives [no thread](StartError::is_out_of_resources) or no
    /// file descriptor. The signals then do what they did before.
    #[cfg(all(unix, feature = "signals"))]
    pub fn shutdown_on_signals(&self, timeout: Duration) -> Result<(), StartError> {
        let Kind::Running(running) = &self.0 else {
            return Ok(());
        };
        crate::signals::watch(&running.shared, timeout).map_err(|source| {
            let message = format!("signals cannot be waited for: {source}");
            StartError::resources(message, source)
        })
    }

    /// What became of the spans so far.
    ///
    /// In a forked child it counts from the fork on, and nothing is ever exported.
    #[must_use]
    pub fn stats(&self) -> PipelineStats {
        match &self.0 {
            Kind::Disabled => PipelineStats::default(),
            Kind::Running(running) if !running.is_in_child() => running.shared.stats(),
            Kind::Running(running) => unread(&running.shared.recorder, "queue_full"),
            Kind::WithoutExporter(recorder) => unread(recorder, "no_exporter"),
        }
    }

    /// A context without a span. Traces that start while it is attached are recorded
    /// by this pipeline, whichever is process-wide.
    #[must_use]
    pub fn context(&self) -> Context {
        self.recorder().map(Recorder::context).unwrap_or_default()
    }

    /// What records the spans; none in a disabled pipeline.
    #[must_use]
    pub fn recorder(&self) -> Option<&Recorder> {
        match &self.0 {
            Kind::Disabled => None,
            Kind::WithoutExporter(recorder) => Some(recorder),
            Kind::Running(running) => Some(&running.shared.recorder),
        }
    }

    pub(crate) fn disabled() -> Self {
        Self(Kind::Disabled)
    }

    pub(crate) fn without_exporter(recorder: Recorder) -> Self {
        Self(Kind::WithoutExporter(recorder))
    }

    pub(crate) fn served_by(shared: Arc<Shared>, threads: Vec<ThreadId>) -> Self {
        Self(Kind::Running(Running {
            shared,
            threads,
            generation: fork_generation(),
        }))
    }

    /// The part that the pipeline's threads answer to, if there are any and they can.
    fn running(&self) -> Result<Option<&Shared>, FlushReport> {
        let Kind::Running(running) = &self.0 else {
            return Ok(None);
        };
        if running.is_in_child() {
            return Err(FlushReport {
                forked: true,
                ..FlushReport::default()
            });
        }
        if running.threads.contains(&thread::current().id()) {
            // An exporter that waits for itself would wait for ever.
            return Err(FlushReport {
                timed_out: true,
                ..FlushReport::default()
            });
        }
        Ok(Some(&running.shared))
    }
}

impl Running {
    fn is_in_child(&self) -> bool {
        self.generation != fork_generation()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // The report is for those who ask; stats and notices have told the rest.
        let _ = self.shutdown(DROP_TIMEOUT);
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pipeline").field(&self.recorder()).finish()
    }
}

/// The counts of a recorder that nobody drains, with the reason why its buffers
/// take nothing.
fn unread(recorder: &Recorder, reason: &'static str) -> PipelineStats {
    let recorded = recorder.stats();
    let mut stats = PipelineStats {
        started: recorded.started,
        unsampled: recorded.unsampled,
        started_by_origin: recorded.started_by_origin,
        unsampled_by_origin: recorded.unsampled_by_origin,
        live: recorded.live(),
        queued: recorded.published,
        ..PipelineStats::default()
    };
    stats.dropped.add(reason, recorded.dropped_full);
    stats
        .dropped
        .add("already_shutdown", recorded.dropped_closed);
    stats
}
