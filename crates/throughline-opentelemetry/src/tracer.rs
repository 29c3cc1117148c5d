//! The tracer provider and its tracers: spans of the OpenTelemetry API that are recorded here.

use std::sync::{Arc, OnceLock};

use opentelemetry::trace::{self as otel, SpanBuilder, TraceContextExt, TraceState};
use opentelemetry::{Context as OtelContext, InstrumentationScope};
use throughline_core::{Callsite, Context, LiveSpan, Parent, Recorder, Span as CoreSpan, SpanKind};

use crate::span::Span;
use crate::{context, convert, sites};

/// A tracer provider whose spans are recorded by Throughline.
///
/// Spans go to the recorder that their parent goes to; where they have none, to the provider's own (see
/// [`with_recorder`](Self::with_recorder)), to the one that is current on the thread, or to the process-wide one.
/// Sampling, limits and the filter are that recorder's: the filter's directives name the instrumentation scope.
///
/// The scope's schema URL and attributes are not recorded.
///
/// ```
/// use opentelemetry::global;
/// use opentelemetry::trace::Tracer;
/// use throughline_opentelemetry::TracerProvider;
///
/// global::set_tracer_provider(TracerProvider::new());
/// global::tracer("payments").in_span("charge", |_| ());
/// ```
#[derive(Clone, Debug, Default)]
pub struct TracerProvider {
    /// A context without a span.
    recorder: Option<Context>,
}

impl TracerProvider {
    /// A provider whose traces start in the recorder that is current where they start.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A provider whose traces start in this recorder.
    #[must_use]
    pub fn with_recorder(recorder: &Recorder) -> Self {
        Self {
            recorder: Some(recorder.context()),
        }
    }
}

impl otel::TracerProvider for TracerProvider {
    type Tracer = Tracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> Tracer {
        Tracer {
            recorder: self.recorder.clone(),
            scope: Arc::new(Scope {
                name: scope.name().to_owned(),
                version: scope.version().unwrap_or_default().to_owned(),
                sites: Default::default(),
            }),
        }
    }
}

/// A tracer of a [`TracerProvider`].
#[derive(Clone, Debug)]
pub struct Tracer {
    recorder: Option<Context>,
    scope: Arc<Scope>,
}

#[derive(Debug)]
struct Scope {
    name: String,
    version: String,
    /// The callsites by kind, as far as they were needed.
    sites: [OnceLock<&'static Callsite>; 6],
}

impl Scope {
    fn site(&self, kind: SpanKind) -> &'static Callsite {
        let find = || sites::site(&self.name, &self.version, kind);
        match self.sites.get(usize::from(kind.to_otlp())) {
            Some(place) => place.get_or_init(find),
            None => find(),
        }
    }
}

impl Tracer {
    fn parent(&self, parent_cx: &OtelContext) -> Parent {
        let span = convert::span_context(parent_cx.span().span_context());
        match context::recorder_context(parent_cx, span).or_else(|| self.recorder.clone()) {
            Some(recorder) => Parent::Context(recorder.with_span(span)),
            None if span.is_valid() => Parent::from(span),
            None => Parent::Root,
        }
    }
}

impl otel::Tracer for Tracer {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent_cx: &OtelContext) -> Span {
        if parent_cx.is_telemetry_suppressed() {
            return Span::passing_on(otel::SpanContext::NONE);
        }
        let kind = builder
            .span_kind
            .as_ref()
            .map_or(SpanKind::Internal, convert::kind);
        let mut span = CoreSpan::start_with(self.scope.site(kind), self.parent(parent_cx));
        let parent = parent_cx.span();
        let parent = parent.span_context();
        if span.is_disabled() {
            return Span::passing_on(parent.clone());
        }
        let tracestate = if parent.is_valid() {
            parent.trace_state().clone()
        } else {
            TraceState::NONE
        };
        let own = otel_context(&span, tracestate);
        span.edit(|live| fill(live, kind, &builder, own.trace_state()));
        Span::new(own, span.share())
    }
}

fn otel_context(span: &CoreSpan, tracestate: TraceState) -> otel::SpanContext {
    convert::otel_span_context(span.context().span_context(), tracestate)
}

fn fill(live: &mut LiveSpan, kind: SpanKind, builder: &SpanBuilder, tracestate: &TraceState) {
    // The start comes first: it settles how the times of events are noted.
    if let Some(start) = builder.start_time {
        live.start_at(convert::unix_nanos(start));
    }
    live.update_name(&builder.name);
    live.set_kind(kind);
    let tracestate = tracestate.header();
    if !tracestate.is_empty() {
        live.set_tracestate(&tracestate);
    }
    for attribute in builder.attributes.iter().flatten() {
        convert::set_attribute(live, attribute);
    }
    for event in builder.events.iter().flatten() {
        let dropped = event.dropped_attributes_count;
        convert::add_event(
            live,
            &event.name,
            event.timestamp,
            &event.attributes,
            dropped,
        );
    }
    for link in builder.links.iter().flatten() {
        let dropped = link.dropped_attributes_count;
        convert::add_link(live, &link.span_context, &link.attributes, dropped);
    }
}
