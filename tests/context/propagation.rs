//! From one process to the next: what a client sends is what a server goes on with.

use http::HeaderMap;
use throughline::core::SpanContext;
use throughline::core::propagate::{self, Baggage, Format, Propagator, TraceState, Trust};
use throughline::http::{HeaderExtractor, HeaderInjector};
use throughline::testing::Capture;
use throughline::{Context, span, task, traced};

const BROWSER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What a client puts into its request.
fn request() -> HeaderMap {
    let mut headers = HeaderMap::new();
    propagate::inject(&Context::current(), &mut HeaderInjector(&mut headers));
    headers
}

/// What a server does with a request.
fn serve(headers: &HeaderMap, trust: Trust) {
    let incoming = propagate::global().incoming(&HeaderExtractor(headers), trust);
    let handler = span!(parent: incoming.parent, links: incoming.link, "handle request");
    handler.in_scope(|| span!("look up").in_scope(|| ()));
}

#[test]
fn a_trusted_caller_is_the_parent() {
    let capture = Capture::start();
    let _here = capture.attach();
    let headers = span!("call").in_scope(request);
    serve(&headers, Trust::Trusted);
    insta::assert_snapshot!(capture.tree(), @r"
    call
    └─ handle request
       └─ look up
    ");
}

#[test]
fn a_public_endpoint_starts_a_trace_and_links_the_caller() {
    let capture = Capture::start();
    let _here = capture.attach();
    let headers = span!("call").in_scope(request);
    serve(&headers, Trust::Public);
    insta::assert_snapshot!(capture.tree(), @r"
    call
    handle request
    │  → call (another trace)
    └─ look up
    ");
}

#[test]
fn a_request_without_headers_starts_a_trace() {
    let capture = Capture::start();
    let _here = capture.attach();
    for trust in [Trust::Trusted, Trust::Public] {
        serve(&HeaderMap::new(), trust);
    }
    insta::assert_snapshot!(capture.tree(), @r"
    handle request
    └─ look up
    handle request
    └─ look up
    ");
}

#[test]
fn a_broken_request_starts_a_trace() {
    let capture = Capture::start();
    let _here = capture.attach();
    let mut headers = HeaderMap::new();
    headers.append("traceparent", BROWSER.parse().expect("a value"));
    headers.append("traceparent", BROWSER.parse().expect("a value"));
    headers.append("tracestate", "vendor=x".parse().expect("a value"));
    serve(&headers, Trust::Trusted);
    insta::assert_snapshot!(capture.tree(), @r"
    handle request
    └─ look up
    ");
    assert!(
        capture
            .spans()
            .iter()
            .all(|span| span.tracestate.is_empty())
    );
}

/// A context as a browser of another vendor would send it.
fn browser() -> Context {
    let span = SpanContext::parse_traceparent(BROWSER).expect("valid");
    let tracestate = TraceState::parse(["vendor=x,other=y"]).expect("valid");
    Context::from(span).with_tracestate(tracestate)
}

#[traced]
fn through_an_attribute() -> HeaderMap {
    request()
}

#[tokio::test]
async fn tracestate_is_inherited_and_exported_on_each_span() {
    let capture = Capture::start();
    let _here = capture.attach();
    let server = span!(parent: browser(), "server").enter();
    let sent = span!("nested").in_scope(through_an_attribute);
    let on_a_thread_too = on_a_thread();
    drop(server);
    for headers in [&sent, &on_a_thread_too] {
        assert_eq!(headers["tracestate"], "vendor=x,other=y");
    }
    insta::assert_snapshot!(capture.tree(), @r"
    server (remote parent)
    └─ nested
       └─ through_an_attribute
    ");
    let spans = capture.spans();
    assert_eq!(spans.len(), 3);
    assert!(
        spans
            .iter()
            .all(|span| span.tracestate == "vendor=x,other=y"),
        "{spans:?}"
    );
}

fn on_a_thread() -> HeaderMap {
    let context = Context::current();
    std::thread::spawn(move || {
        let _here = context.attach();
        request()
    })
    .join()
    .expect("the thread ends well")
}

#[test]
fn a_member_of_ones_own_comes_first_from_there_on() {
    let capture = Capture::start();
    let _here = capture.attach();
    let server = span!(parent: browser(), "server").enter();
    let mut tracestate = Context::current().tracestate().clone();
    tracestate.insert("other", "changed").expect("it fits");
    let changed = Context::current().with_tracestate(tracestate).attach();
    span!("below").in_scope(|| ());
    drop(changed);
    drop(server);
    let spans = capture.spans();
    let of = |name: &str| {
        let found = spans.iter().find(|span| span.name == name);
        found.expect("it was recorded").tracestate.as_str()
    };
    assert_eq!(
        (of("server"), of("below")),
        ("vendor=x,other=y", "other=changed,vendor=x")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baggage_goes_where_the_context_goes() {
    let capture = Capture::start();
    let mut baggage = Baggage::new();
    baggage.insert("tenant", "blue").expect("it fits");
    let seen = || {
        Context::current()
            .baggage()
            .get("tenant")
            .map(str::to_owned)
    };
    let context = capture.context().with_baggage(baggage);
    let (spawned, blocking, beside) = {
        let _here = context.attach();
        let root = span!("root").enter();
        let spawned = task::spawn(async move {
            tokio::task::yield_now().await;
            span!("spawned").in_scope(seen)
        });
        let blocking = task::spawn_blocking(move || span!("blocking").in_scope(seen));
        let beside = tokio::spawn(async move { seen() });
        drop(root);
        (spawned, blocking, beside)
    };
    assert_eq!(spawned.await.expect("ends well").as_deref(), Some("blue"));
    assert_eq!(blocking.await.expect("ends well").as_deref(), Some("blue"));
    assert_eq!(beside.await.expect("ends well"), None);
    assert_eq!(seen(), None);
    let mut children: Vec<_> = capture.spans().into_iter().map(|span| span.name).collect();
    children.sort();
    assert_eq!(children, ["blocking", "root", "spawned"]);
}

#[test]
fn baggage_leaves_only_by_name() {
    let mut baggage = Baggage::new();
    baggage.insert("tenant", "blue").expect("it fits");
    baggage.insert("secret", "canary").expect("it fits");
    let context = browser().with_baggage(baggage);
    let sent = |propagator: &Propagator| {
        let mut headers = HeaderMap::new();
        propagator.inject(&context, &mut HeaderInjector(&mut headers));
        headers
    };
    assert!(!sent(&Propagator::default()).contains_key("baggage"));
    let some = Propagator::default().allow_baggage(["tenant"]);
    assert_eq!(sent(&some)["baggage"], "tenant=blue");
}

#[test]
fn every_format_joins_two_processes() {
    for format in Format::ALL {
        if format == Format::Baggage {
            continue;
        }
        let capture = Capture::start();
        let _here = capture.attach();
        let propagator = Propagator::new([format]);
        let mut headers = HeaderMap::new();
        span!("client").in_scope(|| {
            propagator.inject(&Context::current(), &mut HeaderInjector(&mut headers));
        });
        let incoming = propagator.incoming(&HeaderExtractor(&headers), Trust::Trusted);
        span!(parent: incoming.parent, links: incoming.link, "server").in_scope(|| ());
        assert_eq!(capture.tree(), "client\n└─ server", "{format:?}");
    }
}
