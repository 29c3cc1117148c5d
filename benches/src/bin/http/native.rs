//! The service with Throughline's own spans: an attribute on each function, and a middleware for the server span.

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use throughline::core::Status;
use throughline::http::HeaderExtractor;
use throughline::{propagate, traced};

use crate::service::{Order, ROUTE, Receipt, Refusal, Shop};

pub(crate) fn routes(shop: Shop) -> Router {
    Router::new()
        .route(ROUTE, post(place_order))
        .layer(middleware::from_fn_with_state(shop.clone(), serve))
        .with_state(shop)
}

/// The server span of a request, whatever route it takes.
#[traced(
    name = "HTTP",
    kind = server,
    parent = propagate::extract(&HeaderExtractor(request.headers())),
    attrs(
        http.request.method = request.method().as_str(),
        url.scheme = "http",
        url.path = request.uri().path(),
    )
)]
async fn serve(State(shop): State<Shop>, request: Request, next: Next) -> Response {
    shop.begin();
    record_route(&request);
    let response = next.run(request).await;
    record_status(response.status());
    response
}

fn record_route(request: &Request) {
    let span = throughline::current();
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        span.update_name(&format!("{} {}", request.method(), route.as_str()));
        span.set_attribute("http.route", route.as_str());
    }
}

fn record_status(status: StatusCode) {
    let span = throughline::current();
    span.set_attribute("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.set_attribute("error.type", status.as_str());
        span.set_status(Status::Error, "");
    }
}

#[traced(err, attrs(order.customer = &order.customer, order.lines = order.lines.len()))]
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

#[traced(err)]
fn validate(shop: &Shop, order: &Order) -> Result<(), Refusal> {
    shop.validate(order)
}

#[traced(err)]
fn price(shop: &Shop, order: &Order) -> Result<u64, Refusal> {
    let total = shop.price(order)?;
    throughline::current().set_attribute("order.total", total);
    Ok(total)
}

#[traced(err)]
async fn reserve(shop: &Shop, order: &Order) -> Result<u64, Refusal> {
    shop.reserve(order).await
}

#[traced(attrs(order.reserved = reserved))]
async fn confirm(shop: &Shop, order: Order, total: u64, reserved: u64) -> Receipt {
    shop.confirm(order, total, reserved).await
}
