//! Compares what this crate writes with what `prost` and `opentelemetry-proto` make of it.

mod constants; // what `key!` and `static_fields!` yield, and where they can be used
mod edits; // taking out fields, patching times
mod hostile; // formatting and closures that fail, panic, never end or come back
mod limits; // cut strings, bounded nesting
mod model; // arbitrary requests, written by this crate and built for `opentelemetry-proto`
mod reading; // `read` on bytes of any origin
mod round_trip; // the property: both ways give the same request
mod walk; // every length of a message checked with `read`
