//! Every attribute key that this crate writes itself.
//!
//! Owns names only. OpenTelemetry's semantic conventions (v1.44) have `error.type` (stable), and none for commands and
//! streams of events: the `projection.*` keys are this project's own, experimental.

use throughline_wire::{Key, key};

/// `error.type`: which kind of error.
pub(crate) const ERROR_TYPE: Key = key!("error.type");
/// `projection.stream.id`: the identifier of the aggregate.
pub(crate) const STREAM_ID: Key = key!("projection.stream.id");
/// `projection.stream.type`: the type of the aggregate, by the name that the store knows.
pub(crate) const STREAM_TYPE: Key = key!("projection.stream.type");
