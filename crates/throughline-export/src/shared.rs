//! What the application's handle and the pipeline's threads share.
//!
//! Owns the recorder and the buffers that are kept for later batches. What is asked of the
//! threads, and how they answer, is the [`Lifecycle`]'s.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use throughline_core::Recorder;

use crate::destination::Destination;
use crate::exporter::Batch;
use crate::lifecycle::Lifecycle;
use crate::stats::{DestinationStats, FlushReport, PipelineStats};
use crate::sync::Bell;

/// The largest buffer that is kept although nothing is in it: buffers grow by
/// doubling, and one of the usual size must be among those kept.
const MAX_SPARE_BYTES: usize = 5 << 19;

/// How many such buffers are kept: one to fill, and some on their way to a destination.
/// With fewer, each burst would get its memory from the operating system anew.
const MAX_SPARES: usize = 4;

pub(crate) struct Shared {
    pub(crate) recorder: Recorder,
    pub(crate) lifecycle: Lifecycle,
    /// Buffers of batches that every destination is done with, the largest last.
    spares: Mutex<Vec<Vec<u8>>>,
}

impl Shared {
    pub(crate) fn new(
        recorder: Recorder,
        bell: Arc<Bell>,
        destinations: Vec<Arc<Destination>>,
    ) -> Self {
        let counted = recorder.clone();
        let unrecorded = move || {
            let recorded = counted.stats();
            recorded.dropped_full + recorded.dropped_closed
        };
        Self {
            recorder,
            lifecycle: Lifecycle::new(bell, destinations, unrecorded),
            spares: Mutex::default(),
        }
    }

    /// Closes the recorder and shuts down what takes its spans.
    pub(crate) fn shutdown(&self, timeout: Duration) -> FlushReport {
        self.recorder.close();
        self.lifecycle.shutdown(timeout)
    }

    pub(crate) fn stats(&self) -> PipelineStats {
        let not_offered = self.lifecycle.not_offered(|| {
            // A span that ended while the recorder was being closed may have been
            // handed over after the last look. Nobody else will ever take it.
            let mut late = 0;
            self.recorder.drain(|_| {
                late += 1;
                ControlFlow::Continue(())
            });
            late
        });
        let destinations = &self.lifecycle.destinations;
        let counts: Vec<_> = destinations
            .iter()
            .map(|destination| (destination.name(), destination.counts()))
            .collect();
        // The recorder is asked last, so that what left its buffers meanwhile is not
        // counted twice.
        let recorded = self.recorder.stats();
        let mut stats = PipelineStats {
            started: recorded.started,
            unsampled: recorded.unsampled,
            started_by_origin: recorded.started_by_origin,
            unsampled_by_origin: recorded.unsampled_by_origin,
            live: recorded.live(),
            ..PipelineStats::default()
        };
        for (name, counts) in counts {
            let mut dropped = counts.dropped;
            dropped.merge(&not_offered);
            let gone = counts.exported + counts.spooled + counts.failed.total() + dropped.total();
            let taken = counts.in_flight + gone;
            dropped.add("queue_full", recorded.dropped_full);
            dropped.add("already_shutdown", recorded.dropped_closed);
            stats.add(DestinationStats {
                destination: name.to_owned(),
                queued: recorded.published.saturating_sub(taken),
                in_flight: counts.in_flight,
                exported: counts.exported,
                spooled: counts.spooled,
                failed: counts.failed,
                dropped,
                operations: counts.operations,
            });
        }
        stats
    }

    /// Keeps the buffer of a batch for a later one, if no other destination has it.
    pub(crate) fn recycle(&self, batch: Batch) {
        let buffer = batch.into_buffer();
        if let Some(buffer) = buffer.filter(|buffer| buffer.capacity() <= MAX_SPARE_BYTES) {
            let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
            spares.push(buffer);
            spares.sort_unstable_by_key(Vec::capacity);
            if spares.len() > MAX_SPARES {
                spares.remove(0);
            }
        }
    }

    /// The largest buffer that is kept; empty if there is none.
    pub(crate) fn spare(&self) -> Vec<u8> {
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        spares.pop().unwrap_or_default()
    }
}
