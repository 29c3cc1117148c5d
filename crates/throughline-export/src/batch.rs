//! Makes requests of records: spans grouped by instrumentation scope, bounded by
//! count, bytes and age.
//!
//! Owns the batch under construction and the clock anchor that its times are
//! made with. It must not know where finished batches go.

use std::mem;
use std::ptr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use throughline_core::clock::Anchor;
use throughline_core::{Record, Scratch};
use throughline_ring::expect_writes;
use throughline_wire::{Scope, put_scope, request_head_room, wrap_request};

use crate::exporter::Batch;

/// The largest request that may ever be sent, from the OTLP specification.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 << 20;

/// When the clocks are compared anew.
const ANCHOR_MAX_AGE: Duration = Duration::from_secs(1);

/// An upper bound of what encoding adds to a record, its name and its callsite's
/// attributes: tags, lengths and poll statistics. (Ids and times are part of a
/// record's length.)
const ENCODING_SLACK: usize = 160;

/// When a batch is full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) spans: u64,
    pub(crate) bytes: usize,
}

/// What became of one record.
#[derive(Debug)]
pub(crate) enum Pushed {
    /// It is in the batch under construction.
    Kept,
    /// It is in a new batch, since it did not fit into this one.
    Sealed(Batch),
    /// It can be in no request at all.
    Oversize,
}

pub(crate) struct Batcher {
    resource: Vec<u8>,
    bounds: Bounds,
    scopes: Vec<ScopeSpans>,
    /// Addresses of callsites and the places of their scopes.
    cache: [(usize, usize); CACHE_SLOTS],
    /// The buffer of a request that was delivered, for the next scope that has none.
    spare: Vec<u8>,
    spans: u64,
    bytes: usize,
    since: Option<Instant>,
    anchor: Anchor,
    scratch: Scratch,
}

struct ScopeSpans {
    name: &'static str,
    version: &'static str,
    scope: Vec<u8>,
    /// Empty, or room for the head of a request and the spans. Most requests have
    /// one scope, so they are finished where the spans lie and never copied.
    buffer: Vec<u8>,
    room: usize,
}

impl ScopeSpans {
    /// `resource` is the length of the resource.
    fn new(name: &'static str, version: &'static str, resource: usize) -> Self {
        let mut scope = Vec::new();
        let fields = Scope {
            name,
            version,
            schema_url: "",
        };
        put_scope(&mut scope, &fields);
        Self {
            name,
            version,
            room: request_head_room(resource, scope.len()),
            scope,
            buffer: Vec::new(),
        }
    }

    /// Where the next span goes.
    fn buffer(&mut self, spare: &mut Vec<u8>) -> &mut Vec<u8> {
        if self.buffer.is_empty() {
            if self.buffer.capacity() == 0 {
                self.buffer = mem::take(spare);
            }
            self.buffer.resize(self.room, 0);
        }
        &mut self.buffer
    }

    fn spans(&self) -> &[u8] {
        self.buffer.get(self.room..).unwrap_or_default()
    }
}

/// Asks for the memory of a span to come, which will be as long as this one: others
/// read the buffer since it was last written.
#[inline]
fn expect_another(buffer: &mut Vec<u8>, written: usize) {
    let room = buffer.spare_capacity_mut();
    let until = BYTES_AHEAD + written.min(MAX_EXPECTED_BYTES);
    if let Some(place) = room.get_mut(BYTES_AHEAD..until) {
        expect_writes(place);
    }
}

/// How far behind the last span the memory lies that is asked for, and how much it is
/// at most.
const BYTES_AHEAD: usize = 512;
const MAX_EXPECTED_BYTES: usize = 512;

/// How many callsites are found by their address at a time.
const CACHE_SLOTS: usize = 256;

/// No callsite lies at address zero.
const NO_CALLSITE: (usize, usize) = (0, 0);

impl Batcher {
    /// `resource` is the body of an encoded `Resource` message.
    pub(crate) fn new(resource: Vec<u8>, bounds: Bounds) -> Self {
        Self {
            resource,
            bounds,
            scopes: Vec::new(),
            cache: [NO_CALLSITE; CACHE_SLOTS],
            spare: Vec::new(),
            spans: 0,
            bytes: 0,
            since: None,
            anchor: Anchor::now(),
            scratch: Scratch::default(),
        }
    }

    /// Compares the clocks anew if that was some time ago. Call it now and then.
    pub(crate) fn renew_anchor(&mut self) {
        if u128::from(self.anchor.age_nanos()) > ANCHOR_MAX_AGE.as_nanos() {
            self.anchor = Anchor::now();
        }
    }

    /// Adds a record. A batch that is full is returned by the record that does not
    /// fit any more, so a batch never exceeds its bounds unless one span does.
    pub(crate) fn push(&mut self, record: &Record<'_>, now: Instant) -> Pushed {
        let callsite = record.callsite();
        let at_most =
            record.len() + callsite.name().len() + callsite.static_fields().len() + ENCODING_SLACK;
        if at_most + self.resource.len() > MAX_REQUEST_BYTES {
            return Pushed::Oversize;
        }
        let full = self.is_full() || self.bytes + at_most > self.bounds.bytes;
        let sealed = if full { self.seal() } else { None };

        let index = self.scope_of(record);
        let buffer = self.scopes[index].buffer(&mut self.spare);
        let before = buffer.len();
        record.encode(&self.anchor, &mut self.scratch, buffer);
        let written = buffer.len() - before;
        expect_another(buffer, written);
        self.bytes += written;
        self.spans += 1;
        self.since.get_or_insert(now);
        sealed.map_or(Pushed::Kept, Pushed::Sealed)
    }

    /// Finishes the batch under construction, if it has any span.
    pub(crate) fn seal(&mut self) -> Option<Batch> {
        if self.spans == 0 {
            return None;
        }
        let (largest, _) = self
            .scopes
            .iter()
            .enumerate()
            .max_by_key(|(_, scope)| scope.spans().len())?;
        let mut request = mem::take(&mut self.scopes[largest].buffer);
        let ScopeSpans { scope, room, .. } = &self.scopes[largest];
        // The largest one is not among the others: its spans were taken.
        let others = self
            .scopes
            .iter()
            .map(|scope| (scope.scope.as_slice(), scope.spans()));
        let start = wrap_request(&mut request, *room, &self.resource, scope, others);
        self.release();
        self.bytes = 0;
        self.since = None;
        let request = Bytes::from(request).slice(start..);
        Some(Batch::new(request, mem::take(&mut self.spans)))
    }

    /// Asks for a buffer that is not needed any more, to save the next request its own.
    pub(crate) fn reuse(&mut self, buffer: impl FnOnce() -> Vec<u8>) {
        if self.spare.capacity() == 0 {
            self.spare = buffer();
        }
    }

    /// Whether the batch under construction has as many spans as it may have.
    pub(crate) fn is_full(&self) -> bool {
        self.spans >= self.bounds.spans
    }

    /// Spans in the batch under construction.
    pub(crate) fn spans(&self) -> u64 {
        self.spans
    }

    /// Bytes in the batch under construction.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the first span of the batch under construction came.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// The scope of a record. Callsites are few and live for ever, so most are found
    /// by their address, without a look at any name.
    fn scope_of(&mut self, record: &Record<'_>) -> usize {
        let callsite = record.callsite();
        let address = ptr::from_ref(callsite).addr();
        let slot = (address >> 4) % CACHE_SLOTS;
        if let (known, index) = self.cache[slot]
            && known == address
        {
            return index;
        }
        let (name, version) = callsite.scope();
        let found = self
            .scopes
            .iter()
            .position(|scope| scope.name == name && scope.version == version);
        let index = found.unwrap_or_else(|| {
            self.scopes
                .push(ScopeSpans::new(name, version, self.resource.len()));
            self.scopes.len() - 1
        });
        self.cache[slot] = (address, index);
        index
    }

    /// Empties the scopes and keeps their buffers, unless those are worth more than
    /// two batches: then many scopes took turns at being large.
    fn release(&mut self) {
        let held: usize = self
            .scopes
            .iter()
            .map(|scope| scope.buffer.capacity())
            .sum();
        if held > 2 * self.bounds.bytes {
            self.scopes.clear();
            self.cache = [NO_CALLSITE; CACHE_SLOTS];
        }
        for scope in &mut self.scopes {
            scope.buffer.clear();
        }
    }
}
