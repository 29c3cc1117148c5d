//! Says a line about the pipeline itself, whatever state the process is in.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use std::sync::atomic::{AtomicU8, Ordering};

use throughline_core::Level;
use throughline_core::diagnostics;

/// Nothing is said that is of a greater level, process-wide as all that is said.
static MAX_LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Says nothing of a greater level from here on; without a level, nothing at all.
pub(crate) fn up_to(level: Option<Level>) {
    // Guards nothing but itself.
    MAX_LEVEL.store(level.map_or(0, |level| level as u8), Ordering::Relaxed);
}

/// Warns of something that the reader may want to change.
pub(crate) fn warn(line: impl Display) {
    say(Level::Warn, line);
}

/// Tells that something is well again.
pub(crate) fn inform(line: impl Display) {
    say(Level::Info, line);
}

/// The sink is the application's, and standard error may be closed; neither may
/// end the thread that only wanted to say something.
fn say(level: Level, line: impl Display) {
    if level as u8 > MAX_LEVEL.load(Ordering::Relaxed) {
        return;
    }
    let told = catch_unwind(AssertUnwindSafe(|| {
        diagnostics::say(level, format_args!("{line}"));
    }));
    if let Err(payload) = told {
        // Dropping a payload may panic as well.
        std::mem::forget(payload);
    }
}
