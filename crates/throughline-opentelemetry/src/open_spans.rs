//! The spans that were made through the OpenTelemetry API and are open, by id.
//!
//! An OpenTelemetry context tells the ids of its span and nothing of ours; this is how the recorder and the open span
//! are found again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use throughline_core::{SharedSpan, SpanId};

pub(crate) fn insert(span: &SharedSpan) {
    let id = span.context().span_context().span_id();
    shard(id).insert(id.to_bytes(), span.clone());
}

pub(crate) fn remove(id: SpanId) {
    let removed = shard(id).remove(&id.to_bytes());
    // The span may end where it is dropped, which is no work for a lock.
    drop(removed);
}

pub(crate) fn find(id: SpanId) -> Option<SharedSpan> {
    shard(id).get(&id.to_bytes()).cloned()
}

type Shard = BTreeMap<[u8; 8], SharedSpan>;

fn shard(id: SpanId) -> MutexGuard<'static, Shard> {
    let [.., last] = id.to_bytes();
    OPEN[usize::from(last) % SHARDS]
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Locks, so that threads seldom meet at one.
const SHARDS: usize = 32;

static OPEN: [Mutex<Shard>; SHARDS] = [const { Mutex::new(BTreeMap::new()) }; SHARDS];
