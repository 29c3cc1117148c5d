//! Starting everything from the environment.

use throughline_export::{Pipeline, StartError};

/// Starts the process-wide pipeline from the `OTEL_*` variables, and with the feature `tracing` the log lines.
///
/// What it does is what [`Pipeline::builder`]`().env().start_global()` does, and, unless the program has set a
/// `tracing` subscriber already, installs one that prints log lines with their trace ids and turns `tracing` spans
/// into spans of the same traces. With the feature `messaging`, `THROUGHLINE_SELECTION` says which messages are traced.
/// `#[throughline::main]` calls it.
///
/// Keep the returned pipeline for as long as the program runs: dropping it flushes and stops recording.
///
/// # Errors
///
/// An option cannot be used (the message names it), the export thread could not be started, or another pipeline is
/// process-wide already. A collector that cannot be reached is no error.
///
/// ```no_run
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let _pipeline = throughline::init()?;
///     throughline::span!("work").in_scope(|| tracing::info!("a line with its trace id"));
///     Ok(())
/// }
/// ```
pub fn init() -> Result<Pipeline, StartError> {
    let pipeline = Pipeline::builder().env().start_global()?;
    #[cfg(feature = "tracing")]
    throughline_tracing::init_subscriber();
    #[cfg(feature = "messaging")]
    throughline_messaging::Selection::install_from_env();
    Ok(pipeline)
}
