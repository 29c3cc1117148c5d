//! The spool against a disk that lies, tears, fills and forgets.

mod log; // What one log does, case by case.
mod memory; // The disk.
mod model; // Any sequence of events, against a list of numbers.
mod worker; // What goes where, and what is counted.
