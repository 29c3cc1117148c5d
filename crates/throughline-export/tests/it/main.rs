//! The pipeline against live receivers and hostile exporters.
//!
//! Every test has a pipeline of its own, so all run side by side in one process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounting; // Every span has one fate, whatever the load.
mod chaos; // Exporters that do anything.
mod configuration; // What the options and variables do to requests.
mod destinations; // Several at once, each for itself.
#[cfg(unix)]
mod endings; // What arrives when the process ends.
mod exporters; // Exporters that misbehave.
#[cfg(feature = "file")]
mod files; // OTLP in lines of JSON.
mod flush; // What flush reports is true.
mod outage; // A collector that is not there, and comes back.
mod process; // What takes a process of its own: standard output, file descriptors.
mod responses; // What a response makes of a batch.
mod shutdown; // It ends in time, wherever it is called.
mod supervision; // Exporters that hold their thread.
mod support;
#[cfg(feature = "zipkin")]
mod zipkin; // Spans to Zipkin.
