//! The integration tests, in one binary. Every test captures its own spans, so all of them run in parallel.

mod cancellation; // futures dropped at each poll
mod contexts; // what is current, where, and for how long
mod destruction; // spans in and after thread-local destruction, leaked guards
mod editing; // what is recorded on a span, and the limits
mod fork; // a child process starts empty
mod layers; // arrows between crates point downward
mod macros; // what the attribute macros record
mod panics; // unwinding through spans
mod polls; // poll counts, busy and idle time, sizes
mod sampling; // unsampled traces, filters, suppression
mod support;
mod threads; // spans ended elsewhere, many threads, exact counts // what several modules share
mod ui; // what the attribute macros accept, and what they say about mistakes
