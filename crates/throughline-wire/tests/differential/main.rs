//! Compares what this crate writes with what `prost` and `opentelemetry-proto` make of it.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod arbitrary; // any request, body, text or limits
mod constants; // what `key!` and `static_fields!` yield, and where they can be used
mod edits; // taking out fields, patching times
mod expected; // what `opentelemetry-proto` has to decode from it
mod hostile; // formatting and closures that fail, panic, never end or come back
mod limits; // cut strings, bounded nesting
mod metrics; // sums and histograms
mod model; // requests as plain data, and how this crate writes them
mod reading; // `read` on bytes of any origin
mod round_trip; // the property: both ways give the same request
mod walk; // every length of a message checked with `read`
