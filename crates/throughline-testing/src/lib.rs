//! Capture, picture and receive Throughline traces in tests.
//!
//! Tests compare pictures, not fields: what a piece of work recorded is drawn as a text tree, and the test holds that
//! text, inline. There are two ways to get hold of the spans, and both decode the bytes a collector would get, with
//! `opentelemetry-proto` rather than with code of this project:
//!
//! * [`Capture`] records the spans of one test in a recorder of its own. It is safe beside other tests of the
//!   process, and needs no exporter.
//! * [`OtlpReceiver`] is a collector in the process, over real HTTP: for tests of exporting, and of whole programs.
//!   A script makes it fail as collectors do.
//!
//! [`Absent`] is a collector that comes later, [`TcpProxy`] breaks the network between, and [`Oracle`] holds the ids that were issued against those that
//! arrived.
//!
//! # Example
//!
//! ```
//! use throughline_core::{Callsite, CallsiteSpec, Level, Span, SpanKind};
//! use throughline_testing::Capture;
//!
//! // What the attribute `#[traced]` would write:
//! static PLACE_ORDER: Callsite = Callsite::new(CallsiteSpec {
//!     name: "place_order",
//!     kind: SpanKind::Internal,
//!     level: Level::Info,
//!     target: "shop",
//!     scope_name: "shop",
//!     scope_version: "1.0.0",
//!     static_fields: &[],
//! });
//!
//! let capture = Capture::start();
//! {
//!     let _attached = capture.attach();
//!     let mut span = Span::start(&PLACE_ORDER);
//!     span.set_attribute("order.id", 42);
//!     span.add_event("charged", |event| event.attribute(&"card", "visa"));
//! }
//! assert_eq!(
//!     capture.tree(),
//!     "\
//! place_order {order.id=42}
//!    • charged {card=\"visa\"}"
//! );
//! ```

#![forbid(unsafe_code)]

mod absent;
mod capture;
mod decode;
#[cfg(test)]
mod fixture;
mod listening;
mod options;
mod oracle;
mod proxy;
mod receiver;
mod span;
mod trace;
mod tree;
mod value;

pub use self::absent::Absent;
pub use self::capture::Capture;
pub use self::options::TreeOptions;
pub use self::oracle::{Oracle, SpanCounts, Verdict};
pub use self::proxy::{Fault, TcpProxy};
pub use self::receiver::{OtlpReceiver, ReceivedRequest, Response};
pub use self::span::{ReceivedEvent, ReceivedLink, ReceivedScope, ReceivedSpan};
pub use self::trace::Trace;
pub use self::value::Value;
