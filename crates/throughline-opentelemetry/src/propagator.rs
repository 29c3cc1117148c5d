//! A propagator for OpenTelemetry's global slot that reads and writes headers as Throughline does.

use std::str::FromStr;
use std::sync::LazyLock;

use opentelemetry::Context as OtelContext;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TraceState};
use throughline_core::SpanContext;

use crate::convert;

/// The headers `traceparent` and `tracestate`, by W3C Trace Context level 2.
///
/// A `traceparent` that is not valid, or none, leaves the context as it was; a `tracestate` that is not valid is left
/// out.
///
/// ```
/// use opentelemetry::global;
/// use throughline_opentelemetry::Propagator;
///
/// global::set_text_map_propagator(Propagator::new());
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Propagator {}

impl Propagator {
    /// The propagator.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

impl TextMapPropagator for Propagator {
    fn inject_context(&self, cx: &OtelContext, injector: &mut dyn Injector) {
        let span = cx.span();
        let span_context = convert::span_context(span.span_context());
        if !span_context.is_valid() {
            return;
        }
        injector.set(TRACEPARENT, span_context.to_traceparent().to_string());
        let tracestate = span.span_context().trace_state().header();
        if !tracestate.is_empty() {
            injector.set(TRACESTATE, tracestate);
        }
    }

    fn extract_with_context(&self, cx: &OtelContext, extractor: &dyn Extractor) -> OtelContext {
        let parsed = extractor
            .get(TRACEPARENT)
            .and_then(|text| SpanContext::parse_traceparent(text).ok());
        let Some(span_context) = parsed else {
            return cx.clone();
        };
        let tracestate = extractor
            .get(TRACESTATE)
            .and_then(|text| TraceState::from_str(text).ok())
            .unwrap_or_default();
        cx.with_remote_span_context(convert::otel_span_context(span_context, tracestate))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&*FIELDS)
    }
}

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

static FIELDS: LazyLock<[String; 2]> =
    LazyLock::new(|| [TRACEPARENT.to_owned(), TRACESTATE.to_owned()]);
