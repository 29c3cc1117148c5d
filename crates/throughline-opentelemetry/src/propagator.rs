//! A propagator for OpenTelemetry's global slot that reads and writes headers as Throughline does.

use std::ops::ControlFlow;
use std::str::FromStr;

use opentelemetry::baggage::{BaggageExt, KeyValueMetadata};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TraceState};
use opentelemetry::{Context as OtelContext, StringValue};
use throughline_core::Context;
use throughline_core::propagate::{self, Baggage, Extract, Inject};

use crate::convert;

/// The formats of a [`throughline_core::propagate::Propagator`], its rules and limits, for OpenTelemetry's contexts.
///
/// What is not valid, or not there, leaves the context as it was. What OpenTelemetry's types have no place for (the
/// debug flag of B3 and Jaeger, a decision that the caller left open) is lost on this way.
///
/// ```
/// use opentelemetry::global;
/// use throughline_opentelemetry::Propagator;
///
/// global::set_text_map_propagator(Propagator::new());
/// ```
#[derive(Clone, Debug)]
pub struct Propagator {
    inner: propagate::Propagator,
    fields: Vec<String>,
}

impl Propagator {
    /// The [propagator of the process](propagate::global), as it is now: to be called after the pipeline was started,
    /// which sets it from `OTEL_PROPAGATORS`.
    #[must_use]
    pub fn new() -> Self {
        Self::from(propagate::global().clone())
    }
}

impl Default for Propagator {
    fn default() -> Self {
        Self::new()
    }
}

impl From<propagate::Propagator> for Propagator {
    fn from(inner: propagate::Propagator) -> Self {
        let fields = inner.fields().map(str::to_owned).collect();
        Self { inner, fields }
    }
}

impl TextMapPropagator for Propagator {
    fn inject_context(&self, cx: &OtelContext, injector: &mut dyn Injector) {
        let span = cx.span();
        let span = span.span_context();
        let mut context = Context::from(convert::span_context(span));
        if let Ok(tracestate) = propagate::TraceState::parse([span.trace_state().header()]) {
            context = context.with_tracestate(tracestate);
        }
        let mut baggage = Baggage::new();
        for (key, (value, metadata)) in cx.baggage() {
            // A member that the header cannot hold stays behind, as it does where it is set.
            let _ = baggage.insert_with_metadata(key.as_str(), value.as_str(), metadata.as_str());
        }
        self.inner
            .inject(&context.with_baggage(baggage), &mut Injecting(injector));
    }

    fn extract_with_context(&self, cx: &OtelContext, extractor: &dyn Extractor) -> OtelContext {
        let found = self.inner.extract(&Extracting(extractor));
        let mut cx = cx.clone();
        let baggage = found.baggage();
        if !baggage.is_empty() {
            cx = cx.with_baggage(baggage.iter().map(|(name, value)| {
                let metadata = baggage.metadata(name).unwrap_or_default();
                KeyValueMetadata::new(
                    name.to_owned(),
                    StringValue::from(value.to_owned()),
                    metadata,
                )
            }));
        }
        let span = found.span_context();
        if !span.is_valid() {
            return cx;
        }
        let tracestate = TraceState::from_str(found.tracestate().as_str()).unwrap_or_default();
        cx.with_remote_span_context(convert::otel_span_context(span, tracestate))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

struct Extracting<'a>(&'a dyn Extractor);

impl Extract for Extracting<'_> {
    fn get_all(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        for value in self.0.get_all(name).unwrap_or_default() {
            if visit(value.as_bytes()).is_break() {
                return;
            }
        }
    }

    fn names(&self, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        for name in self.0.keys() {
            if visit(name.as_bytes()).is_break() {
                return;
            }
        }
    }
}

struct Injecting<'a>(&'a mut dyn Injector);

impl Inject for Injecting<'_> {
    fn set(&mut self, name: &str, value: &str) {
        self.0.set(name, value.to_owned());
    }
}
