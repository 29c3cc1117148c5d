//! fastrace + `fastrace-opentelemetry` + OTLP/HTTP by the OpenTelemetry exporter.
//!
//! Synchronous children are local spans, its fastest kind; futures need thread-safe ones. *Unsampled*
//! is a root whose span context is not sampled. There is no level or callsite filter; what comes next
//! to *disabled* is a trace without a root, where every annotation finds no parent.

use std::borrow::Cow;
use std::future::Future;

use fastrace::collector::{Config, SpanContext};
use fastrace::future::FutureExt;
use fastrace::local::LocalSpan;
use fastrace_opentelemetry::OpenTelemetryReporter;

use super::{Path, otlp};
use crate::order::{CARRIER, CHANNEL, CHILD, CURRENCY, Order, REGION, ROOT};
use crate::scenario::Sampling;
use crate::target::Destination;

/// fastrace's local and thread-safe spans.
#[derive(Debug)]
pub(crate) struct Fastrace {
    sampling: Sampling,
}

type Property = (Cow<'static, str>, Cow<'static, str>);

impl Fastrace {
    #[inline]
    fn root_span<const A: usize>(&self, order: &Order) -> fastrace::Span {
        let parent = match self.sampling {
            Sampling::Sampled => SpanContext::random(),
            Sampling::Unsampled => SpanContext::random().sampled(false),
            Sampling::Disabled => return fastrace::Span::noop(),
        };
        let span = fastrace::Span::root(ROOT, parent);
        match A {
            0 => span,
            3 => span.with_properties(|| three(order)),
            _ => span.with_properties(|| ten(order)),
        }
    }
}

impl Path for Fastrace {
    fn start(destination: &Destination, sampling: Sampling) -> Self {
        let reporter = OpenTelemetryReporter::new(
            otlp::exporter(destination),
            Cow::Owned(otlp::resource()),
            otlp::scope(),
        );
        fastrace::set_reporter(reporter, Config::default());
        Self { sampling }
    }

    #[inline]
    fn root<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        let span = self.root_span::<A>(order);
        let _guard = span.set_local_parent();
        body();
    }

    #[inline]
    fn child<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        let span = LocalSpan::enter_with_local_parent(CHILD);
        let _span = match A {
            0 => span,
            3 => span.with_properties(|| three(order)),
            _ => span.with_properties(|| ten(order)),
        };
        body();
    }

    fn root_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        body.in_span(self.root_span::<A>(&order))
    }

    fn child_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        let span = fastrace::Span::enter_with_local_parent(CHILD);
        body.in_span(match A {
            0 => span,
            3 => span.with_properties(|| three(&order)),
            _ => span.with_properties(|| ten(&order)),
        })
    }

    fn context_future<F>(&self, _body: F) -> Option<impl Future<Output = ()>>
    where
        F: Future<Output = ()>,
    {
        None::<F>
    }

    fn flush(&self) {
        fastrace::flush();
    }
}

#[inline]
fn three(order: &Order) -> [Property; 3] {
    [
        literal("order.channel", CHANNEL),
        formatted("order.items", order.items.to_string()),
        formatted("order.id", order.id.to_string()),
    ]
}

#[inline]
fn ten(order: &Order) -> [Property; 10] {
    [
        literal("order.channel", CHANNEL),
        formatted("order.items", order.items.to_string()),
        formatted("order.id", order.id.to_string()),
        literal("order.currency", CURRENCY),
        formatted("order.total", order.total.to_string()),
        formatted("order.customer", order.customer.to_string()),
        literal("order.region", REGION),
        formatted("order.weight", order.weight.to_string()),
        formatted("order.shipment", order.shipment.to_string()),
        literal("order.carrier", CARRIER),
    ]
}

#[inline]
fn literal(key: &'static str, value: &'static str) -> Property {
    (Cow::Borrowed(key), Cow::Borrowed(value))
}

#[inline]
fn formatted(key: &'static str, value: String) -> Property {
    (Cow::Borrowed(key), Cow::Owned(value))
}
