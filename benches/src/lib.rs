//! The comparison of Throughline with its peers: `cargo run --release -p throughline-benches --bin compare`.
//!
//! A coordinator runs every scenario (`scenario`) in a process of its own (`worker`) against an
//! OTLP/HTTP receiver in yet another process (`receiver`), so that neither the decoding of spans nor
//! the state that one library leaves behind is charged to another. What a path records is written
//! once (`shapes`); how it records it is one file per library (`paths`).
//!
//! What the figures mean:
//!
//! - **app ns**: CPU time of the recording thread per span, the median over bursts. CPU time and not
//!   elapsed time, because the exporter, the receiver and the rest of the machine share the cores.
//! - **cpu ns**: CPU time of the whole process per span, from the first measured span to the end of
//!   the flush, less what the idle process spends in the same time and less the harness's own work.
//! - **allocations**: calls of the allocator (`alloc` and `realloc`) on the recording thread per span.
//! - **bytes**: HTTP body bytes at the receiver per span it decoded.
//! - **received / offered**: what the receiver decoded of what the application recorded.
//!
//! *Paced* means bursts of a thousand spans, each followed by a pause until the process has gone
//! quiet, so that no bounded queue overflows. *Saturation* means the same sections one after another
//! without a pause; what a library drops then is in the last column.
#![forbid(unsafe_code)]

mod allocations;
mod clock;
mod command;
mod companion;
mod coordinator;
mod measurement;
mod micro;
mod options;
mod order;
mod pacer;
mod paths;
mod receiver;
mod report;
mod scenario;
mod shapes;
mod target;
mod worker;

pub use clock::{process_cpu, thread_cpu};
pub use command::run;
pub use companion::{Companion, say};
pub use coordinator::Receiver;
pub use measurement::{Received, median};
pub use options::RECEIVE;
pub use paths::{Exported, export};
pub use receiver::{COUNT_ONLY, serve};
pub use report::machine;
pub use target::Target;
