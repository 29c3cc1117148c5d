//! Spans, contexts and the recorder of Throughline: the part that runs on the application's threads.
//!
//! Applications and libraries use the `throughline` crate; integrations build on this one. It knows no runtime, no
//! transport and no clock but its own. Recording never waits, never allocates after warm-up and never panics.
//!
//! A span is a buffer of finished OTLP bytes while it is open ([`LiveSpan`]), and one record in its thread's buffer
//! when it has ended ([`Record`]). Whatever drains the [`Recorder`] turns records into OTLP without decoding them.
//!
//! ```
//! use std::ops::ControlFlow;
//! use throughline_core::{Callsite, CallsiteSpec, Level, Recorder, RecorderConfig, Span, SpanKind};
//!
//! static CALLSITE: Callsite = Callsite::new(CallsiteSpec {
//!     name: "work",
//!     kind: SpanKind::Internal,
//!     level: Level::Info,
//!     target: "example",
//!     scope_name: "example",
//!     scope_version: "",
//!     static_fields: &[],
//! });
//!
//! let recorder = Recorder::start(RecorderConfig::default());
//! let _here = recorder.context().attach();
//! Span::start(&CALLSITE).in_scope(|| throughline_core::current().set_attribute("answer", 42));
//! let mut names = Vec::new();
//! recorder.drain(|record| {
//!     names.push(record.callsite().name());
//!     ControlFlow::Continue(())
//! });
//! assert_eq!(names, ["work"]);
//! ```
#![forbid(unsafe_code)]

mod callsite;
pub mod clock;
mod context;
mod current;
pub mod diagnostics;
#[doc(hidden)]
pub mod expansion;
mod fields;
mod filter;
mod future;
#[doc(hidden)]
pub mod handler;
mod id;
mod import;
mod kind;
mod labels;
mod lane;
mod limits;
mod live;
mod local;
mod measure;
mod origin; // where the parents of spans run
pub mod propagate;
mod received;
mod record;
mod recorder;
mod rest;
mod sampler;
#[doc(hidden)]
pub mod schedule;
mod shared;
mod span;
mod span_context;
mod statics;
mod suppress;
#[doc(hidden)]
pub mod switch;
pub mod thread;
mod turns;
mod type_name;
mod unwound;
mod value;

pub use callsite::{
    Callsite, CallsiteSpec, filter_enables, filter_max_level, on_filter_change, set_filter,
};
pub use context::{Context, ContextGuard, Parent};
pub use current::{CurrentSpan, current};
pub use fields::{EventFields, LinkFields};
pub use filter::{Filter, FilterError};
pub use future::{FutureExt, InSpan, Inspect, NoInspection, WithContext};
pub use id::{IdGenerator, ParseIdError, SpanId, TraceFlags, TraceId};
pub use import::FinishedSpan;
pub use kind::{Level, Outcome, SpanKind, Status};
pub use labels::Labels;
pub use limits::SpanLimits;
pub use live::LiveSpan;
pub use measure::{Measurement, Measurements};
pub use origin::ParentOrigins;
pub use record::{Record, Scratch};
pub use recorder::{InstallError, Recorder, RecorderConfig, RecorderStats};
pub use sampler::Sampler;
pub use shared::SharedSpan;
pub use span::{Span, SpanGuard};
pub use span_context::{SpanContext, Traceparent, TraceparentError};
pub use statics::StaticAttributes;
pub use suppress::{SuppressGuard, is_suppressed, suppress};
#[doc(hidden)]
pub use throughline_wire as __wire;
pub use throughline_wire::{AsKey, Key, ValueWriter};
pub use type_name::short_type_name;
pub use value::{AttributeValue, DebugValue, DisplayValue, debug, display};
