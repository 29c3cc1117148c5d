//! Small received spans for the unit tests of this crate.

use std::ops::Range;
use std::sync::Arc;

use throughline_core::{SpanId, SpanKind, Status, TraceId};

use crate::span::{ReceivedLink, ReceivedScope, ReceivedSpan};

/// A span of the trace every fixture belongs to.
pub(crate) fn span(id: u64, parent: Option<u64>, name: &str, time: Range<u64>) -> ReceivedSpan {
    ReceivedSpan {
        trace_id: TraceId::from_bytes([1; 16]),
        span_id: SpanId::from_bytes(id.to_be_bytes()),
        parent: parent.map(|id| SpanId::from_bytes(id.to_be_bytes())),
        tracestate: String::new(),
        flags: 0x101,
        name: name.to_owned(),
        kind: SpanKind::Internal,
        start_unix_nano: time.start,
        end_unix_nano: time.end,
        attributes: Vec::new(),
        dropped_attributes: 0,
        events: Vec::new(),
        dropped_events: 0,
        links: Vec::new(),
        dropped_links: 0,
        status: Status::Unset,
        status_message: String::new(),
        scope: Arc::new(ReceivedScope::default()),
        resource: Arc::new(Vec::new()),
    }
}

/// A link to another span.
pub(crate) fn link(to: &ReceivedSpan) -> ReceivedLink {
    ReceivedLink {
        trace_id: to.trace_id,
        span_id: to.span_id,
        tracestate: String::new(),
        flags: 0x101,
        attributes: Vec::new(),
        dropped_attributes: 0,
    }
}
