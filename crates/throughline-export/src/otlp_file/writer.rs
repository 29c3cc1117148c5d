//! The thread that writes, and the lines that it writes.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::exporter::ExportError;
use crate::json;
use crate::text::cause;

/// One request to write.
pub(super) struct Job {
    pub(super) request: Bytes,
    pub(super) reply: oneshot::Sender<Result<(), ExportError>>,
}

/// Writes on a thread of its own, one job after another.
pub(super) struct Writer {
    lines: Arc<Mutex<Lines>>,
    thread: Option<SyncSender<Job>>,
}

impl Writer {
    pub(super) fn new(lines: Lines) -> Self {
        Self {
            lines: Arc::new(Mutex::new(lines)),
            thread: None,
        }
    }

    /// Hands a job over. There must be no unanswered one.
    pub(super) fn begin(&mut self, job: Job) -> Result<(), ExportError> {
        let jobs = match &self.thread {
            Some(jobs) => jobs,
            None => self.thread.insert(start(&self.lines).map_err(no_thread)?),
        };
        jobs.try_send(job).map_err(|_| {
            // The next attempt starts another thread.
            self.thread = None;
            ExportError::transient("io", "the writing thread does not take the batch")
        })
    }
}

fn no_thread(error: io::Error) -> ExportError {
    let message = format!("the writing thread could not be started: {error}");
    ExportError::transient("io", message).with_source(error)
}

/// The thread ends when the sender is gone and its last write is over.
fn start(lines: &Arc<Mutex<Lines>>) -> io::Result<SyncSender<Job>> {
    let (jobs, queue) = mpsc::sync_channel(1);
    let lines = Arc::clone(lines);
    thread::Builder::new()
        .name("throughline-file".to_owned())
        .spawn(move || work(&lines, &queue))?;
    Ok(jobs)
}

fn work(lines: &Mutex<Lines>, queue: &Receiver<Job>) {
    let _invisible = throughline_core::suppress();
    while let Ok(Job { request, reply }) = queue.recv() {
        let result = json::trace_request(&request).and_then(|json| {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.write(json.into()).map_err(not_written)
        });
        // Before the answer: the pipeline wants to use the memory again.
        drop(request);
        // Whoever asked may have given up.
        let _ = reply.send(result);
    }
}

fn not_written(error: io::Error) -> ExportError {
    let message = format!("cannot be written: {}", cause(&error));
    match error.kind() {
        // What was deleted makes room.
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            ExportError::transient("storage_full", message)
        }
        ErrorKind::WouldBlock | ErrorKind::TimedOut => ExportError::transient("io", message),
        ErrorKind::BrokenPipe => ExportError::permanent("broken_pipe", message),
        _ => ExportError::permanent("io", message),
    }
    .with_source(error)
}

/// Appends lines to a stream, whole ones as far as the stream lets it.
pub(super) struct Lines {
    stream: Stream,
    /// Whether the last line lacks its end.
    torn: bool,
}

enum Stream {
    Any(Box<dyn Write + Send>),
    Stdout,
}

impl Lines {
    pub(super) fn new(stream: Box<dyn Write + Send>, torn: bool) -> Self {
        Self {
            stream: Stream::Any(stream),
            torn,
        }
    }

    pub(super) fn to_stdout() -> Self {
        Self {
            stream: Stream::Stdout,
            torn: false,
        }
    }

    /// Writes one line, on a line of its own.
    pub(super) fn write(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        if self.torn {
            line.insert(0, b'\n');
        }
        match &mut self.stream {
            Stream::Any(stream) => append(stream, &line, &mut self.torn),
            Stream::Stdout => {
                // What the program prints meanwhile waits. Its own buffer is passed by,
                // since that keeps what could not be written and tries it again later.
                let mut lock = io::stdout().lock();
                lock.flush()?;
                append(&mut standard_output()?, &line, &mut self.torn)
            }
        }
    }
}

/// Writes all of `line`, and knows after an error whether it was cut.
fn append(stream: &mut impl Write, line: &[u8], torn: &mut bool) -> io::Result<()> {
    let mut rest = line;
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                let (written, after) = rest.split_at(count.min(rest.len()));
                *torn = written.last() != Some(&b'\n');
                rest = after;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    stream.flush().inspect_err(|_| *torn = true)
}

#[cfg(not(windows))]
fn standard_output() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn standard_output() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}
