//! Per-thread single-writer record buffers and their hand-off to one consumer.
//!
//! A [`Hub`] owns a bounded amount of memory. Each thread takes a [`Writer`]
//! from it and appends records, which are plain bytes; one consumer at a time
//! reads them with [`Hub::drain`]. Appending takes two copies and one release
//! store: no lock, no read-modify-write, no system call, and no allocation
//! while there are chunks to reuse. When the memory is used up, appending fails
//! with [`Full`] at once; a writer never waits for the consumer.
//!
//! ```
//! use std::ops::ControlFlow;
//! use throughline_ring::{Hub, HubConfig};
//!
//! let hub = Hub::new(HubConfig::default());
//! let mut writer = hub.writer();
//! writer.push(*b"head", b"body").expect("an empty hub has room");
//! writer.tally(0, 1);
//!
//! let mut seen = Vec::new();
//! let drained = hub.drain(|record| {
//!     seen.push(record.to_vec());
//!     ControlFlow::Continue(())
//! });
//! assert_eq!(seen, [b"headbody"]);
//! assert_eq!((drained.records, drained.bytes), (1, 8));
//! assert_eq!(hub.tally(0), 1);
//! ```
//!
//! # How the memory is organised
//!
//! ```text
//! Hub ── Inner ┬─ lanes ── Lane ── chunk ─→ chunk ─→ chunk    one lane per writer
//!              │                    ↑ the consumer     ↑ the writer
//!              └─ pool ── chunk, chunk, …                     recycled, at most max_bytes in all
//! ```
//!
//! The module documentation of `lane` says who may touch what, as numbered
//! rules; `tests/loom.rs` checks them on every interleaving of small models.
//!
//! # Fork
//!
//! A forked child has only the thread that called `fork`, and the memory of the
//! others in whatever state they left it. The child's first use of a hub or of
//! a writer therefore starts on fresh, empty state and never looks at the
//! parent's again: it delivers none of the parent's records, starts with zero
//! tallies, has no waker, and cannot meet a lock that nobody will release.
//! A child made by a bare `clone` system call does not run the handler that
//! notices this.

#![expect(
    unsafe_code,
    reason = "this crate is the project's one place for hand-made memory sharing"
)]
#![warn(unsafe_op_in_unsafe_fn)]

mod chunk;
mod config;
mod fork;
mod hub;
mod inner;
mod lane;
mod pool;
mod prefetch;
mod sync;
mod wake;
mod writer;

pub use config::{HubConfig, TALLIES};
pub use fork::{fork_generation, set_in_children};
pub use hub::{Drained, Hub};
pub use prefetch::expect_writes;
pub use writer::{Full, Writer};
