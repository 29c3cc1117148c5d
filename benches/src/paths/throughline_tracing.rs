//! `tracing` spans through Throughline's layer, exported by its pipeline with the defaults.
//!
//! *Unsampled* is the sampler that is always off, *disabled* a level filter above the spans' level.

use std::future::Future;

use throughline::Pipeline;
use throughline::tracing::TraceLayer;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use super::throughline::{FLUSH_TIMEOUT, pipeline};
use super::{Path, tracing_spans};
use crate::order::Order;
use crate::scenario::Sampling;
use crate::target::Destination;

/// `tracing` spans through the Throughline layer.
#[derive(Debug)]
pub(crate) struct ThroughlineTracing {
    pipeline: Pipeline,
}

impl Path for ThroughlineTracing {
    fn start(destination: &Destination, sampling: Sampling) -> Self {
        let pipeline = pipeline(destination, sampling);
        tracing_spans::subscribe(Registry::default().with(TraceLayer::new()), sampling);
        Self { pipeline }
    }

    #[inline]
    fn root<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        tracing_spans::root::<A>(order, body);
    }

    #[inline]
    fn child<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        tracing_spans::child::<A>(order, body);
    }

    fn root_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        tracing_spans::root_future::<A, F>(order, body)
    }

    fn child_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        tracing_spans::child_future::<A, F>(order, body)
    }

    fn context_future<F>(&self, body: F) -> Option<impl Future<Output = ()>>
    where
        F: Future<Output = ()>,
    {
        Some(tracing_spans::context_future(body))
    }

    fn flush(&self) {
        // A flush that fails shows as spans that the receiver did not get.
        let _ = self.pipeline.flush(FLUSH_TIMEOUT);
    }
}
