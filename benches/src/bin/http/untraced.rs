//! The service without spans, and with a middleware that makes none.

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};

use crate::service::{Order, ROUTE, Receipt, Refusal, Shop};

pub(crate) fn routes(shop: Shop) -> Router {
    Router::new()
        .route(ROUTE, post(place_order))
        .with_state(shop)
}

pub(crate) fn routes_with_middleware(shop: Shop) -> Router {
    routes(shop.clone()).layer(middleware::from_fn_with_state(shop, serve))
}

async fn serve(State(shop): State<Shop>, request: Request, next: Next) -> Response {
    shop.begin();
    next.run(request).await
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
