//! Tracing for async Rust: one attribute, correlated logs, OTLP out, at the price of two clock reads.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use throughline_core as core;
pub use throughline_core::{Context, FutureExt, Span, current};
#[cfg(feature = "export")]
pub use init::init;
#[cfg(feature = "export")]
pub use throughline_export as export;
#[cfg(feature = "export")]
pub use throughline_export::Pipeline;
pub use throughline_macros::{main, skip, span, test, traced};
#[cfg(feature = "testing")]
pub use throughline_testing as testing;
#[cfg(feature = "tokio")]
pub use throughline_tokio as task;
#[cfg(feature = "tracing")]
pub use throughline_tracing as tracing;

#[doc(hidden)]
pub mod __private;
#[cfg(feature = "tokio")]
mod entry;
#[cfg(feature = "export")]
mod init;
