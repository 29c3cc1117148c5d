//! Every attribute key that this crate writes by itself.
//!
//! Owns names only. `code.*` and `exception.*` are stable in the OpenTelemetry semantic conventions (v1.44). `level` and
//! `target` have no convention; they are called as `tracing-opentelemetry` calls them, so that dashboards keep
//! working.

use throughline_wire::{Key, key};

/// `code.file.path`: where the span or event is written in the source.
pub(crate) const FILE: Key = key!("code.file.path");
/// `code.line.number`: the line in that file.
pub(crate) const LINE: Key = key!("code.line.number");
/// `exception.message`: the `Display` form of a recorded error.
pub(crate) const EXCEPTION_MESSAGE: Key = key!("exception.message");
/// The level of an event, in upper case.
pub(crate) const LEVEL: Key = key!("level");
/// The target of an event.
pub(crate) const TARGET: Key = key!("target");

/// The name that the conventions give to an event that describes an error.
pub(crate) const EXCEPTION: &str = "exception";
/// Follows the key of an error field: the messages of its sources.
pub(crate) const CHAIN_SUFFIX: &str = ".chain";
