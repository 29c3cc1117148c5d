//! A bounded buffer in files that stands around an exporter, for the time that its
//! destination does not work.
//!
//! ```text
//! pipeline ──► SpoolExporter ──► thread of the spool ──► exporter ──► destination
//!                                   │          ▲
//!                                   ▼ append   │ head, mark, remove
//!                                 segments in a directory
//! ```
//!
//! It is an exporter and not a layer of the pipeline: a batch that the spool took is
//! done with as far as queues and retries are concerned. What became of its spans the
//! pipeline reads from [`SpanExporter::spooled`](crate::SpanExporter::spooled), and
//! counts those that wait as spooled, neither exported nor lost.
//!
//! * `exporter`: the public exporter, its options, and the thread's start and end;
//! * `worker`: the thread; what goes directly, what is kept, when it is tried again;
//! * `log`, `segment`: the queue in files, its bound and its counts; synchronous, without time;
//! * `format`: the bytes of a segment, and a reader that takes any;
//! * `storage`: the few operations on files, and the real file system;
//! * `notices`, `stats`, `settings`, `error`: words, numbers, variables, refusals.
//!
//! The files are read and written on a thread of the spool's own, since a disk may
//! block for seconds: neither the application nor the draining of its buffers waits
//! for it. No operation is larger than one batch or one segment. There are sequence
//! numbers and no times in the files, so clocks may jump. Not to be known here: what
//! is in a request.

mod error;
mod exporter;
mod format;
mod log;
mod notices;
mod segment;
mod settings;
mod stats;
mod storage;
mod worker;

pub use error::SpoolError;
pub use exporter::{SpoolBuilder, SpoolExporter};
pub use format::check_segment;
pub(crate) use settings::SpoolSettings;
pub use stats::{SpoolHandle, SpoolStats};

#[cfg(test)]
mod tests;
