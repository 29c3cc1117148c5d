//! The OpenTelemetry API + SDK batch processor + OTLP/HTTP, without `tracing`.
//!
//! *Unsampled* is the SDK's `AlwaysOff` sampler. The API has no level or callsite filter; what comes
//! next to *disabled* is an application without an SDK, the API's no-op tracer.

use std::future::Future;

use opentelemetry::trace::noop::NoopTracer;
use opentelemetry::trace::{FutureExt, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::{Path, otlp};
use crate::order::{CARRIER, CHANNEL, CHILD, CURRENCY, Order, REGION, ROOT};
use crate::scenario::Sampling;
use crate::target::Destination;

/// Spans by the OpenTelemetry API.
#[derive(Debug)]
pub(crate) struct Opentelemetry {
    provider: SdkTracerProvider,
    tracer: AnyTracer,
}

/// The tracer of an application with or without an SDK. Matching on it costs less than the API's own
/// `BoxedTracer`, which allocates for every span.
#[derive(Debug)]
enum AnyTracer {
    Sdk(SdkTracer),
    Noop(NoopTracer),
}

impl Opentelemetry {
    /// A context whose current span is a new one.
    #[inline]
    fn span<const A: usize>(&self, name: &'static str, order: &Order) -> Context {
        match &self.tracer {
            AnyTracer::Sdk(tracer) => start::<A, _>(tracer, name, order),
            AnyTracer::Noop(tracer) => start::<A, _>(tracer, name, order),
        }
    }
}

impl Path for Opentelemetry {
    fn start(destination: &Destination, sampling: Sampling) -> Self {
        let provider = otlp::provider(destination, sampling);
        let tracer = match sampling {
            Sampling::Disabled => AnyTracer::Noop(NoopTracer::new()),
            Sampling::Sampled | Sampling::Unsampled => {
                AnyTracer::Sdk(provider.tracer_with_scope(otlp::scope()))
            }
        };
        Self { provider, tracer }
    }

    #[inline]
    fn root<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        let _guard = self.span::<A>(ROOT, order).attach();
        body();
    }

    #[inline]
    fn child<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        let _guard = self.span::<A>(CHILD, order).attach();
        body();
    }

    fn root_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        body.with_context(self.span::<A>(ROOT, &order))
    }

    fn child_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        body.with_context(self.span::<A>(CHILD, &order))
    }

    fn context_future<F>(&self, body: F) -> Option<impl Future<Output = ()>>
    where
        F: Future<Output = ()>,
    {
        Some(body.with_current_context())
    }

    fn flush(&self) {
        // A flush that fails shows as spans that the receiver did not get.
        let _ = self.provider.force_flush();
    }
}

#[inline]
fn start<const A: usize, T>(tracer: &T, name: &'static str, order: &Order) -> Context
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    let builder = tracer.span_builder(name);
    let builder = match A {
        0 => builder,
        3 => builder.with_attributes([
            KeyValue::new("order.channel", CHANNEL),
            KeyValue::new("order.items", order.items),
            KeyValue::new("order.id", order.id.to_string()),
        ]),
        _ => builder.with_attributes([
            KeyValue::new("order.channel", CHANNEL),
            KeyValue::new("order.items", order.items),
            KeyValue::new("order.id", order.id.to_string()),
            KeyValue::new("order.currency", CURRENCY),
            KeyValue::new("order.total", order.total),
            KeyValue::new("order.customer", order.customer.to_string()),
            KeyValue::new("order.region", REGION),
            KeyValue::new("order.weight", order.weight),
            KeyValue::new("order.shipment", order.shipment.to_string()),
            KeyValue::new("order.carrier", CARRIER),
        ]),
    };
    Context::current_with_span(builder.start(tracer))
}
