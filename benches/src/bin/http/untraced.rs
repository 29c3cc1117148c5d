//! The service without spans, and with a layer that makes none.

use axum::extract::{Request, State};
use axum::routing::post;
use axum::{Json, Router};
use tower::util::MapRequestLayer;

use crate::service::{Order, ROUTE, Receipt, Refusal, Shop};

pub(crate) fn routes(shop: Shop) -> Router {
    Router::new()
        .route(ROUTE, post(place_order))
        .with_state(shop)
}

pub(crate) fn routes_with_middleware(shop: Shop) -> Router {
    let counting = shop.clone();
    let count = move |request: Request| {
        counting.begin();
        request
    };
    routes(shop).layer(MapRequestLayer::new(count))
}

async fn place_order(
    State(shop): State<Shop>,
    Json(order): Json<Order>,
) -> Result<Json<Receipt>, Refusal> {
    shop.begin();
    shop.validate(&order)?;
    let total = shop.price(&order)?;
    let reserved = shop.reserve(&order).await?;
    Ok(Json(shop.confirm(order, total, reserved).await))
}
