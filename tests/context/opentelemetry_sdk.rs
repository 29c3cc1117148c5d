//! Spans of the OpenTelemetry SDK that go through our recorder, and exporters of the SDK at the other end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Link, Span as _, SpanKind, Status, TraceContextExt, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context as OtelContext, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, Sampler as SdkSampler, SamplingDecision, SamplingResult,
    SdkTracerProvider, ShouldSample,
};
use throughline::export::SdkExporter;
use throughline::opentelemetry::RecorderProcessor;
use throughline::testing::Capture;
use throughline::{Pipeline, span};

use crate::opentelemetry::{assert_same, attributes, joined, remote_context, tree};

/// Records the span of that name without sampling it.
#[derive(Clone, Debug)]
struct RecordOnly;

impl ShouldSample for RecordOnly {
    fn should_sample(
        &self,
        _: Option<&OtelContext>,
        _: opentelemetry::TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        SamplingResult {
            decision: match name {
                "recorded only" => SamplingDecision::RecordOnly,
                "dropped" => SamplingDecision::Drop,
                _ => SamplingDecision::RecordAndSample,
            },
            attributes: Vec::new(),
            trace_state: TraceState::NONE,
        }
    }
}

fn sdk(capture: &Capture, sampler: impl ShouldSample + 'static) -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_span_processor(RecorderProcessor::new(capture.recorder().clone()))
        .build()
}

#[test]
fn spans_of_the_sdk_arrive_and_those_recorded_only_do_not() {
    let (capture, _) = joined();
    let tracer = sdk(&capture, RecordOnly).tracer("sdk");
    let _here = capture.attach();
    tracer.in_span("root", |cx| {
        cx.span().set_attribute(KeyValue::new("n", 1));
        span!("native").in_scope(|| {
            tracer.in_span("leaf", |_| assert_same());
        });
        drop(tracer.start("recorded only"));
        drop(tracer.start("dropped"));
    });
    insta::assert_snapshot!(tree(&capture), @r#"
    root {n=1}
    └─ native
       └─ leaf
    "#);
    assert_eq!(capture.stats().started, 3);
    assert_eq!(capture.stats().published, 3);
}

#[test]
fn a_span_of_the_sdk_keeps_ids_times_and_fields() {
    let capture = Capture::start();
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_sampler(SdkSampler::AlwaysOn)
        .with_simple_exporter(exporter.clone())
        .with_span_processor(RecorderProcessor::new(capture.recorder().clone()))
        .build();
    let mut span = provider
        .tracer("sdk")
        .span_builder("work")
        .with_kind(SpanKind::Consumer)
        .with_attributes([KeyValue::new("n", 1)])
        .start_with_context(&provider.tracer("sdk"), &remote_context());
    span.add_event("event", vec![KeyValue::new("e", "x")]);
    span.set_status(Status::Ok);
    span.end();
    let theirs = exporter.get_finished_spans().expect("not shut down");
    let ours = capture.spans();
    assert_eq!((theirs.len(), ours.len()), (1, 1));
    let (theirs, ours) = (&theirs[0], &ours[0]);
    let nanos = |time: SystemTime| {
        time.duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_nanos()
    };
    assert_eq!(
        ours.trace_id.to_bytes(),
        theirs.span_context.trace_id().to_bytes()
    );
    assert_eq!(
        ours.span_id.to_bytes(),
        theirs.span_context.span_id().to_bytes()
    );
    assert_eq!(
        ours.parent.map(|id| id.to_bytes()),
        Some(theirs.parent_span_id.to_bytes())
    );
    assert_eq!(u128::from(ours.start_unix_nano), nanos(theirs.start_time));
    assert_eq!(u128::from(ours.end_unix_nano), nanos(theirs.end_time));
    insta::assert_snapshot!(capture.tree(), @r#"
    work [consumer] {n=1} (remote parent) ok
       • event {e="x"}
    "#);
}

#[test]
fn an_exporter_of_the_sdk_gets_the_same_spans() {
    let through = InMemorySpanExporter::default();
    let pipeline = Pipeline::builder()
        .service_name("shop")
        .exporter(SdkExporter::new(through.clone()))
        .start()
        .expect("valid options");
    let recorder = pipeline.recorder().expect("enabled").clone();
    let direct = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(direct.clone())
        .with_span_processor(RecorderProcessor::new(recorder))
        .build();
    let scope = InstrumentationScope::builder("sdk")
        .with_version("1")
        .build();
    let tracer = provider.tracer_with_scope(scope);
    let mut span = tracer
        .span_builder("work")
        .with_kind(SpanKind::Server)
        .with_attributes(attributes())
        .with_links(vec![Link::new(
            remote_context().span().span_context().clone(),
            attributes(),
            2,
        )])
        .start_with_context(&tracer, &remote_context());
    span.add_event("event", attributes());
    span.set_status(Status::error("no"));
    let inside = OtelContext::new().with_span(span);
    drop(tracer.start_with_context("child", &inside));
    drop(inside);
    assert!(pipeline.flush(Duration::from_secs(10)).is_complete());

    let mut direct = direct.get_finished_spans().expect("not shut down");
    let mut through = through.get_finished_spans().expect("not shut down");
    direct.sort_by_key(|span| span.start_time);
    through.sort_by_key(|span| span.start_time);
    assert_eq!(direct.len(), 2);
    assert_eq!(through, direct);
}
