//! Says a line about the pipeline itself, whatever state the process is in.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use throughline_core::Level;
use throughline_core::diagnostics;

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
    let told = catch_unwind(AssertUnwindSafe(|| {
        diagnostics::say(level, format_args!("{line}"));
    }));
    if let Err(payload) = told {
        // Dropping a payload may panic as well.
        std::mem::forget(payload);
    }
}
