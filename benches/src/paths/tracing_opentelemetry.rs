//! `tracing` + `tracing-opentelemetry` with its default options + SDK batch processor + OTLP/HTTP.
//!
//! *Unsampled* is the SDK's `AlwaysOff` sampler, *disabled* a level filter above the spans' level.

use std::future::Future;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use super::{Path, otlp, tracing_spans};
use crate::order::Order;
use crate::scenario::Sampling;
use crate::target::Destination;

/// `tracing` spans through the OpenTelemetry layer.
#[derive(Debug)]
pub(crate) struct TracingOpentelemetry {
    provider: SdkTracerProvider,
}

impl Path for TracingOpentelemetry {
    fn start(destination: &Destination, sampling: Sampling) -> Self {
        let provider = otlp::provider(destination, sampling);
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(otlp::SERVICE_NAME));
        tracing_spans::subscribe(Registry::default().with(layer), sampling);
        Self { provider }
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
        let _ = self.provider.force_flush();
    }
}
