//! Divides the memory that a pipeline may use among its parts.

use std::fmt;

use crate::batch::{Bounds, MAX_REQUEST_BYTES};
use crate::error::StartError;
use crate::queue::Capacity;
use crate::settings::{MAX_BATCH_BYTES, MAX_MEMORY_BYTES, Settings};

/// The least memory that a pipeline works with.
const MIN_MEMORY_BYTES: usize = 64 << 10;

/// The piece of memory that a recording thread takes at a time, and the least of
/// it in a pipeline that has little.
const CHUNK_BYTES: usize = 32 << 10;
const MIN_CHUNK_BYTES: usize = 4 << 10;

/// The bounds of the parts, derived from the options.
pub(crate) struct Sizes {
    /// Of the buffers of all recording threads.
    pub(crate) buffer_bytes: usize,
    /// Of one piece of such a buffer.
    pub(crate) chunk_bytes: usize,
    pub(crate) queue: Capacity,
    pub(crate) batch: Bounds,
}

impl Sizes {
    /// Each of the destinations may hold on to other batches than the rest, so each
    /// gets its share of what batches may occupy.
    pub(crate) fn of(settings: &Settings, destinations: usize) -> Result<Self, StartError> {
        let memory = settings.max_memory_bytes.unwrap_or(MAX_MEMORY_BYTES);
        at_least("max_memory_bytes", memory, MIN_MEMORY_BYTES)?;
        let batch_bytes = settings.max_batch_bytes.unwrap_or(MAX_BATCH_BYTES);
        at_least("max_batch_bytes", batch_bytes, 1)?;
        let batch_spans = settings.max_batch_spans.unwrap_or(u64::MAX);
        at_least("max_batch_spans", batch_spans, 1)?;
        let queue_spans = settings.max_queue_spans.unwrap_or(u64::MAX);
        at_least("max_queue_spans", queue_spans, 1)?;

        let half = memory / 2;
        let share = half / destinations.max(1);
        // One batch is filled while another one travels.
        let batch_bytes = batch_bytes.min(share / 2).min(MAX_REQUEST_BYTES);
        // Of several destinations, one with room may be offered a batch that exceeds it.
        let queue_bytes = if destinations > 1 {
            share - batch_bytes
        } else {
            share
        };
        Ok(Self {
            buffer_bytes: half,
            // Enough pieces that several threads get one.
            chunk_bytes: (half / 64).clamp(MIN_CHUNK_BYTES, CHUNK_BYTES),
            queue: Capacity {
                spans: queue_spans,
                bytes: queue_bytes,
            },
            batch: Bounds {
                spans: batch_spans.min(queue_spans),
                bytes: batch_bytes,
            },
        })
    }
}

fn at_least<T: PartialOrd + fmt::Display>(
    option: &str,
    value: T,
    least: T,
) -> Result<(), StartError> {
    if value >= least {
        return Ok(());
    }
    Err(StartError::invalid(format!(
        "{option} is {value}; give at least {least}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_fits_the_queue() {
        let sizes = |settings| Sizes::of(&settings, 1).unwrap();
        let usual = sizes(Settings::default());
        assert_eq!(usual.batch.bytes, 960 << 10);
        assert_eq!(usual.chunk_bytes, 32 << 10);
        assert_eq!(usual.buffer_bytes + usual.queue.bytes, 64 << 20);
        let small = sizes(Settings {
            max_memory_bytes: Some(64 << 10),
            max_queue_spans: Some(10),
            max_batch_spans: Some(512),
            ..Settings::default()
        });
        assert_eq!(small.batch.bytes, 16 << 10);
        assert_eq!(small.batch.spans, 10);
        assert_eq!(small.chunk_bytes, 4 << 10);
    }

    #[test]
    fn destinations_share_the_memory() {
        for destinations in 1..10 {
            for memory in [64 << 10, 1 << 20, 64 << 20] {
                let settings = Settings {
                    max_memory_bytes: Some(memory),
                    ..Settings::default()
                };
                let sizes = Sizes::of(&settings, destinations).unwrap();
                let most_each = sizes.queue.bytes
                    + if destinations > 1 {
                        sizes.batch.bytes
                    } else {
                        0
                    };
                assert!(sizes.buffer_bytes + destinations * most_each <= memory);
                assert!(sizes.batch.bytes > 0 && sizes.queue.bytes >= sizes.batch.bytes);
            }
        }
    }
}
