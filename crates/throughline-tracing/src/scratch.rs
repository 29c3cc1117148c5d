//! Buffers that each thread keeps for text that has to exist before it can be recorded.
//!
//! Owns reuse only. A buffer is taken while it is used, so that code of the user that comes back here from a `Debug`
//! implementation gets another one.

use std::cell::Cell;

/// Text that a value of the user was formatted into.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// All texts, one after the other.
    pub(crate) text: String,
    /// Where each of them ends.
    pub(crate) ends: Vec<usize>,
}

/// Runs `f` with empty buffers.
pub(crate) fn with<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    let mut scratch = KEPT.try_with(Cell::take).unwrap_or_default();
    let result = f(&mut scratch);
    scratch.text.clear();
    scratch.ends.clear();
    if scratch.text.capacity() <= KEPT_BYTES {
        // On a thread that is about to end there is nothing to keep it in.
        let _ = KEPT.try_with(|kept| kept.set(scratch));
    }
    result
}

/// The largest text buffer that is kept.
const KEPT_BYTES: usize = 64 << 10;

thread_local! {
    static KEPT: Cell<Scratch> = const { Cell::new(Scratch { text: String::new(), ends: Vec::new() }) };
}
