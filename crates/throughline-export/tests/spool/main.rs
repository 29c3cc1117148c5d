//! The spool on a real file system, in processes that are killed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod directory; // Which directories it takes, and whatever is in them.
mod kill; // Processes that end at any moment.
mod pipeline; // Around a real destination, in a real pipeline.
mod support;
