//! A span processor of the SDK that hands finished spans to a recorder.

use std::time::Duration;

use opentelemetry::Context as OtelContext;
use opentelemetry::trace::SpanId as OtelSpanId;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use throughline_core::{FinishedSpan, LiveSpan, Recorder, SpanContext, SpanId};

use crate::{convert, sites};

/// Feeds the spans of an `SdkTracerProvider` to a recorder, from where they are exported with all others: for who keeps
/// the SDK (or `tracing-opentelemetry` on top of it) and replaces the export side only.
///
/// - A span that is not sampled is not exported; this includes one that its sampler decided to record only.
/// - The resource is the pipeline's. The provider's own is not used: one recorder feeds one pipeline, whose requests
///   carry one resource. Give the pipeline what the provider had.
/// - The recorder counts the span as started and ended. Its sampler is not asked; its limits and the filter hold.
/// - The scope's schema URL and attributes are not recorded.
/// - The spans are with the recorder as soon as they end; to flush and to shut down is the pipeline's business.
///
/// ```
/// use opentelemetry::trace::{Tracer, TracerProvider};
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use throughline_core::{Recorder, RecorderConfig};
/// use throughline_opentelemetry::RecorderProcessor;
///
/// let recorder = Recorder::start(RecorderConfig::default());
/// let provider = SdkTracerProvider::builder()
///     .with_span_processor(RecorderProcessor::new(recorder.clone()))
///     .build();
/// provider.tracer("payments").in_span("charge", |_| ());
/// assert_eq!(recorder.stats().published, 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct RecorderProcessor {
    recorder: Option<Recorder>,
}

impl RecorderProcessor {
    /// A processor that feeds this recorder.
    #[must_use]
    pub const fn new(recorder: Recorder) -> Self {
        Self {
            recorder: Some(recorder),
        }
    }

    /// A processor that feeds whatever recorder is the process-wide one when a span ends; without one, the span is
    /// not recorded.
    #[must_use]
    pub const fn global() -> Self {
        Self { recorder: None }
    }
}

impl SpanProcessor for RecorderProcessor {
    fn on_start(&self, _span: &mut Span, _cx: &OtelContext) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if let Some(recorder) = self.recorder.clone().or_else(Recorder::global) {
            import(&recorder, &span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn import(recorder: &Recorder, span: &SpanData) {
    let context = convert::span_context(&span.span_context);
    let parent = if span.parent_span_id == OtelSpanId::INVALID {
        SpanContext::INVALID
    } else {
        SpanContext::new(
            context.trace_id(),
            SpanId::from_bytes(span.parent_span_id.to_bytes()),
            context.trace_flags(),
            span.parent_span_is_remote,
        )
    };
    let scope = &span.instrumentation_scope;
    let version = scope.version().unwrap_or_default();
    let kind = convert::kind(&span.span_kind);
    let finished = FinishedSpan {
        callsite: sites::site(scope.name(), version, kind),
        context,
        parent,
        start_unix_nanos: convert::unix_nanos(span.start_time),
        end_unix_nanos: convert::unix_nanos(span.end_time),
    };
    recorder.import(&finished, |live| fill(live, span));
}

fn fill(live: &mut LiveSpan, span: &SpanData) {
    live.update_name(&span.name);
    live.set_kind(convert::kind(&span.span_kind));
    let tracestate = span.span_context.trace_state().header();
    if !tracestate.is_empty() {
        live.set_tracestate(&tracestate);
    }
    for attribute in &span.attributes {
        convert::set_attribute(live, attribute);
    }
    for event in &span.events.events {
        let dropped = event.dropped_attributes_count;
        convert::add_event(
            live,
            &event.name,
            event.timestamp,
            &event.attributes,
            dropped,
        );
    }
    for link in &span.links.links {
        let dropped = link.dropped_attributes_count;
        convert::add_link(live, &link.span_context, &link.attributes, dropped);
    }
    live.add_dropped(
        span.dropped_attributes_count,
        span.events.dropped_count,
        span.links.dropped_count,
    );
    convert::set_status(live, &span.status);
}
