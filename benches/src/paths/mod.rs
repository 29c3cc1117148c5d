//! One file per library, behind one small trait.
//!
//! Every path records the same names, keys and values with real parentage and sends them to the same
//! receiver. Each is written as its library's documentation writes it: `tracing` by macros with
//! fields, fastrace by local spans with properties, emit by its attribute, OpenTelemetry by the span
//! builder. What differs by nature:
//!
//! - fastrace has string properties only, so integers are formatted;
//! - `tracing-opentelemetry` adds its default attributes (location, thread, target, busy and idle
//!   time), since that is what its users get;
//! - the exporters of all libraries keep their defaults but for the transport, without TLS.

mod emit;
mod fastrace;
mod floor;
mod opentelemetry;
mod otlp;
mod throughline;
mod throughline_bridged;
mod throughline_tracing;
mod tracing_opentelemetry;
mod tracing_spans;

use std::future::Future;

pub(crate) use emit::Emit;
pub(crate) use fastrace::Fastrace;
pub(crate) use floor::Floor;
pub(crate) use opentelemetry::Opentelemetry;
pub(crate) use throughline::Throughline;
pub(crate) use throughline_bridged::ThroughlineBridged;
pub(crate) use throughline_tracing::ThroughlineTracing;
pub(crate) use tracing_opentelemetry::TracingOpentelemetry;

use serde::{Deserialize, Serialize};

use crate::order::Order;
use crate::scenario::{Fault, Sampling, Transport};
use crate::target::{Destination, Target};

/// A library with its pipeline running.
///
/// `A` is the number of attributes, one of [`ATTRIBUTES`](crate::scenario::ATTRIBUTES): the libraries'
/// macros need them spelled out, so each path matches on the constant and the compiler keeps one arm.
pub(crate) trait Path: Sized + Sync {
    /// Whether recorded spans leave the process.
    const EXPORTS: bool = true;

    /// Starts the library's pipeline towards `destination`.
    fn start(destination: &Destination, sampling: Sampling) -> Self;

    /// Runs `body` in the root span of a new trace.
    fn root<const A: usize>(&self, order: &Order, body: impl FnOnce());

    /// Runs `body` in a child of the current span.
    fn child<const A: usize>(&self, order: &Order, body: impl FnOnce());

    /// `body` in the root span of a new trace, current whenever it is polled.
    fn root_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>;

    /// `body` in a child of the current span, current whenever it is polled.
    fn child_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>;

    /// `body` with the current context, and no span of its own, if the library has such an adapter.
    fn context_future<F>(&self, body: F) -> Option<impl Future<Output = ()>>
    where
        F: Future<Output = ()>;

    /// Blocks until everything recorded so far has been handed to the receiver, or was dropped.
    fn flush(&self);
}

/// A library whose pipeline a program has that makes its own spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exported {
    /// Throughline's own spans.
    Throughline,
    /// Those of `tracing`, through its layer.
    ThroughlineTracing,
    /// Those of `tracing`, through `tracing-opentelemetry` and the SDK.
    TracingOpentelemetry,
}

/// Starts the pipeline of a library as the comparison does, for the whole process, and returns what flushes it.
pub fn export(library: Exported, target: &Target) -> Box<dyn Fn()> {
    fn start<P: Path + 'static>(target: &Target) -> Box<dyn Fn()> {
        let destination = target.destination(Transport::Http, Fault::Healthy);
        let path = P::start(&destination, Sampling::Sampled);
        Box::new(move || path.flush())
    }
    match library {
        Exported::Throughline => start::<Throughline>(target),
        Exported::ThroughlineTracing => start::<ThroughlineTracing>(target),
        Exported::TracingOpentelemetry => start::<TracingOpentelemetry>(target),
    }
}
