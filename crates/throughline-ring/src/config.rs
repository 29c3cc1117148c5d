//! Owns the sizes a hub is made with and the limits they are held to. Knows
//! nothing of threads or memory.

use crate::chunk::{MIN_CAPACITY, OVERHEAD};

/// Number of counters each lane carries, see [`Writer::tally`](crate::Writer::tally).
pub const TALLIES: usize = 10;

/// Memory bounds of a [`Hub`](crate::Hub).
///
/// ```
/// let config = throughline_ring::HubConfig { max_bytes: 1 << 20, ..Default::default() };
/// assert_eq!(config.chunk_bytes, 32 * 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubConfig {
    /// Upper bound, in bytes, of everything allocated for records: chunks that
    /// hold records, chunks kept for reuse, and records too big for a chunk.
    /// Default 64 MiB. A hub whose bound is below one chunk holds nothing, and
    /// each push fails with [`Full`](crate::Full).
    pub max_bytes: usize,
    /// Size of one chunk in bytes, its header included. Default 32 KiB. Held
    /// between 128 bytes and 1 GiB and rounded up to a multiple of 64. Each
    /// thread that writes holds at least one chunk.
    pub chunk_bytes: usize,
}

impl HubConfig {
    /// Bytes of records one chunk holds, after the limits are applied.
    pub(crate) fn chunk_capacity(&self) -> usize {
        let bytes = self
            .chunk_bytes
            .clamp(OVERHEAD + MIN_CAPACITY, MAX_CHUNK_BYTES);
        bytes.next_multiple_of(OVERHEAD) - OVERHEAD
    }
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            chunk_bytes: 32 << 10,
        }
    }
}

/// Keeps every length and offset inside a chunk well within a `u32`.
const MAX_CHUNK_BYTES: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_sizes_are_rounded_up_within_their_limits() {
        let whole = |chunk_bytes| {
            let config = HubConfig {
                max_bytes: 0,
                chunk_bytes,
            };
            config.chunk_capacity() + OVERHEAD
        };
        let asked = [0, 128, 129, 32 << 10, 1 << 30, usize::MAX];
        assert_eq!(
            asked.map(whole),
            [128, 128, 192, 32 << 10, 1 << 30, 1 << 30]
        );
    }
}
