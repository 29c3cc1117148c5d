//! What a context carries only if it came with a request or was set: tracestate, baggage, and what the other formats
//! know that W3C's does not.
//!
//! All of it lies behind one pointer of the context, so that a trace without any pays one comparison with null.

use std::sync::Arc;

use super::baggage::Baggage;
use super::datadog::DatadogExtras;
use super::tracestate::TraceState;
use crate::id::{SpanId, TraceFlags, TraceId};
use crate::span_context::SpanContext;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    pub(crate) tracestate: TraceState,
    pub(crate) baggage: Baggage,
    /// The debug flag of B3 and Jaeger. It never becomes a bit of the W3C flags, whose second bit means something else.
    pub(crate) debug: bool,
    pub(crate) decision: Decision,
    pub(crate) datadog: Option<Box<DatadogExtras>>,
}

/// What a header said about sampling apart from the flags of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The flags say it all.
    #[default]
    InFlags,
    /// The caller left the decision to us.
    Deferred,
    /// The caller named no span, but wants what follows to be recorded.
    Accept,
    /// The caller named no span, but wants what follows not to be recorded.
    Deny,
}

/// What a span inherits beside the identifiers: `()` where that is nothing.
pub(crate) trait Inherited {
    /// Whether it is anything.
    const ANY: bool;

    /// The parent that the sampler is to see for a span of these ids.
    fn decides(&self, parent: SpanContext, trace_id: TraceId, span_id: SpanId) -> SpanContext;

    fn into_extras(self) -> Option<Arc<Extras>>;
}

impl Inherited for () {
    const ANY: bool = false;

    #[inline(always)]
    fn decides(&self, parent: SpanContext, _trace_id: TraceId, _span_id: SpanId) -> SpanContext {
        parent
    }

    #[inline(always)]
    fn into_extras(self) -> Option<Arc<Extras>> {
        None
    }
}

impl Inherited for Arc<Extras> {
    const ANY: bool = true;

    fn decides(&self, parent: SpanContext, trace_id: TraceId, span_id: SpanId) -> SpanContext {
        self.sampling_parent(parent, trace_id, span_id)
    }

    fn into_extras(self) -> Option<Arc<Extras>> {
        Some(self)
    }
}

impl Extras {
    /// What stays with the application when a trace ends and another one starts.
    pub(crate) fn baggage_only(&self) -> Option<Arc<Self>> {
        (!self.baggage.is_empty()).then(|| {
            Arc::new(Self {
                baggage: self.baggage.clone(),
                ..Self::default()
            })
        })
    }

    fn sampling_parent(
        &self,
        parent: SpanContext,
        trace_id: TraceId,
        span_id: SpanId,
    ) -> SpanContext {
        let told = |flags| SpanContext::new(trace_id, span_id, flags, true);
        match self.decision {
            Decision::Deferred if parent.is_remote() => SpanContext::INVALID,
            Decision::Accept if !parent.is_valid() => told(TraceFlags::SAMPLED),
            Decision::Deny if !parent.is_valid() => told(TraceFlags::NONE),
            _ => parent,
        }
    }
}
