//! The layer that makes the span of each request to a server, and the service it makes.
//!
//! Owns when a span starts and what it is a child of. What it says is `span`'s. The future of a request is the inner
//! service's, wrapped: nothing is boxed, and nothing is allocated for a request.

use std::fmt;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::{Method, Request, Response};
use throughline_core::propagate::{self, Trust};
use throughline_core::{Callsite, InSpan, LiveSpan, Span, callsite};
use tower_layer::Layer;
use tower_service::Service;

use crate::HeaderExtractor;
use crate::head::RequestHead;
use crate::span::{Answered, describe};

/// Makes a span of each request, by OpenTelemetry's semantic conventions for HTTP (v1.44).
///
/// The span is of kind server, and a child of the caller's span if the [headers](crate::HeaderExtractor) name one.
/// Otherwise it starts a trace, whatever is current where the request is handled. It is called `{method} {route}`, or
/// `{method}` where no [route](Self::route) is known, and has the attributes
///
/// | attribute | |
/// |---|---|
/// | `http.request.method` | `_OTHER`, beside `http.request.method_original`, unless the method is [known](Self::known_methods) |
/// | `url.scheme` | of the target if it has one, as in HTTP/2; otherwise [as is set](Self::scheme), `http` by default |
/// | `url.path` | |
/// | `url.query` | if there is one; values that give access to something are `REDACTED` |
/// | `http.route` | if it is known |
/// | `http.response.status_code` | |
/// | `error.type` | the status code, from 500 on, or the type of the service's error |
///
/// A status from 500 on, and an error of the service, are the status *error* of the span, unless something else was set
/// on it before. A request whose future is dropped before there is a response ends cancelled: hyper does that when the
/// client goes away. One whose handler panics ends panicked.
///
/// The span ends with the head of the response, as one around a middleware of axum's or around a handler does, and not
/// with the body: a stream of events that stays open for hours is not a request that takes hours. What makes the body
/// belongs to the trace where it says so: give a stream the context by
/// [`FutureExt::in_current_context`](throughline_core::FutureExt::in_current_context), or a span of its own.
///
/// # With axum
///
/// `Router::layer` puts it around each route, where axum knows which one it is:
///
/// ```
/// use axum::Router;
/// use axum::extract::MatchedPath;
/// use axum::routing::get;
/// use throughline_http::ServerLayer;
///
/// let spans = ServerLayer::new()
///     .route(|request| request.extensions().get::<MatchedPath>().map(MatchedPath::as_str))
///     .only(|request| request.uri().path() != "/health");
/// let routes: Router = Router::new()
///     .route("/orders/{id}", get(async || "an order"))
///     .route("/health", get(async || "fine"))
///     .layer(spans);
/// # let _ = routes;
/// ```
///
/// A request to `/orders/17` is then a span `GET /orders/{id}`, and one that no route takes is a span `GET`.
///
/// # With any other service
///
/// ```
/// use std::convert::Infallible;
///
/// use http::{Request, Response};
/// use throughline_http::ServerLayer;
/// use tower_layer::Layer;
///
/// # #[derive(Clone)]
/// # struct Echo;
/// # impl tower_service::Service<Request<String>> for Echo {
/// #     type Response = Response<String>;
/// #     type Error = Infallible;
/// #     type Future = std::future::Ready<Result<Response<String>, Infallible>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
/// #         std::task::Poll::Ready(Ok(()))
/// #     }
/// #     fn call(&mut self, request: Request<String>) -> Self::Future {
/// #         std::future::ready(Ok(Response::new(request.into_body())))
/// #     }
/// # }
/// fn is_service<S: tower_service::Service<Request<String>>>(service: S) -> S {
///     service
/// }
///
/// let service = is_service(ServerLayer::new().scheme("https").layer(Echo));
/// # let _ = service;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct ServerLayer {
    // Shared, since axum clones a route's services for each request.
    options: Arc<Options>,
}

impl ServerLayer {
    /// Spans without a route, of all requests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Finds the pattern that the path of a request matched: it names the span and is its `http.route`.
    ///
    /// The path itself is no route. There are as many paths as there are resources, and backends group by name.
    pub fn route<F>(mut self, find: F) -> Self
    where
        F: for<'a> Fn(RequestHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    {
        self.edit().route = Some(Arc::new(find));
        self
    }

    /// Makes spans of those requests only for which this is true. The others are handled as if the layer were not there:
    /// what is traced in their handlers starts traces of its own.
    pub fn only<F>(mut self, is_traced: F) -> Self
    where
        F: Fn(RequestHead<'_>) -> bool + Send + Sync + 'static,
    {
        self.edit().only = Some(Arc::new(is_traced));
        self
    }

    /// Records more of a request, on its span that was started just now. It is not asked where the span records nothing.
    ///
    /// ```
    /// use throughline_http::ServerLayer;
    ///
    /// let layer = ServerLayer::new().attributes(|request, span| {
    ///     let agent = request.headers().get("user-agent");
    ///     span.set_attribute("user_agent.original", agent.and_then(|agent| agent.to_str().ok()));
    /// });
    /// # let _ = layer;
    /// ```
    pub fn attributes<F>(mut self, record: F) -> Self
    where
        F: Fn(RequestHead<'_>, &mut LiveSpan) + Send + Sync + 'static,
    {
        self.edit().attributes = Some(Arc::new(record));
        self
    }

    /// Whether the callers belong to the same system. If [anybody may call](Trust::Public), a request starts a trace that
    /// links the caller's.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.edit().trust = trust;
        self
    }

    /// The scheme of requests whose target has none: `https` behind something that ends TLS.
    pub fn scheme(mut self, scheme: &'static str) -> Self {
        self.edit().scheme = scheme;
        self
    }

    /// The methods that are recorded by their names, in place of those of RFC 9110, `PATCH` and `QUERY`. All others, of
    /// which a client can invent as many as it likes, are `_OTHER`.
    pub fn known_methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.edit().known_methods = Some(methods.into_iter().collect());
        self
    }

    fn edit(&mut self) -> &mut Options {
        Arc::make_mut(&mut self.options)
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = InServerSpan<S>;

    fn layer(&self, inner: S) -> InServerSpan<S> {
        InServerSpan {
            inner,
            options: Arc::clone(&self.options),
        }
    }
}

type Route = dyn for<'a> Fn(RequestHead<'a>) -> Option<&'a str> + Send + Sync;
type Only = dyn Fn(RequestHead<'_>) -> bool + Send + Sync;
type Attributes = dyn Fn(RequestHead<'_>, &mut LiveSpan) + Send + Sync;

/// What a layer was told.
#[derive(Clone)]
pub(crate) struct Options {
    route: Option<Arc<Route>>,
    only: Option<Arc<Only>>,
    attributes: Option<Arc<Attributes>>,
    trust: Trust,
    pub(crate) scheme: &'static str,
    pub(crate) known_methods: Option<Arc<[Method]>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            route: None,
            only: None,
            attributes: None,
            trust: Trust::default(),
            scheme: "http",
            known_methods: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("route", &self.route.is_some())
            .field("only", &self.only.is_some())
            .field("attributes", &self.attributes.is_some())
            .field("trust", &self.trust)
            .field("scheme", &self.scheme)
            .field("known_methods", &self.known_methods)
            .finish()
    }
}

impl Options {
    /// Starts the span of a request, if it is to have one.
    fn start(&self, request: RequestHead<'_>) -> Span {
        if !REQUEST.is_enabled() || self.only.as_ref().is_some_and(|only| !only(request)) {
            return Span::disabled();
        }
        let caller = propagate::global().incoming(&HeaderExtractor(request.headers()), self.trust);
        let mut span = Span::start_with(&REQUEST, caller.parent);
        if let Some(live) = span.recording() {
            let route = self.route.as_ref().and_then(|route| route(request));
            describe(request, route, self, live);
            if let Some(caller) = caller.link {
                live.add_link(caller);
            }
            if let Some(record) = &self.attributes {
                record(request, live);
            }
        }
        span
    }
}

/// A service whose requests are spans: what [`ServerLayer`] makes of the one that it is put around.
#[derive(Clone, Debug)]
pub struct InServerSpan<S> {
    inner: S,
    options: Arc<Options>,
}

impl<S, B, R> Service<Request<B>> for InServerSpan<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: fmt::Display,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = InSpan<S::Future, Answered>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let span = self.options.start(RequestHead::of(&request));
        if span.is_disabled() {
            return InSpan::new(span, self.inner.call(request), Answered(()));
        }
        // Services further in may begin with the request before their future is polled.
        let entered = span.enter();
        let future = self.inner.call(request);
        InSpan::new(entered.exit(), future, Answered(()))
    }
}

/// Every request, until it is known what to call it.
static REQUEST: Callsite = callsite!("HTTP", Server);
