//! Owns the hint that memory is about to be written. Knows nothing of what is
//! written there.

use std::mem::MaybeUninit;

/// Asks the processor for memory that will be written soon.
///
/// Where another core read the memory last, the first store to each of its
/// cache lines waits until the line is gone from that core, and stores behind it
/// wait as well. It is a hint: it changes nothing, and costs about a nanosecond
/// per line of 64 bytes. On other processors than x86-64 it does nothing.
///
/// ```
/// let mut buffer = Vec::with_capacity(4096);
/// buffer.extend_from_slice(b"a record");
/// // Before the next records come.
/// if let Some(next) = buffer.spare_capacity_mut().get_mut(..256) {
///     throughline_ring::expect_writes(next);
/// }
/// ```
#[inline]
pub fn expect_writes(memory: &mut [MaybeUninit<u8>]) {
    for line in memory.chunks(CACHE_LINE) {
        expect_write(line.as_ptr().cast());
    }
}

/// Asks for the one cache line that has this address, which may be any.
#[inline(always)]
pub(crate) fn expect_write(address: *const u8) {
    // The intrinsic asks for a line to read, unless the program is compiled for
    // newer processors. Older ones do nothing here.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch is a hint, for any address; it changes nothing that the
    // program could see.
    unsafe {
        core::arch::asm!(
            "prefetchw [{}]",
            in(reg) address,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

pub(crate) const CACHE_LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_changes() {
        let mut buffer = Vec::with_capacity(1000);
        buffer.extend_from_slice(&[7; 100]);
        expect_writes(buffer.spare_capacity_mut());
        expect_writes(&mut []);
        expect_write(std::ptr::null());
        assert_eq!(buffer, [7; 100]);
    }
}
