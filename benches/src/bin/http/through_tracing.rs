//! The service with spans of `tracing`: its attribute on each function, and the layer of `tower-http` for the server span.
//!
//! The same for both layers, but for the server span's parent: each has its own way to take it from the headers.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use throughline::http::HeaderExtractor;
use throughline::propagate;
use tower_http::trace::TraceLayer;
use tracing::field::Empty;
use tracing::{Span, info_span, instrument};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::service::{Order, ROUTE, Receipt, Refusal, Shop};

/// The routes for Throughline's layer.
pub(crate) fn routes_of_throughline(shop: Shop) -> Router {
    routes(shop, |request| {
        // Its spans have the current context for a parent.
        let _caller = propagate::extract(&HeaderExtractor(request.headers())).attach();
        server_span(request)
    })
}

/// The routes for the layer of `tracing-opentelemetry`.
pub(crate) fn routes_of_opentelemetry(shop: Shop) -> Router {
    let propagator = TraceContextPropagator::new();
    routes(shop, move |request| {
        let span = server_span(request);
        // It fails where the layer is missing; then there are no spans at all.
        let _ = span.set_parent(propagator.extract(&Headers(request.headers())));
        span
    })
}

fn routes<S>(shop: Shop, span: S) -> Router
where
    S: Fn(&Request) -> Span + Clone + Send + Sync + 'static,
{
    let counting = shop.clone();
    let make = move |request: &Request| {
        counting.begin();
        let span = span(request);
        record_route(&span, request);
        span
    };
    // It logs nothing: the other variants do not, either.
    let spans = TraceLayer::new_for_http()
        .make_span_with(make)
        .on_request(())
        .on_response(record_status)
        .on_body_chunk(())
        .on_eos(())
        .on_failure(());
    Router::new()
        .route(ROUTE, post(place_order))
        .layer(spans)
        .with_state(shop)
}

fn server_span(request: &Request) -> Span {
    info_span!(
        "HTTP",
        otel.kind = "server",
        otel.name = Empty,
        otel.status_code = Empty,
        http.request.method = request.method().as_str(),
        url.scheme = "http",
        url.path = request.uri().path(),
        http.route = Empty,
        http.response.status_code = Empty,
        error.type = Empty,
    )
}

fn record_route(span: &Span, request: &Request) {
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        let name = format!("{} {}", request.method(), route.as_str());
        span.record("otel.name", name);
        span.record("http.route", route.as_str());
    }
}

fn record_status(response: &Response, _: Duration, span: &Span) {
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("error.type", status.as_str());
        span.record("otel.status_code", "ERROR");
    }
}

#[instrument(skip_all, err, fields(order.customer = order.customer, order.lines = order.lines.len()))]
async fn place_order(
    State(shop): State<Shop>,
    Json(order): Json<Order>,
) -> Result<Json<Receipt>, Refusal> {
    shop.begin();
    validate(&shop, &order)?;
    let total = price(&shop, &order)?;
    let reserved = reserve(&shop, &order).await?;
    Ok(Json(confirm(&shop, order, total, reserved).await))
}

#[instrument(skip_all, err)]
fn validate(shop: &Shop, order: &Order) -> Result<(), Refusal> {
    shop.validate(order)
}

#[instrument(skip_all, err, fields(order.total = Empty))]
fn price(shop: &Shop, order: &Order) -> Result<u64, Refusal> {
    let total = shop.price(order)?;
    Span::current().record("order.total", total);
    Ok(total)
}

#[instrument(skip_all, err)]
async fn reserve(shop: &Shop, order: &Order) -> Result<u64, Refusal> {
    shop.reserve(order).await
}

#[instrument(skip_all, fields(order.reserved = reserved))]
async fn confirm(shop: &Shop, order: Order, total: u64, reserved: u64) -> Receipt {
    shop.confirm(order, total, reserved).await
}

/// Reads headers for a propagator of OpenTelemetry.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
