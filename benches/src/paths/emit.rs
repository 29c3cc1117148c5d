//! emit + `emit_otlp` with protobuf.
//!
//! Attributes are event properties (`evt_props`), not ambient ones: ambient properties would be copied
//! onto every span below, which no other path does, and cost more. *Unsampled* is the sampler of
//! `emit_traceparent`, which decides once per trace; emit itself has no notion of it. *Disabled* is a
//! level filter above the spans' level. The futures of the three numbers of attributes share one type, so
//! each is as large as the largest.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures::future::Either;

use super::{Path, otlp};
use crate::order::{CARRIER, CHANNEL, CHILD, CURRENCY, Order, REGION, ROOT};
use crate::scenario::{Sampling, Transport};
use crate::target::{Destination, RUN};

/// Functions annotated with `#[emit::span]`.
pub(crate) struct Emit {
    flush: Box<dyn Fn() -> bool + Sync>,
}

impl fmt::Debug for Emit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Emit").finish_non_exhaustive()
    }
}

impl Path for Emit {
    fn start(destination: &Destination, sampling: Sampling) -> Self {
        let otlp = emit_otlp::new()
            .resource(emit::props! {
                #[emit::key("service.name")]
                service_name: otlp::SERVICE_NAME,
            })
            .traces(emit_otlp::traces_proto(transport(destination)))
            .spawn();
        let flush: Box<dyn Fn() -> bool + Sync> = match sampling {
            Sampling::Sampled => {
                let running = emit::setup().emit_to(otlp).init();
                Box::new(move || running.blocking_flush(FLUSH_TIMEOUT))
            }
            Sampling::Unsampled => {
                let running = emit_traceparent::setup_with_sampler(|_| false)
                    .emit_to(otlp)
                    .init();
                Box::new(move || running.blocking_flush(FLUSH_TIMEOUT))
            }
            Sampling::Disabled => {
                let running = emit::setup()
                    .emit_when(emit::level::min_filter(emit::Level::Error))
                    .emit_to(otlp)
                    .init();
                Box::new(move || running.blocking_flush(FLUSH_TIMEOUT))
            }
        };
        Self { flush }
    }

    #[inline]
    fn root<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        match A {
            0 => plain::root(order, body),
            3 => three::root(order, body),
            _ => ten::root(order, body),
        }
    }

    #[inline]
    fn child<const A: usize>(&self, order: &Order, body: impl FnOnce()) {
        match A {
            0 => plain::child(order, body),
            3 => three::child(order, body),
            _ => ten::child(order, body),
        }
    }

    fn root_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        match A {
            0 => Either::Left(plain::root_future(order, body)),
            3 => Either::Right(Either::Left(three::root_future(order, body))),
            _ => Either::Right(Either::Right(ten::root_future(order, body))),
        }
    }

    fn child_future<const A: usize, F>(&self, order: Order, body: F) -> impl Future<Output = ()>
    where
        F: Future<Output = ()>,
    {
        match A {
            0 => Either::Left(plain::child_future(order, body)),
            3 => Either::Right(Either::Left(three::child_future(order, body))),
            _ => Either::Right(Either::Right(ten::child_future(order, body))),
        }
    }

    fn context_future<F>(&self, body: F) -> Option<impl Future<Output = ()>>
    where
        F: Future<Output = ()>,
    {
        Some(emit::Frame::current(emit::ctxt()).in_future(body))
    }

    fn flush(&self) {
        // A flush that fails shows as spans that the receiver did not get.
        (self.flush)();
    }
}

fn transport(destination: &Destination) -> emit_otlp::OtlpTransportBuilder {
    let Destination {
        url,
        transport,
        run,
    } = destination;
    match transport {
        Transport::Http => emit_otlp::http(url.as_str()).allow_compression(false),
        Transport::Gzip => emit_otlp::http(url.as_str()),
        Transport::Grpc => emit_otlp::grpc(url.as_str())
            .headers([(RUN, run.as_str())])
            .allow_compression(false),
    }
}

/// The four functions of one number of attributes.
macro_rules! spans {
    ($(#[$attribute:meta])* $module:ident, |$order:ident| $props:expr) => {
        $(#[$attribute])*
        mod $module {
            use super::{CHILD, Future, Order, ROOT};

            #[emit::span(name: ROOT, evt_props: $props, "order.place")]
            pub(super) fn root($order: &Order, body: impl FnOnce()) {
                body();
            }

            #[emit::span(name: CHILD, evt_props: $props, "order.line")]
            pub(super) fn child($order: &Order, body: impl FnOnce()) {
                body();
            }

            #[emit::span(name: ROOT, evt_props: $props, "order.place")]
            pub(super) async fn root_future($order: Order, body: impl Future<Output = ()>) {
                body.await;
            }

            #[emit::span(name: CHILD, evt_props: $props, "order.line")]
            pub(super) async fn child_future($order: Order, body: impl Future<Output = ()>) {
                body.await;
            }
        }
    };
}

spans!(plain, |_order| emit::Empty);
spans!(three, |order| emit::props! {
    #[emit::key("order.channel")]
    channel: super::CHANNEL,
    #[emit::key("order.items")]
    items: order.items,
    #[emit::key("order.id")]
    #[emit::as_display]
    id: order.id,
});
spans!(
    #[expect(
        clippy::too_many_arguments,
        reason = "what `emit::props!` expands to has them"
    )]
    ten,
    |order| emit::props! {
        #[emit::key("order.channel")]
        channel: super::CHANNEL,
        #[emit::key("order.items")]
        items: order.items,
        #[emit::key("order.id")]
        #[emit::as_display]
        id: order.id,
        #[emit::key("order.currency")]
        currency: super::CURRENCY,
        #[emit::key("order.total")]
        total: order.total,
        #[emit::key("order.customer")]
        #[emit::as_display]
        customer: order.customer,
        #[emit::key("order.region")]
        region: super::REGION,
        #[emit::key("order.weight")]
        weight: order.weight,
        #[emit::key("order.shipment")]
        #[emit::as_display]
        shipment: order.shipment,
        #[emit::key("order.carrier")]
        carrier: super::CARRIER,
    }
);

const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);
