//! What the ring promises, checked from outside, on real threads.

#![cfg(not(throughline_loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

// Zero allocations while writing.
mod allocations;
// The byte bound, chunks' reuse, oversize records.
mod bounds;
// Many threads, all sizes: every record once, in order, byte-equal.
mod delivery;
// What a drain's callback may do: stop, panic, drain, push.
mod draining;
// The child of a fork starts empty.
#[cfg(target_os = "linux")]
mod fork;
// Hub before writers, writers before hub.
mod lifetime;
// Short threads, and thread-local destructors.
mod thread_exit;
// Sleeping and being woken.
mod waking;

use std::ops::ControlFlow;
use std::sync::Arc;

use throughline_ring::{Hub, HubConfig};

/// Bytes of a chunk in most tests.
const CHUNK: usize = 1024;
/// What a chunk holds of that: the rest is its header.
const CAPACITY: usize = CHUNK - 64;

fn hub_of(chunks: usize) -> Arc<Hub> {
    Hub::new(HubConfig {
        max_bytes: chunks * CHUNK,
        chunk_bytes: CHUNK,
    })
}

/// All records there are, as text.
fn drain_texts(hub: &Hub) -> Vec<String> {
    let mut texts = Vec::new();
    hub.drain(|record| {
        texts.push(String::from_utf8_lossy(record).into_owned());
        ControlFlow::Continue(())
    });
    texts
}
