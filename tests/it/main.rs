//! The integration tests, in one binary. Every test captures its own spans, so all of them run in parallel.

mod actors; // the example `actors`, run as its users run it
mod cancellation; // futures dropped at each poll
mod contexts; // what is current, where, and for how long
mod destruction; // spans in and after thread-local destruction, leaked guards
mod editing; // what is recorded on a span, and the limits
mod fork; // a child process starts empty
mod goals; // the example `goals`, run as its users run it
mod layers; // arrows between crates point downward
mod macros; // what the attribute macros record
mod mixed; // native spans and tracing spans in one trace
mod panics; // unwinding through spans
mod polls; // poll counts, busy and idle time, sizes
mod sampling; // unsampled traces, filters, suppression
mod support; // what several modules share
mod tasks; // spawning
mod threads; // spans ended elsewhere, many threads, exact counts
mod tidy; // house rules that no compiler checks
