//! The bridges to the OpenTelemetry API and SDK: one context, one trace.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    Event, Link, Span as _, SpanKind, Status, TraceContextExt, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context as OtelContext, InstrumentationScope, KeyValue, Value, global};
use throughline::core::{RecorderConfig, Sampler, SpanContext};
use throughline::opentelemetry::{Propagator, Tracer, TracerProvider, install};
use throughline::propagate::Format;
use throughline::testing::{Capture, TreeOptions};
use throughline::tracing::TraceLayer;
use throughline::{Context, propagate, span, traced};
use tracing::instrument::WithSubscriber;
use tracing::{Instrument, info, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

const REMOTE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A capture that is current, with the contexts joined, and a tracer without a recorder of its own.
pub(crate) fn joined() -> (Capture, Tracer) {
    install();
    (Capture::start(), TracerProvider::new().tracer("otel"))
}

pub(crate) fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0);
    capture.tree_with(&TreeOptions::new().sorted_by_name())
}

/// That both APIs see the same span.
pub(crate) fn assert_same() {
    let ours = Context::current().span_context();
    let theirs = OtelContext::current();
    let theirs = theirs.span().span_context().clone();
    assert_eq!(theirs.trace_id().to_bytes(), ours.trace_id().to_bytes());
    assert_eq!(theirs.span_id().to_bytes(), ours.span_id().to_bytes());
    assert_eq!(theirs.trace_flags().to_u8(), ours.trace_flags().to_u8());
    assert_eq!(theirs.is_remote(), ours.is_remote());
}

/// One attribute of each type.
pub(crate) fn attributes() -> Vec<KeyValue> {
    let strings = vec!["a".into(), "b".into()];
    vec![
        KeyValue::new("bool", true),
        KeyValue::new("i64", 42),
        KeyValue::new("f64", 0.5),
        KeyValue::new("string", "text"),
        KeyValue::new("bools", Value::Array(Array::Bool(vec![true, false]))),
        KeyValue::new("i64s", Value::Array(Array::I64(vec![1, 2]))),
        KeyValue::new("f64s", Value::Array(Array::F64(vec![0.5]))),
        KeyValue::new("strings", Value::Array(Array::String(strings))),
    ]
}

pub(crate) fn remote_context() -> OtelContext {
    let headers = HashMap::from([
        ("traceparent".to_owned(), REMOTE.to_owned()),
        ("tracestate".to_owned(), "vendor=value".to_owned()),
    ]);
    Propagator::new().extract(&headers)
}

#[test]
fn four_kinds_of_spans_in_turns() {
    let (capture, tracer) = joined();
    let _here = capture.attach();
    let layer = tracing_subscriber::registry().with(TraceLayer::new());
    tracing::subscriber::with_default(layer, || {
        tracer.in_span("otel", |_| {
            assert_same();
            span!("native").in_scope(|| {
                assert_same();
                info_span!("tracing").in_scope(|| {
                    assert_same();
                    tracer.in_span("otel inside", |_| {
                        assert_same();
                        info!("an event of tracing");
                        throughline::current().set_attribute("set.by", "throughline");
                    });
                    OtelContext::current()
                        .span()
                        .set_attribute(KeyValue::new("set.by", "opentelemetry"));
                });
                OtelContext::current()
                    .span()
                    .add_event("an event of the API", vec![KeyValue::new("n", 1)]);
            });
            assert_same();
        });
    });
    assert!(!OtelContext::current().span().span_context().is_valid());
    insta::assert_snapshot!(tree(&capture), @r#"
    otel
    └─ native
       │  • an event of the API {n=1}
       └─ tracing {set.by="opentelemetry"}
          └─ otel inside {set.by="throughline"}
                • an event of tracing {level="INFO", target="context::opentelemetry"}
    "#);
}

#[test]
fn a_remote_parent_attached_through_the_api() {
    let (capture, tracer) = joined();
    let _here = capture.attach();
    let attached = remote_context().attach();
    assert_same();
    span!("native").in_scope(|| {
        let span = tracer.start("otel");
        assert_eq!(span.span_context().trace_state().header(), "vendor=value");
    });
    drop(attached);
    span!("apart").in_scope(|| ());
    assert_eq!(
        capture
            .trace_of(SpanContext::parse_traceparent(REMOTE).expect("valid"))
            .len(),
        2
    );
    insta::assert_snapshot!(tree(&capture), @r#"
    native (remote parent)
    └─ otel
    apart
    "#);
}

#[test]
fn guards_of_both_in_any_order() {
    let (capture, tracer) = joined();
    let _here = capture.attach();
    let outer = span!("outer").enter();
    let otel = OtelContext::current_with_span(tracer.start("otel")).attach();
    let inner = span!("inner").enter();
    drop(outer);
    assert_same();
    span!("under inner").in_scope(|| ());
    drop(otel);
    assert_same();
    span!("also under inner").in_scope(|| ());
    drop(inner);
    assert!(!Context::current().span_context().is_valid());
    assert_same();

    let otel = OtelContext::current_with_span(tracer.start("otel first")).attach();
    let native = span!("native second").enter();
    drop(otel);
    span!("under native").in_scope(|| ());
    drop(native);
    span!("apart").in_scope(|| ());
    insta::assert_snapshot!(tree(&capture), @r#"
    outer
    └─ otel
       └─ inner
          ├─ also under inner
          └─ under inner
    otel first
    └─ native second
       └─ under native
    apart
    "#);
}

#[test]
fn an_empty_context_of_the_api_starts_a_trace() {
    let (capture, _) = joined();
    let _here = capture.attach();
    span!("outer").in_scope(|| {
        let _root = OtelContext::new().attach();
        span!("a trace of its own").in_scope(|| ());
    });
    insta::assert_snapshot!(tree(&capture), @r#"
    outer
    a trace of its own
    "#);
}

#[test]
fn values_of_the_context_stay_inside_of_spans() {
    let (capture, _) = joined();
    let _here = capture.attach();
    let _baggage = OtelContext::current_with_baggage([KeyValue::new("user", "ann")]).attach();
    span!("native").in_scope(|| {
        let cx = OtelContext::current();
        assert_eq!(
            cx.baggage().get("user").map(|value| value.as_str()),
            Some("ann")
        );
        assert_same();
    });
    assert_eq!(capture.spans().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_await_tasks_and_threads() {
    let (capture, tracer) = joined();
    let work = async {
        assert_same();
        tokio::task::yield_now().await;
        assert_same();
        let otel = OtelContext::current_with_span(tracer.start("otel"));
        let in_otel = async {
            assert_same();
            tokio::task::yield_now().await;
            span!("native in otel").in_scope(assert_same);
            throughline::task::spawn(async {
                tokio::task::yield_now().await;
                assert_same();
                span!("in our task").in_scope(|| ());
            })
            .await
            .expect("no panic");
        };
        opentelemetry::context::FutureExt::with_context(in_otel, otel).await;
        let task = async {
            tokio::task::yield_now().await;
            span!("in a task of tokio").in_scope(assert_same);
        };
        let cx = OtelContext::current();
        tokio::spawn(opentelemetry::context::FutureExt::with_context(task, cx))
            .await
            .expect("no panic");
        let cx = OtelContext::current();
        std::thread::spawn(move || {
            let _here = cx.attach();
            span!("on a thread").in_scope(assert_same);
        })
        .join()
        .expect("no panic");
    };
    let work = async { throughline::FutureExt::in_span(work, span!("root")).await };
    capture.run(work).await;
    assert!(!OtelContext::current().span().span_context().is_valid());
    insta::assert_snapshot!(tree(&capture), @r#"
    root
    ├─ in a task of tokio
    ├─ on a thread
    └─ otel
       ├─ in our task
       └─ native in otel
    "#);
}

#[test]
fn a_context_left_inside_map_current_harms_nobody() {
    let (capture, _) = joined();
    let _here = capture.attach();
    span!("outer").in_scope(|| {
        OtelContext::map_current(|_| {
            span!("inner").in_scope(|| span!("innermost").in_scope(|| ()));
        });
        assert_same();
    });
    assert_same();
    assert_eq!(capture.spans().len(), 3);
}

#[test]
fn spans_in_destructors_of_thread_locals() {
    struct Late(Context, &'static str);

    impl Drop for Late {
        fn drop(&mut self) {
            let _here = self.0.attach();
            span!("in a destructor", when = self.1).in_scope(|| ());
        }
    }

    thread_local! {
        static LAST: RefCell<Option<Late>> = const { RefCell::new(None) };
        static FIRST: RefCell<Option<Late>> = const { RefCell::new(None) };
    }

    let (capture, _) = joined();
    let context = capture.context();
    std::thread::spawn(move || {
        // What is touched first is destroyed last.
        LAST.set(Some(Late(context.clone(), "after the context is gone")));
        let _here = context.attach();
        span!("work").in_scope(assert_same);
        FIRST.set(Some(Late(context, "before")));
    })
    .join()
    .expect("no panic");
    assert_eq!(capture.stats().live(), 0);
    insta::assert_snapshot!(capture.tree(), @r#"
    work
    in a destructor {when="before"}
    "#);
}

#[test]
fn everything_a_span_can_have() {
    let (capture, _) = joined();
    let scope = InstrumentationScope::builder("payments")
        .with_version("1.2.3")
        .build();
    let tracer = TracerProvider::with_recorder(capture.recorder()).tracer_with_scope(scope);
    let at =
        |seconds| UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_nanos(seconds);
    let mut builder = tracer.span_builder("charge");
    builder.span_kind = Some(SpanKind::Client);
    builder.start_time = Some(at(1));
    builder.events = Some(vec![Event::new(
        "early",
        at(2),
        vec![KeyValue::new("n", 1)],
        3,
    )]);
    builder.attributes = Some(attributes());
    let linked = remote_context();
    builder.links = Some(vec![Link::new(
        linked.span().span_context().clone(),
        vec![KeyValue::new("why", "because")],
        0,
    )]);
    let mut span = tracer.build_with_context(builder, &remote_context());
    assert!(span.is_recording());
    assert!(!span.span_context().is_remote());
    span.set_attribute(KeyValue::new("i64", 43));
    span.update_name("charge card");
    span.add_event_with_timestamp("late", at(5), vec![]);
    span.set_status(Status::error("declined"));
    span.end_with_timestamp(at(7));
    span.set_attribute(KeyValue::new("after.the.end", true));
    assert!(!span.is_recording());

    let spans = capture.spans();
    let [received] = &spans[..] else {
        panic!("one span, not {spans:?}");
    };
    let told = [
        format!("{:?} {:?}", received.name, received.kind),
        format!("{:?} {:#x}", received.tracestate, received.flags),
        format!("{}..{}", received.start_unix_nano, received.end_unix_nano),
        format!("{:?}", received.attributes),
        format!("{:?}", received.events),
        format!("{:?}", received.links),
        format!("{:?} {:?}", received.status, received.status_message),
        format!("{:?}", received.scope),
    ]
    .join("\n");
    insta::assert_snapshot!(told, @r#"
    "charge card" Client
    "vendor=value" 0x301
    1700000000000000001..1700000000000000007
    [("bool", Bool(true)), ("f64", Double(0.5)), ("string", String("text")), ("bools", Array([Bool(true), Bool(false)])), ("i64s", Array([Int(1), Int(2)])), ("f64s", Array([Double(0.5)])), ("strings", Array([String("a"), String("b")])), ("i64", Int(43))]
    [ReceivedEvent { name: "early", time_unix_nano: 1700000000000000002, attributes: [("n", Int(1))], dropped_attributes: 3 }, ReceivedEvent { name: "late", time_unix_nano: 1700000000000000005, attributes: [], dropped_attributes: 0 }]
    [ReceivedLink { trace_id: TraceId(0af7651916cd43dd8448eb211c80319c), span_id: SpanId(b7ad6b7169203331), tracestate: "vendor=value", flags: 769, attributes: [("why", String("because"))], dropped_attributes: 0 }]
    Error "declined"
    ReceivedScope { name: "payments", version: "1.2.3", schema_url: "", attributes: [] }
    "#);
}

#[test]
fn unsampled_spans_pass_on_their_context() {
    install();
    let mut config = RecorderConfig::default();
    config.sampler = Sampler::always_off();
    let capture = Capture::with_config(config);
    let _here = capture.attach();
    let tracer = TracerProvider::new().tracer("otel");
    tracer.in_span("unsampled", |cx| {
        let span = cx.span();
        assert!(span.span_context().is_valid());
        assert!(!span.span_context().is_sampled());
        assert!(!span.is_recording());
        assert_same();
        span!("native").in_scope(assert_same);
    });
    assert_eq!(capture.stats().unsampled, 2);
    assert_eq!(capture.stats().started, 0);
}

#[test]
fn a_suppressed_context_makes_no_span() {
    let (capture, tracer) = joined();
    let _here = capture.attach();
    let _suppressed = OtelContext::enter_telemetry_suppressed_scope();
    assert!(!tracer.start("suppressed").is_recording());
    assert!(throughline::core::is_suppressed());
    span!("native").in_scope(|| ());
    drop(span!("native, not entered"));
    assert_eq!(capture.spans().len(), 0);
}

#[test]
fn the_propagator_writes_what_it_reads() {
    let cx = remote_context();
    let mut headers = HashMap::new();
    Propagator::new().inject_context(&cx, &mut headers);
    assert_eq!(headers["traceparent"], REMOTE);
    assert_eq!(headers["tracestate"], "vendor=value");
    assert_eq!(
        Propagator::new().fields().collect::<Vec<_>>(),
        ["traceparent", "tracestate", "baggage"]
    );

    let broken = HashMap::from([("traceparent".to_owned(), "00-0-0-00".to_owned())]);
    assert!(!Propagator::new().extract(&broken).has_active_span());
    let mut nothing = HashMap::new();
    Propagator::new().inject_context(&OtelContext::new(), &mut nothing);
    assert!(nothing.is_empty());
}

#[test]
fn the_propagator_has_every_format_and_the_baggage_that_may_leave() {
    let formats = [Format::B3, Format::Baggage];
    let formats = propagate::Propagator::new(formats).allow_baggage(["tenant"]);
    let propagator = Propagator::from(formats);
    let cx = remote_context().with_baggage([
        KeyValue::new("tenant", "blue & green"),
        KeyValue::new("secret", "stays"),
    ]);
    let mut headers = HashMap::new();
    propagator.inject_context(&cx, &mut headers);
    assert_eq!(
        headers["b3"],
        "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"
    );
    assert_eq!(headers["baggage"], "tenant=blue%20&%20green");
    let there = propagator.extract(&headers);
    assert_eq!(
        there.span().span_context().trace_id(),
        cx.span().span_context().trace_id()
    );
    assert_eq!(
        there.baggage().get("tenant").map(ToString::to_string),
        Some("blue & green".to_owned())
    );
    assert_eq!(there.baggage().len(), 1);
}

#[traced]
async fn handle(tracer: Tracer) {
    tokio::task::yield_now().await;
    let span = info_span!("of tracing-opentelemetry", otel.kind = "client");
    async {
        tracing::Span::current().set_attribute("from", "the span extension");
        span!("native inside").in_scope(assert_same);
        tracer.in_span("of a tracer", |_| {
            info_span!("in that").in_scope(|| {
                global::tracer("global").in_span("of the global tracer", |_| assert_same());
            });
        });
        tokio::task::yield_now().await;
    }
    .instrument(span.clone())
    .await;
    let detached = info_span!("with a parent that was set");
    detached
        .set_parent(span.context())
        .expect("not started yet");
    detached.add_link(remote_context().span().span_context().clone());
    detached.in_scope(|| span!("native in that").in_scope(assert_same));
}

/// The one test of this binary that uses the process-wide slots of the OpenTelemetry API.
#[tokio::test]
async fn five_ways_to_make_a_span_and_one_connected_tree() {
    use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
    use tower::{ServiceBuilder, ServiceExt};

    let (capture, tracer) = joined();
    global::set_tracer_provider(TracerProvider::new());
    global::set_text_map_propagator(Propagator::new());
    let layer = tracing_opentelemetry::layer().with_tracer(global::tracer("tracing"));
    let subscriber = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));

    let inner = tower::service_fn(move |_: http::Request<String>| {
        let tracer = tracer.clone();
        async move {
            handle(tracer).await;
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        }
    });
    let service = ServiceBuilder::new()
        .layer(LayerBuilder::builder().build().expect("valid"))
        .service(inner);
    let request = http::Request::get("http://localhost/orders")
        .header("traceparent", REMOTE)
        .body(String::new())
        .expect("valid");
    let call = async {
        let response = service.oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), 200);
    };
    capture.run(call).with_subscriber(subscriber).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    GET [server] {http.request.method="GET", url.scheme="http", url.path="/orders", http.response.status_code=200} (remote parent)
    └─ handle
       └─ of tracing-opentelemetry [client] {code.module.name="context::opentelemetry", target="context::opentelemetry", from="the span extension"}
          ├─ native inside
          ├─ of a tracer
          │  └─ in that {code.module.name="context::opentelemetry", target="context::opentelemetry"}
          │     └─ of the global tracer
          └─ with a parent that was set {code.module.name="context::opentelemetry", target="context::opentelemetry"}
             │  → ? missing span
             └─ native in that
    "#);
}
