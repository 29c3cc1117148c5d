//! Migrate: a program on `tracing-opentelemetry`, moved to Throughline in three steps that can each be the last.
//!
//! The program handles a request whose headers name a span in another process. It has spans of `tracing`, the span
//! extension of `tracing-opentelemetry`, and a library that is written on the OpenTelemetry API. Its trace is the same
//! before and after each step:
//!
//! ```text
//! upstream, in another process
//! └─ checkout [server]        `tracing`, with the parent from the headers
//!    ├─ charge                `tracing`
//!    │  └─ POST /charges      a library's tracer of the OpenTelemetry API
//!    └─ ship                  `tracing`
//! ```
//!
//! | step | spans are made by | spans are exported by |
//! |---|---|---|
//! | [`before`] | `tracing-opentelemetry` on the SDK | an exporter of the SDK |
//! | [`keep_the_sdk`] | the same | Throughline, through `RecorderProcessor` |
//! | [`keep_the_layer`] | `tracing-opentelemetry` on our tracer; the SDK is gone | Throughline |
//! | [`after`] | Throughline's own layer | Throughline |
//!
//! `cargo run --bin migrate` draws what each step records.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the pictures")]

use std::collections::HashMap;

use opentelemetry::global;
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use throughline::opentelemetry::{Propagator, RecorderProcessor, TracerProvider};
use throughline::testing::Capture;
use throughline::tracing::TraceLayer;
use tracing::{Subscriber, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

fn main() {
    println!("before\n{}\n", edges_of_the_sdk(&before()).join("\n"));
    for (step, run) in STEPS {
        println!("{step}\n{}", run().tree());
    }
}

type Step = (&'static str, fn() -> Capture);

const STEPS: [Step; 3] = [
    ("the SDK is kept, the export side is replaced", keep_the_sdk),
    ("the layer is kept, the SDK is replaced", keep_the_layer),
    ("all is replaced", after),
];

/// The program before: `tracing-opentelemetry`, the SDK, an exporter.
fn before() -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop"));
    global::set_text_map_propagator(TraceContextPropagator::new());
    global::set_tracer_provider(provider);
    run(tracing_subscriber::registry().with(layer), checkout);
    exporter.get_finished_spans().unwrap_or_default()
}

/// Step one: only the processor of the provider changes. Whatever the SDK samples arrives; what it records without
/// sampling does not. The resource is from here on that of Throughline's pipeline.
fn keep_the_sdk() -> Capture {
    let capture = Capture::start();
    // A program has `RecorderProcessor::global()` here, and `throughline::init()` before.
    let processor = RecorderProcessor::new(capture.recorder().clone());
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop"));
    global::set_text_map_propagator(TraceContextPropagator::new());
    global::set_tracer_provider(provider);
    run(tracing_subscriber::registry().with(layer), checkout);
    capture
}

/// Step two: the SDK goes. Native spans (`#[traced]`, `span!`) and those of the OpenTelemetry API share one context
/// once that is joined.
fn keep_the_layer() -> Capture {
    let capture = Capture::start();
    throughline::opentelemetry::install();
    // A program has `TracerProvider::new()` here: its spans go to the process-wide pipeline.
    let provider = TracerProvider::with_recorder(capture.recorder());
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop"));
    global::set_text_map_propagator(Propagator::new());
    global::set_tracer_provider(provider);
    run(tracing_subscriber::registry().with(layer), checkout);
    capture
}

/// Step three: Throughline's layer makes the spans of `tracing`. `set_parent` becomes an attached context; the tracer
/// provider stays for libraries.
fn after() -> Capture {
    let capture = Capture::start();
    throughline::opentelemetry::install();
    global::set_text_map_propagator(Propagator::new());
    global::set_tracer_provider(TracerProvider::new());
    let _here = capture.attach();
    run(
        tracing_subscriber::registry().with(TraceLayer::new()),
        checkout_after,
    );
    capture
}

fn run(subscriber: impl Subscriber + Send + Sync, program: fn(&Headers)) {
    let headers = Headers::from([("traceparent".to_owned(), UPSTREAM.to_owned())]);
    tracing::subscriber::with_default(subscriber, || program(&headers));
}

/// The handler of the program before.
fn checkout(headers: &Headers) {
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(headers));
    let span = info_span!("checkout", otel.kind = "server");
    // It fails where no layer of `tracing-opentelemetry` is installed.
    let _ = span.set_parent(parent);
    span.in_scope(order);
}

/// The handler of the program after.
fn checkout_after(headers: &Headers) {
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(headers));
    let _here = parent.attach();
    info_span!("checkout", otel.kind = "server").in_scope(order);
}

fn order() {
    info_span!("charge").in_scope(library);
    info_span!("ship").in_scope(|| ());
}

/// A library that is written on the OpenTelemetry API.
fn library() {
    global::tracer("bank").in_span("POST /charges", |cx| {
        cx.span()
            .set_attribute(opentelemetry::KeyValue::new("amount", 42));
    });
}

type Headers = HashMap<String, String>;

const UPSTREAM: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// `parent > child` for each span, in order.
fn edges_of_the_sdk(spans: &[SpanData]) -> Vec<String> {
    let name_of = |id| spans.iter().find(|span| span.span_context.span_id() == id);
    let mut edges: Vec<String> = spans
        .iter()
        .map(|span| {
            let parent = name_of(span.parent_span_id).map_or("upstream", |parent| &parent.name);
            format!("{parent} > {}", span.name)
        })
        .collect();
    edges.sort();
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(capture: &Capture) -> Vec<String> {
        let spans = capture.spans();
        let name_of = |id| spans.iter().find(|span| Some(span.span_id) == id);
        let mut edges: Vec<String> = spans
            .iter()
            .map(|span| {
                assert_eq!(span.trace_id.to_string(), UPSTREAM[3..35]);
                let parent = name_of(span.parent).map_or("upstream", |parent| &parent.name);
                format!("{parent} > {}", span.name)
            })
            .collect();
        edges.sort();
        edges
    }

    /// One test, because the steps use the process-wide slots of the OpenTelemetry API.
    #[test]
    fn each_step_records_the_same_trace() {
        let expected = [
            "charge > POST /charges",
            "checkout > charge",
            "checkout > ship",
            "upstream > checkout",
        ];
        assert_eq!(edges_of_the_sdk(&before()), expected);
        for (step, run) in STEPS {
            assert_eq!(edges(&run()), expected, "{step}");
        }
    }
}
