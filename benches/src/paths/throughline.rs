//! Throughline's own spans, exported by its pipeline with the defaults.
//!
//! *Unsampled* is the sampler that is always off, *disabled* a filter that switches every callsite off.

use std::future::Future;
use std::time::Duration;

use throughline::core::{Filter, Sampler, set_filter};
use throughline::export::{Compression, Protocol};
use throughline::{FutureExt, Pipeline, Span};

use super::{Path, otlp};
use crate::order::{Order, with_literals};
use crate::scenario::{Sampling, Transport};
use crate::target::{Destination, RUN};

/// One span with `$attributes` attributes. The functions around it are always inlined: in a program, the macro stands
/// in the function that it measures. The macro wants its name as a literal, and encodes values that are literals at
/// compile time.
macro_rules! spans {
    (
        [$channel:literal $currency:literal $region:literal $carrier:literal]
        $macro:ident, $attributes:expr, $name:literal, $order:expr
    ) => {
        match $attributes {
            0 => throughline::$macro!($name),
            3 => throughline::$macro!(
                $name,
                order.channel = $channel,
                order.items = $order.items,
                order.id = %$order.id
            ),
            _ => throughline::$macro!(
                $name,
                order.channel = $channel,
                order.items = $order.items,
                order.id = %$order.id,
                order.currency = $currency,
                order.total = $order.total,
                order.customer = %$order.customer,
                order.region = $region,
                order.weight = $order.weight,
                order.shipment = %$order.shipment,
                order.carrier = $carrier
            ),
        }
    };
}

/// Blocks and futures in spans.
#[derive(Debug)]
pub(crate) struct Throughline {
    pipeline: Pipeline,
}

impl Path for Throughline {
    fn start(destination: &Destination, sampling: Sampling) -> Self {
        if sampling == Sampling::Disabled {
            set_filter(Filter::off());
        }
        Self {
            pipeline: pipeline(destination, sampling),
        }
    }

    #[inline]
    fn root<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        let _guard = with_literals!(spans!(enter, A, "order.place", order));
        body();
    }

    #[inline]
    fn child<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        let _guard = with_literals!(spans!(enter, A, "order.line", order));
        body();
    }

    fn root_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        body.in_span(root_span::<A>(&order))
    }

    fn child_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        body.in_span(child_span::<A>(&order))
    }

    fn context_future<F>(&self, body: F) -> Option<impl Future<Output = ()>>
    where
        F: Future<Output = ()>,
    {
        Some(body.in_current_context())
    }

    fn flush(&self) {
        // A flush that fails shows as spans that the receiver did not get.
        let _ = self.pipeline.flush(FLUSH_TIMEOUT);
    }
}

/// The process's pipeline, for the native path and for the one through `tracing`.
pub(super) fn pipeline(destination: &Destination, sampling: Sampling) -> Pipeline {
    let sampler = match sampling {
        Sampling::Unsampled => Sampler::always_off(),
        Sampling::Sampled | Sampling::Disabled => Sampler::always_on(),
    };
    let builder = Pipeline::builder()
        .service_name(otlp::SERVICE_NAME)
        .sampler(sampler);
    let Destination {
        url,
        transport,
        run,
    } = destination;
    let builder = match transport {
        Transport::Http => builder.traces_endpoint(url),
        Transport::Gzip => builder.traces_endpoint(url).compression(Compression::Gzip),
        Transport::Grpc => builder
            .protocol(Protocol::Grpc)
            .endpoint(url)
            .header(RUN, run),
    };
    builder
        .start_global()
        .expect("a worker process starts its pipeline once, with a valid endpoint")
}

#[inline(always)]
fn root_span<const A: usize>(order: &Order) -> Span {
    with_literals!(spans!(span, A, "order.place", order))
}

#[inline(always)]
fn child_span<const A: usize>(order: &Order) -> Span {
    with_literals!(spans!(span, A, "order.line", order))
}

pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);
