//! Requests to a server are spans: what they are children of, what they say, and how they end.

use std::convert::Infallible;
use std::fmt::Display;
use std::mem::size_of_val;
use std::panic::AssertUnwindSafe;
use std::pin::pin;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Path};
use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::{any, get};
use futures::FutureExt as _;
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use throughline::core::propagate::Trust;
use throughline::core::{RecorderConfig, Sampler, Status};
use throughline::http::{InServerSpan, ServerLayer};
use throughline::testing::Capture;
use throughline::{Context, FutureExt as _, current, span, traced};
use tower::{Layer, Service, ServiceExt, service_fn};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn with_routes() -> ServerLayer {
    ServerLayer::new().route(|request| {
        let path = request.extensions().get::<MatchedPath>();
        path.map(MatchedPath::as_str)
    })
}

#[traced(attrs(order.id = id))]
async fn order(Path(id): Path<u64>) -> String {
    tokio::task::yield_now().await;
    look_up(id).await
}

#[traced]
async fn look_up(id: u64) -> String {
    format!("order {id}")
}

/// Sends the request to the routes with the layer around them, and shows what was recorded.
async fn ask(layer: ServerLayer, request: http::request::Builder) -> (StatusCode, String) {
    let capture = Capture::start();
    let routes = Router::new()
        .route("/orders/{id}", get(order).post(order))
        .route("/health", get(async || "fine"))
        .route("/broken", any(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/told", any(told))
        .layer(layer);
    let request = request.body(Body::empty()).expect("a request");
    let Ok(response) = capture.run(routes.oneshot(request)).await;
    (response.status(), capture.tree())
}

async fn told() -> StatusCode {
    current().set_attribute("error.type", "out_of_stock");
    current().set_status(Status::Error, "nothing is left");
    StatusCode::INTERNAL_SERVER_ERROR
}

#[tokio::test]
async fn a_request_is_named_after_its_route_and_a_child_of_its_caller() {
    let request = Request::get("/orders/17").header("traceparent", CALLER);
    let (status, tree) = ask(with_routes(), request).await;
    assert_eq!(status, StatusCode::OK);
    insta::assert_snapshot!(tree, @r#"
    GET /orders/{id} [server] {http.request.method="GET", url.scheme="http", url.path="/orders/17", http.route="/orders/{id}", http.response.status_code=200} (remote parent)
    └─ order {order.id=17}
       └─ look_up
    "#);
}

#[tokio::test]
async fn without_a_caller_a_request_starts_a_trace_whatever_is_current() {
    let capture = Capture::start();
    let service = with_routes().layer(service_fn(answer));
    let request = Request::get("/").body(()).expect("a request");
    let serving = async { service.oneshot(request).in_span(span!("serving")).await };
    capture.run(serving).await.expect("an answer");
    insta::assert_snapshot!(capture.tree(), @r#"
    serving
    GET [server] {http.request.method="GET", url.scheme="http", url.path="/", http.response.status_code=200}
    "#);
}

async fn answer<B>(_: Request<B>) -> Result<Response<()>, Infallible> {
    Ok(Response::new(()))
}

#[tokio::test]
async fn a_public_service_links_its_callers() {
    let request = Request::get("/orders/17").header("traceparent", CALLER);
    let (_, tree) = ask(with_routes().trust(Trust::Public), request).await;
    insta::assert_snapshot!(tree, @r#"
    GET /orders/{id} [server] {http.request.method="GET", url.scheme="http", url.path="/orders/17", http.route="/orders/{id}", http.response.status_code=200}
    │  → another trace
    └─ order {order.id=17}
       └─ look_up
    "#);
}

#[tokio::test]
async fn what_no_route_takes_is_named_after_the_method_alone() {
    let (status, tree) = ask(with_routes(), Request::get("/nowhere?at=all")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    insta::assert_snapshot!(tree, @r#"GET [server] {http.request.method="GET", url.scheme="http", url.path="/nowhere", url.query="at=all", http.response.status_code=404}"#);
}

#[tokio::test]
async fn a_method_that_nobody_knows_is_another() {
    let request = || Request::builder().method("BREW").uri("/orders/17");
    let (status, tree) = ask(with_routes(), request()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    insta::assert_snapshot!(tree, @r#"HTTP /orders/{id} [server] {http.request.method="_OTHER", http.request.method_original="BREW", url.scheme="http", url.path="/orders/17", http.route="/orders/{id}", http.response.status_code=405}"#);

    let brew = Method::from_bytes(b"BREW").expect("a method");
    let (_, tree) = ask(with_routes().known_methods([brew]), request()).await;
    insta::assert_snapshot!(tree, @r#"BREW /orders/{id} [server] {http.request.method="BREW", url.scheme="http", url.path="/orders/17", http.route="/orders/{id}", http.response.status_code=405}"#);
}

#[tokio::test]
async fn the_target_says_the_scheme_and_secrets_stay_out() {
    let request = Request::get("https://shop.example/orders/17?page=2&sig=c2VjcmV0");
    let (_, tree) = ask(ServerLayer::new(), request).await;
    insta::assert_snapshot!(tree, @r#"
    GET [server] {http.request.method="GET", url.scheme="https", url.path="/orders/17", url.query="page=2&sig=REDACTED", http.response.status_code=200}
    └─ order {order.id=17}
       └─ look_up
    "#);

    let request = Request::get("/health");
    let (_, tree) = ask(ServerLayer::new().scheme("https"), request).await;
    insta::assert_snapshot!(tree, @r#"GET [server] {http.request.method="GET", url.scheme="https", url.path="/health", http.response.status_code=200}"#);
}

#[tokio::test]
async fn the_application_adds_attributes() {
    let layer = with_routes().attributes(|request, span| {
        let agent = request.headers().get("user-agent");
        let agent = agent.and_then(|agent| agent.to_str().ok());
        span.set_attribute("user_agent.original", agent);
    });
    let request = Request::get("/health").header("user-agent", "curl/8.9");
    let (_, tree) = ask(layer, request).await;
    insta::assert_snapshot!(tree, @r#"GET /health [server] {http.request.method="GET", url.scheme="http", url.path="/health", http.route="/health", user_agent.original="curl/8.9", http.response.status_code=200}"#);
}

#[tokio::test]
async fn what_is_left_out_is_handled_without_a_span() {
    let layer = || with_routes().only(|request| request.uri().path() != "/health");
    let (status, tree) = ask(layer(), Request::get("/health")).await;
    assert_eq!((status, tree.as_str()), (StatusCode::OK, ""));
    let (_, tree) = ask(layer(), Request::post("/orders/17")).await;
    insta::assert_snapshot!(tree, @r#"
    POST /orders/{id} [server] {http.request.method="POST", url.scheme="http", url.path="/orders/17", http.route="/orders/{id}", http.response.status_code=200}
    └─ order {order.id=17}
       └─ look_up
    "#);
}

#[tokio::test]
async fn a_status_of_the_servers_is_an_error() {
    let (_, tree) = ask(with_routes(), Request::put("/broken")).await;
    insta::assert_snapshot!(tree, @r#"PUT /broken [server] {http.request.method="PUT", url.scheme="http", url.path="/broken", http.route="/broken", http.response.status_code=503, error.type="503"} error"#);
}

#[tokio::test]
async fn what_the_handler_says_of_an_error_stays() {
    let (_, tree) = ask(with_routes(), Request::get("/told")).await;
    insta::assert_snapshot!(tree, @r#"GET /told [server] {http.request.method="GET", url.scheme="http", url.path="/told", http.route="/told", error.type="out_of_stock", http.response.status_code=500} error: nothing is left"#);
}

#[tokio::test]
async fn an_error_of_the_service_is_one_of_the_span() {
    let capture = Capture::start();
    let service = service_fn(async |_: Request<()>| {
        Err::<Response<()>, _>(std::io::Error::other("the disk is full"))
    });
    let request = Request::delete("/").body(()).expect("a request");
    let answer = capture.run(ServerLayer::new().layer(service).oneshot(request));
    assert!(answer.await.is_err());
    insta::assert_snapshot!(capture.tree(), @r#"DELETE [server] {http.request.method="DELETE", url.scheme="http", url.path="/", error.type="std::io::error::Error"} error: the disk is full"#);
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_request() {
    let capture = Capture::start();
    let service = service_fn(async |_: Request<()>| {
        span!("wait for goods").in_scope(|| ());
        std::future::pending::<Result<Response<()>, Infallible>>().await
    });
    let request = Request::get("/").body(()).expect("a request");
    {
        let answer = pin!(capture.run(ServerLayer::new().layer(service).oneshot(request)));
        assert!(answer.now_or_never().is_none());
    }
    insta::assert_snapshot!(capture.tree(), @r#"
    GET [server] {http.request.method="GET", url.scheme="http", url.path="/", span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    └─ wait for goods
    "#);
}

#[tokio::test]
async fn a_handler_that_panics_is_told_and_the_panic_goes_on() {
    let capture = Capture::start();
    let service = service_fn(async |request: Request<()>| {
        assert_eq!(request.uri().path(), "/sound", "unsound");
        answer(request).await
    });
    let service = ServerLayer::new().layer(service);
    for path in ["/unsound", "/sound"] {
        let request = Request::get(path).body(()).expect("a request");
        let answer = capture.run(service.clone().oneshot(request));
        let unwound = AssertUnwindSafe(answer).catch_unwind().await.is_err();
        assert_eq!(unwound, path == "/unsound");
    }
    insta::assert_snapshot!(capture.tree(), @r#"
    GET [server] {http.request.method="GET", url.scheme="http", url.path="/unsound", span.outcome="panicked", error.type="panic"} error: panicked
    GET [server] {http.request.method="GET", url.scheme="http", url.path="/sound", http.response.status_code=200}
    "#);
}

/// A service that does its work before there is a future.
#[derive(Clone)]
struct Eager;

impl Service<Request<()>> for Eager {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert_eq!(request.uri().path(), "/", "unsound");
        span!("work").in_scope(|| ());
        std::future::ready(Ok(Response::new(())))
    }
}

#[tokio::test]
async fn what_a_service_does_before_its_future_is_in_the_span() {
    let capture = Capture::start();
    for path in ["/", "/unsound"] {
        let request = Request::get(path).body(()).expect("a request");
        let answer = capture.run(ServerLayer::new().layer(Eager).oneshot(request));
        let unwound = AssertUnwindSafe(answer).catch_unwind().await.is_err();
        assert_eq!(unwound, path == "/unsound");
        assert!(!Context::has_current());
    }
    insta::assert_snapshot!(capture.tree(), @r#"
    GET [server] {http.request.method="GET", url.scheme="http", url.path="/", http.response.status_code=200}
    └─ work
    GET [server] {http.request.method="GET", url.scheme="http", url.path="/unsound", span.outcome="panicked", error.type="panic"} error: panicked
    "#);
}

#[tokio::test]
async fn the_span_ends_with_the_head_of_the_response() {
    let capture = Capture::start();
    let events = || {
        let one =
            async { span!("make an event").in_scope(|| Ok::<_, Infallible>(Event::default())) };
        Sse::new(stream::once(one.in_current_context()))
    };
    let routes = Router::new()
        .route("/events", get(async move || events()))
        .layer(with_routes());
    let request = Request::get("/events")
        .body(Body::empty())
        .expect("a request");
    let Ok(response) = capture.run(routes.oneshot(request)).await;
    insta::assert_snapshot!(capture.tree(), @r#"GET /events [server] {http.request.method="GET", url.scheme="http", url.path="/events", http.route="/events", http.response.status_code=200}"#);
    let body = axum::body::to_bytes(response.into_body(), 100).await;
    assert!(body.is_ok());
    insta::assert_snapshot!(capture.tree(), @r#"
    GET /events [server] {http.request.method="GET", url.scheme="http", url.path="/events", http.route="/events", http.response.status_code=200}
    └─ make an event
    "#);
}

#[tokio::test]
async fn what_is_not_sampled_is_not_described() {
    let mut config = RecorderConfig::default();
    config.sampler = Sampler::always_off();
    let capture = Capture::with_config(config);
    let layer = with_routes().attributes(|_, _| panic!("nothing is recorded"));
    let request = Request::get("/").body(()).expect("a request");
    let answer = capture.run(layer.layer(service_fn(answer)).oneshot(request));
    assert!(answer.await.is_ok());
    assert_eq!(capture.tree(), "");
}

#[test]
fn a_request_grows_by_a_bounded_number_of_bytes() {
    fn sizes<S>(mut service: S) -> (usize, usize)
    where
        S: Service<Request<()>, Response = Response<()>> + Clone,
        S::Error: Display,
        InServerSpan<S>: Service<Request<()>>,
    {
        let request = || Request::get("/").body(()).expect("a request");
        let bare = size_of_val(&service.call(request()));
        (
            bare,
            size_of_val(&ServerLayer::new().layer(service).call(request())),
        )
    }
    let (bare, traced) = sizes(service_fn(answer::<()>));
    assert!(traced <= bare + 64, "{bare} became {traced}");
}
