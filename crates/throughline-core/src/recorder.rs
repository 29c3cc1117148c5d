//! Recorders: where the spans of one pipeline go, and what became of them.
//!
//! Owns the configuration that the hot path reads, the per-thread buffers' hub, and the counters. It must not know who
//! drains it. The process-wide recorder is a slot that holds the number of one of them; spans inherit their recorder
//! from their context, so that several can run side by side.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use throughline_ring::{Hub, HubConfig};

use crate::callsite::{self, Callsite};
use crate::clock;
use crate::context::Context;
use crate::id::IdGenerator;
use crate::limits::SpanLimits;
use crate::origin::ParentOrigins;
use crate::record::Record;
use crate::sampler::Sampler;
use crate::span_context::SpanContext;

/// What a [`Recorder`] is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecorderConfig {
    /// Which traces are recorded. Default: parent based, always on.
    pub sampler: Sampler,
    /// What one span may hold.
    pub limits: SpanLimits,
    /// Bytes that all threads together may hold before spans are dropped. Default: 64 MiB.
    pub max_bytes: usize,
    /// Bytes of one piece of a thread's buffer. Default: 32 KiB. An idle thread that ever recorded holds one.
    pub chunk_bytes: usize,
    /// Whether spans that were polled more than once carry poll count, busy and idle time and the longest poll, at
    /// two clock reads per poll. Default: on.
    pub poll_statistics: bool,
    /// Bytes that all threads together may hold of [measurements](Recorder::measure), beside `max_bytes`: what an outage
    /// of the traces' destination fills does not lose them. Default: 8 MiB.
    pub measurement_bytes: usize,
    /// How the ids of traces that start here are made. Default: all bits random.
    pub id_generator: IdGenerator,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            sampler: Sampler::default(),
            limits: SpanLimits::default(),
            max_bytes: 64 << 20,
            chunk_bytes: 32 << 10,
            poll_statistics: true,
            measurement_bytes: 8 << 20,
            id_generator: IdGenerator::Random,
        }
    }
}

/// Takes the ended spans of all threads until they are drained.
///
/// Clones are the same recorder; when the last one goes (or at [`close`](Self::close)) recording stops.
#[derive(Clone)]
pub struct Recorder(Arc<Handle>);

struct Handle(Arc<RecorderState>);

/// The part that threads keep a reference to.
pub(crate) struct RecorderState {
    pub(crate) number: u32,
    pub(crate) config: RecorderConfig,
    pub(crate) hub: Arc<Hub>,
    /// Where handlers tell how they ended, while somebody measures.
    pub(crate) measurements: Arc<Hub>,
    /// How many want to know.
    pub(crate) measuring: AtomicU32,
    closed: AtomicBool,
    /// The callsites by number, as far as the consumer has seen them.
    known: Mutex<Vec<&'static Callsite>>,
}

impl Recorder {
    /// Starts a recorder and turns the callsites on.
    pub fn start(config: RecorderConfig) -> Self {
        // The first reading calibrates the clock, which no span should pay for.
        clock::now();
        let hub = Hub::new(HubConfig {
            max_bytes: config.max_bytes,
            chunk_bytes: config.chunk_bytes,
        });
        let measurements = Hub::new(HubConfig {
            max_bytes: config.measurement_bytes,
            chunk_bytes: config.chunk_bytes,
        });
        let state = Arc::new(RecorderState {
            // Relaxed: the number is only an identity; the lock below publishes the recorder.
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            config,
            hub,
            measurements,
            measuring: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            known: Mutex::new(Vec::new()),
        });
        let mut running = RUNNING.write().unwrap_or_else(PoisonError::into_inner);
        running.retain(|other| other.strong_count() > 0);
        running.push(Arc::downgrade(&state));
        drop(running);
        callsite::recorder_started();
        Self(Arc::new(Handle(state)))
    }

    /// Makes this the recorder of every trace that starts where no other recorder's context is current.
    ///
    /// # Errors
    ///
    /// Another recorder that is not closed has that place.
    pub fn install_global(&self) -> Result<(), InstallError> {
        let mut global = GLOBAL.write().unwrap_or_else(PoisonError::into_inner);
        if global
            .as_ref()
            .is_some_and(|other| !other.is_closed() && other.0.0.number != self.0.0.number)
        {
            return Err(InstallError(()));
        }
        // Relaxed: a thread that sees the number late records its next trace a moment later.
        GLOBAL_NUMBER.store(self.0.0.number, Ordering::Relaxed);
        *global = Some(self.clone());
        Ok(())
    }

    /// The process-wide recorder, if one is installed.
    pub fn global() -> Option<Self> {
        GLOBAL
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A context without a span: traces that start under it are recorded here.
    pub fn context(&self) -> Context {
        Context::new(SpanContext::INVALID, self.0.0.number)
    }

    /// Offers every record that was published before the call, thread by thread, in order within a thread.
    ///
    /// `consume` may stop with `Break`; the record it was given counts as consumed. Returns how many it consumed.
    /// Calls from several threads take turns; a call from inside `consume` finds nothing.
    pub fn drain(&self, mut consume: impl FnMut(&Record<'_>) -> ControlFlow<()>) -> u64 {
        let state = &self.0.0;
        // Taken, not held: the consumer may well drain again from inside.
        let mut known = std::mem::take(&mut *state.known());
        let drained = state
            .hub
            .drain(|bytes| match &Record::read(bytes, &mut known) {
                Some(record) => consume(record),
                None => ControlFlow::Continue(()),
            });
        *state.known() = known;
        drained.records as u64
    }

    /// Sets what wakes the consumer when there is much to do while it [sleeps](Self::sleep).
    pub fn set_waker(&self, waker: impl Fn() + Send + Sync + 'static) {
        self.0.0.hub.set_waker(Box::new(waker));
    }

    /// Says that the consumer is about to sleep, so that the waker is called once when there is much to do: so many bytes
    /// of buffers were begun since it drained, or there are no more. Returns `false` if there is much to do already: the
    /// consumer drains again instead.
    #[must_use]
    pub fn sleep(&self, bytes: usize) -> bool {
        self.0.0.hub.sleep(bytes)
    }

    /// What became of the spans so far. Exact whenever no thread is recording.
    pub fn stats(&self) -> RecorderStats {
        let hub = &self.0.0.hub;
        let tallies = hub.tallies();
        RecorderStats {
            started: tallies[STARTED],
            unsampled: tallies[UNSAMPLED],
            started_by_origin: ParentOrigins::of(&tallies, true),
            unsampled_by_origin: ParentOrigins::of(&tallies, false),
            published: tallies[PUBLISHED],
            dropped_full: tallies[DROPPED_FULL],
            dropped_closed: tallies[DROPPED_CLOSED],
            measurements_dropped: tallies[MEASUREMENTS_DROPPED],
            buffer_bytes: hub.allocated_bytes(),
            buffer_limit_bytes: hub.max_bytes(),
        }
    }

    /// Stops recording: spans that start later are disabled, spans that end later are counted as dropped.
    pub fn close(&self) {
        self.0.0.close();
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.0.0.is_closed()
    }

    pub(crate) fn state(&self) -> &Arc<RecorderState> {
        &self.0.0
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = &self.0.0;
        f.debug_struct("Recorder")
            .field("number", &state.number)
            .field("config", &state.config)
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl RecorderState {
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // Relaxed: a span that slips through is published and counted as queued, which is what it is.
        self.closed.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_measuring(&self) -> bool {
        // Relaxed: see `Measurements::of`.
        self.measuring.load(Ordering::Relaxed) > 0
    }

    fn close(&self) {
        // Relaxed: see `is_closed`; the swap makes the count of running recorders go down once.
        if !self.closed.swap(true, Ordering::Relaxed) {
            callsite::recorder_stopped();
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<&'static Callsite>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The running recorder of that number.
    pub(crate) fn find(number: u32) -> Option<Arc<Self>> {
        let running = RUNNING.read().unwrap_or_else(PoisonError::into_inner);
        running
            .iter()
            .filter_map(Weak::upgrade)
            .find(|state| state.number == number)
    }
}

/// The number of the process-wide recorder, zero if there is none.
#[inline]
pub(crate) fn global_number() -> u32 {
    // Relaxed: see `install_global`.
    GLOBAL_NUMBER.load(Ordering::Relaxed)
}

/// Counts of a [`Recorder`]: `started == live + published + dropped_full + dropped_closed` whenever no thread records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RecorderStats {
    /// Sampled spans that started.
    pub started: u64,
    /// Spans that started unsampled; they are no part of the sum.
    pub unsampled: u64,
    /// The parts of `started`.
    pub started_by_origin: ParentOrigins,
    /// The parts of `unsampled`.
    pub unsampled_by_origin: ParentOrigins,
    /// Spans that ended and were handed to the consumer, drained or not.
    pub published: u64,
    /// Spans that ended when the buffers were full.
    pub dropped_full: u64,
    /// Spans that ended after the recorder was closed.
    pub dropped_closed: u64,
    /// [Measurements](Recorder::measure) of handled messages for which there was no room; they are no part of the sum.
    pub measurements_dropped: u64,
    /// Bytes of the buffers of spans.
    pub buffer_bytes: usize,
    /// The bound of `buffer_bytes`.
    pub buffer_limit_bytes: usize,
}

impl RecorderStats {
    /// Sampled spans that have not ended.
    pub fn live(&self) -> u64 {
        self.started
            .saturating_sub(self.published + self.dropped_full + self.dropped_closed)
    }
}

/// Another recorder is already the process-wide one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstallError(());

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a process-wide recorder is already running; shut it down first or use an instance",
        )
    }
}

impl std::error::Error for InstallError {}

// The numbers of the counters; those of `Origin` follow.
pub(crate) const STARTED: usize = 0;
pub(crate) const UNSAMPLED: usize = 1;
pub(crate) const PUBLISHED: usize = 2;
pub(crate) const DROPPED_FULL: usize = 3;
pub(crate) const DROPPED_CLOSED: usize = 4;
pub(crate) const MEASUREMENTS_DROPPED: usize = 5;

static NEXT: AtomicU32 = AtomicU32::new(1);
static RUNNING: RwLock<Vec<Weak<RecorderState>>> = RwLock::new(Vec::new());
static GLOBAL: RwLock<Option<Recorder>> = RwLock::new(None);
static GLOBAL_NUMBER: AtomicU32 = AtomicU32::new(0);
