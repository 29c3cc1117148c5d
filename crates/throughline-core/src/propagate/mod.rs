//! Propagation: how a context crosses the border of a process, in the headers of requests and messages.
//!
//! Owns the formats, the carriers they are read from and written to, and what travels beside the identifiers:
//! [`TraceState`] and [`Baggage`]. It must not know any protocol or library that carries headers.
//!
//! A server takes what a request [came with](Propagator::incoming) as the parent of its span; a client
//! [injects](inject) the current context into what it sends:
//!
//! ```
//! use std::collections::HashMap;
//! use throughline_core::{Context, propagate};
//!
//! let request = HashMap::from([("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]);
//! let _here = propagate::extract(&request).attach();
//!
//! let mut next = HashMap::<String, String>::new();
//! propagate::inject(&Context::current(), &mut next);
//! assert_eq!(next["traceparent"], request["traceparent"]);
//! ```
//!
//! Limits hold for all headers of a message together, and before anything is allocated for them. A message that has
//! `traceparent` alone costs no allocation.

mod b3;
mod baggage;
mod carrier;
mod datadog;
mod extras;
mod jaeger;
mod propagator;
mod sentry;
mod text;
mod tracestate;
mod w3c;
mod xray;

use std::sync::OnceLock;

pub use baggage::{Baggage, BaggageError};
pub use carrier::{Extract, Inject};
pub(crate) use extras::{Decision, Extras, Inherited};
pub use propagator::{Format, Incoming, Propagator, Trust};
pub use tracestate::{TraceState, TraceStateError};

use crate::context::Context;

/// Makes this the propagator of the process, which [`extract`] and [`inject`] use. It can be set once.
///
/// # Errors
///
/// It was set before; the propagator is given back.
pub fn set_global(propagator: Propagator) -> Result<(), Propagator> {
    GLOBAL.set(propagator)
}

/// The propagator of the process: `tracecontext,baggage` unless it was [set](set_global).
pub fn global() -> &'static Propagator {
    GLOBAL.get().unwrap_or(&DEFAULT)
}

/// The context that the carrier has, by the [propagator of the process](global).
pub fn extract(carrier: &(impl Extract + ?Sized)) -> Context {
    global().extract(carrier)
}

/// Writes the context to the carrier, by the [propagator of the process](global).
pub fn inject(context: &Context, carrier: &mut (impl Inject + ?Sized)) {
    global().inject(context, carrier);
}

static GLOBAL: OnceLock<Propagator> = OnceLock::new();
static DEFAULT: Propagator = Propagator::DEFAULT;
