//! The service with Throughline's own spans: an attribute on each function, and a layer for the server span.

use axum::extract::{MatchedPath, State};
use axum::routing::post;
use axum::{Json, Router};
use throughline::http::ServerLayer;
use throughline::traced;

use crate::service::{Order, ROUTE, Receipt, Refusal, Shop};

pub(crate) fn routes(shop: Shop) -> Router {
    let counting = shop.clone();
    let spans = ServerLayer::new()
        .route(|request| {
            let path = request.extensions().get::<MatchedPath>();
            path.map(MatchedPath::as_str)
        })
        .attributes(move |_, _| counting.begin());
    Router::new()
        .route(ROUTE, post(place_order))
        .layer(spans)
        .with_state(shop)
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
