//! The spans of the two paths that record through `tracing`: same macros, same callsites. Which
//! subscriber listens is the paths' affair, up to the filter that they share.

use std::future::Future;

use tracing::{Instrument, Span, Subscriber, info_span};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::order::{CARRIER, CHANNEL, CHILD, CURRENCY, Order, REGION, ROOT};
use crate::scenario::Sampling;

/// Makes `subscriber` the process's, with a level filter that lets the spans through unless they are
/// to be disabled.
pub(super) fn subscribe(
    subscriber: impl Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    sampling: Sampling,
) {
    let level = match sampling {
        Sampling::Disabled => LevelFilter::ERROR,
        Sampling::Sampled | Sampling::Unsampled => LevelFilter::INFO,
    };
    tracing::subscriber::set_global_default(subscriber.with(level))
        .expect("a worker process sets its subscriber once");
}

macro_rules! span {
    ($attributes:expr, $name:expr, $order:expr) => {
        match $attributes {
            0 => info_span!($name),
            3 => info_span!(
                $name,
                order.channel = CHANNEL,
                order.items = $order.items,
                order.id = %$order.id
            ),
            _ => info_span!(
                $name,
                order.channel = CHANNEL,
                order.items = $order.items,
                order.id = %$order.id,
                order.currency = CURRENCY,
                order.total = $order.total,
                order.customer = %$order.customer,
                order.region = REGION,
                order.weight = $order.weight,
                order.shipment = %$order.shipment,
                order.carrier = CARRIER
            ),
        }
    };
}

#[inline]
fn root_span<const A: usize>(order: &Order) -> Span {
    span!(A, ROOT, order)
}

#[inline]
fn child_span<const A: usize>(order: &Order) -> Span {
    span!(A, CHILD, order)
}

#[inline]
pub(super) fn root<const A: usize>(order: &Order, body: impl FnOnce()) {
    let _entered = root_span::<A>(order).entered();
    body();
}

#[inline]
pub(super) fn child<const A: usize>(order: &Order, body: impl FnOnce()) {
    let _entered = child_span::<A>(order).entered();
    body();
}

pub(super) fn root_future<const A: usize, F>(order: Order, body: F) -> impl Future<Output = ()>
where
    F: Future<Output = ()>,
{
    body.instrument(root_span::<A>(&order))
}

pub(super) fn child_future<const A: usize, F>(order: Order, body: F) -> impl Future<Output = ()>
where
    F: Future<Output = ()>,
{
    body.instrument(child_span::<A>(&order))
}

pub(super) fn context_future<F>(body: F) -> impl Future<Output = ()>
where
    F: Future<Output = ()>,
{
    body.in_current_span()
}
