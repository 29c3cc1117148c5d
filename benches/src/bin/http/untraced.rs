//! The service without spans.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};

use crate::service::{Order, ROUTE, Receipt, Refusal, Shop};

pub(crate) fn routes(shop: Shop) -> Router {
    Router::new()
        .route(ROUTE, post(place_order))
        .with_state(shop)
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
