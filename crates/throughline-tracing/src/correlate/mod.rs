//! Trace and span ids in the lines of a `fmt` layer.
//!
//! Owns the format around the user's own. It must not know spans beyond their contexts: an event is looked at as the
//! format of the user looks at it, and its line gets the identifiers of the span it happened in.

mod fields;
mod format;
mod ids;
mod json;
mod shape;
mod text;
mod visible;

pub use fields::{VisibleFields, VisibleVisitor};
pub use format::{Correlated, LayerExt, correlate};
pub use ids::{LogId, LogIds};
pub use shape::{LogFormat, Shape};
