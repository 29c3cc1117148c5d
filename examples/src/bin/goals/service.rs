//! The HTTP side: routes, the server span of each request, and the functions that a request runs through.
//!
//! Knows the actor only by its handle, and nothing of what lies behind it.

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use throughline::http::ServerLayer;
use throughline::task::JoinSet;
use throughline::traced;

use crate::actor::{Added, GoalBookHandle, Unavailable};
use crate::goal::GoalAdded;

/// The body of `POST /goals`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Draft {
    pub(crate) title: String,
    pub(crate) owner: String,
}

/// The service, ready to be served. Each layer is around those above it: `serve` runs in the span of its request.
pub(crate) fn routes(book: GoalBookHandle) -> Router {
    let spans = ServerLayer::new().route(|request| {
        let path = request.extensions().get::<MatchedPath>();
        path.map(MatchedPath::as_str)
    });
    Router::new()
        .route("/goals", post(create_goal))
        .layer(middleware::from_fn(serve))
        .layer(spans)
        .with_state(book)
}

/// Logs each answer.
async fn serve(request: Request, next: Next) -> Response {
    let caller = request.headers().get(TRACEPARENT).cloned();
    let response = next.run(request).await;
    let caller = caller.as_ref().and_then(|text| text.to_str().ok());
    let status = response.status().as_u16();
    tracing::info!(logged_by = "POST /goals", caller, status, "answered");
    response
}

const TRACEPARENT: &str = "traceparent";

#[traced(err, attrs(goal.title = &draft.title, goal.owner = &draft.owner))]
async fn create_goal(
    State(book): State<GoalBookHandle>,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<Added>), Refusal> {
    tracing::info!(logged_by = "create_goal", goal = draft.title, "a new goal");
    validate(&draft)?;
    let days = estimate(&draft).await;
    let goal = GoalAdded {
        title: draft.title.clone(),
        owner: draft.owner,
        days,
    };
    let added = book.add(goal).await?;
    tracing::info!(
        logged_by = "create_goal",
        goal = draft.title,
        id = added.id,
        "created"
    );
    Ok((StatusCode::CREATED, Json(added)))
}

#[traced(err)]
fn validate(draft: &Draft) -> Result<(), Refusal> {
    if draft.owner.is_empty() {
        tracing::warn!(
            logged_by = "validate",
            goal = draft.title,
            "nobody wants this"
        );
        return Err(Refusal::Invalid("a goal needs an owner"));
    }
    tracing::info!(logged_by = "validate", goal = draft.title, "fine");
    Ok(())
}

/// Asks all advisers at the same time and takes the median.
#[traced]
async fn estimate(draft: &Draft) -> u64 {
    let mut advisers: JoinSet<u64> = ["optimist", "pessimist", "realist"]
        .into_iter()
        .map(|adviser| ask(adviser, draft.title.clone()))
        .collect();
    let mut opinions = Vec::new();
    while let Some(opinion) = advisers.join_next().await {
        // An adviser that panics has no opinion; its span says why.
        opinions.extend(opinion.ok());
    }
    opinions.sort_unstable();
    let days = opinions.get(opinions.len() / 2).copied().unwrap_or(1);
    throughline::current().set_attribute("goal.days", days);
    tracing::info!(
        logged_by = "estimate",
        goal = draft.title,
        days,
        "the median"
    );
    days
}

#[traced(name = "ask adviser", attrs(adviser.name = adviser))]
async fn ask(adviser: &'static str, goal: String) -> u64 {
    tracing::info!(logged_by = "ask", goal, adviser, "thinking");
    // Other tasks of other requests run on this thread meanwhile.
    tokio::task::yield_now().await;
    let size = goal.split_whitespace().map(str::len).sum::<usize>() as u64;
    let days = match adviser {
        "optimist" => size / 2,
        "pessimist" => size * 10,
        _ => size * 2,
    };
    tracing::info!(logged_by = "ask", goal, adviser, days, "decided");
    days
}

/// Why a goal was not created.
#[derive(Debug)]
enum Refusal {
    Invalid(&'static str),
    Unavailable(Unavailable),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(reason) => f.write_str(reason),
            Self::Unavailable(error) => error.fmt(f),
        }
    }
}

impl From<Unavailable> for Refusal {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, self.to_string()).into_response()
    }
}
