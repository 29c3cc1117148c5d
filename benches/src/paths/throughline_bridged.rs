//! Throughline's own spans with its context joined to that of the OpenTelemetry API: what each entry costs more.

use std::future::Future;

use super::{Path, Throughline};
use crate::order::Order;
use crate::scenario::Sampling;
use crate::target::Destination;

/// As [`Throughline`], in a process that installed the bridge.
#[derive(Debug)]
pub(crate) struct ThroughlineBridged(Throughline);

impl Path for ThroughlineBridged {
    fn start(destination: &Destination, sampling: Sampling) -> Self {
        throughline::opentelemetry::install();
        Self(Throughline::start(destination, sampling))
    }

    #[inline]
    fn root<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        self.0.root::<A>(order, body);
    }

    #[inline]
    fn child<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        self.0.child::<A>(order, body);
    }

    fn root_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        self.0.root_future::<A, F>(order, body)
    }

    fn child_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        self.0.child_future::<A, F>(order, body)
    }

    fn context_future<F>(&self, body: F) -> Option<impl Future<Output = ()>>
    where
        F: Future<Output = ()>,
    {
        self.0.context_future(body)
    }

    fn flush(&self) {
        self.0.flush();
    }
}
