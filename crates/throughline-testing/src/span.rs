//! A span as it was received: every field of the OTLP message, in plain types.
//!
//! Owns the data only. It must not know how the span came here (see `decode`) nor how it is drawn (see `tree`).

use std::sync::Arc;

use throughline_core::{SpanId, SpanKind, Status, TraceId};

use crate::value::Value;

/// One span, decoded from the bytes a collector would get.
///
/// Nothing is interpreted or tidied: attributes keep their order and their duplicates.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReceivedSpan {
    /// The trace this span belongs to.
    pub trace_id: TraceId,
    /// The id of this span.
    pub span_id: SpanId,
    /// The id of the parent; `None` for the root of a trace.
    pub parent: Option<SpanId>,
    /// The W3C `tracestate`, empty when there is none.
    pub tracestate: String,
    /// The OTLP flags: the W3C trace flags in the low eight bits, then the two bits behind
    /// [`has_remote_parent`](Self::has_remote_parent).
    pub flags: u32,
    /// The name.
    pub name: String,
    /// The kind; a span sent without one counts as internal, as the specification permits.
    pub kind: SpanKind,
    /// When it started, in nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// When it ended, in nanoseconds since the Unix epoch.
    pub end_unix_nano: u64,
    /// The attributes, in the order they were sent.
    pub attributes: Vec<(String, Value)>,
    /// How many attributes the sender says it dropped.
    pub dropped_attributes: u32,
    /// The events, in the order they were sent.
    pub events: Vec<ReceivedEvent>,
    /// How many events the sender says it dropped.
    pub dropped_events: u32,
    /// The links, in the order they were sent.
    pub links: Vec<ReceivedLink>,
    /// How many links the sender says it dropped.
    pub dropped_links: u32,
    /// The status.
    pub status: Status,
    /// The description beside the status, empty when there is none.
    pub status_message: String,
    /// The instrumentation scope the span was sent under.
    pub scope: Arc<ReceivedScope>,
    /// The resource the span was sent under: its attributes, in the order they were sent.
    pub resource: Arc<Vec<(String, Value)>>,
}

/// Something that happened within a span.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReceivedEvent {
    /// The name.
    pub name: String,
    /// When it happened, in nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// The attributes, in the order they were sent.
    pub attributes: Vec<(String, Value)>,
    /// How many attributes the sender says it dropped.
    pub dropped_attributes: u32,
}

/// A relation to a span that is not the parent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReceivedLink {
    /// The trace of the linked span.
    pub trace_id: TraceId,
    /// The linked span.
    pub span_id: SpanId,
    /// The W3C `tracestate` of the linked span, empty when there is none.
    pub tracestate: String,
    /// The OTLP flags of the linked span.
    pub flags: u32,
    /// The attributes, in the order they were sent.
    pub attributes: Vec<(String, Value)>,
    /// How many attributes the sender says it dropped.
    pub dropped_attributes: u32,
}

/// The library that made a span.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ReceivedScope {
    /// The name, usually that of a crate or a module.
    pub name: String,
    /// The version, empty when there is none.
    pub version: String,
    /// The schema the attributes follow, empty when there is none.
    pub schema_url: String,
    /// The attributes of the scope itself.
    pub attributes: Vec<(String, Value)>,
}

impl ReceivedSpan {
    /// The first attribute with this key.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        find(&self.attributes, key)
    }

    /// The first attribute of the resource with this key.
    #[must_use]
    pub fn resource_attribute(&self, key: &str) -> Option<&Value> {
        find(&self.resource, key)
    }

    /// The first event with this name.
    #[must_use]
    pub fn event(&self, name: &str) -> Option<&ReceivedEvent> {
        self.events.iter().find(|event| event.name == name)
    }

    /// Whether the sender says that the parent lives in another process.
    ///
    /// Such a parent is not expected among the spans of this one, so the span is not an orphan without it.
    #[must_use]
    pub fn has_remote_parent(&self) -> bool {
        self.parent.is_some() && self.flags & REMOTE_PARENT == REMOTE_PARENT
    }

    /// End less start in nanoseconds, zero when the end lies before the start.
    #[must_use]
    pub fn duration_ns(&self) -> u64 {
        self.end_unix_nano.saturating_sub(self.start_unix_nano)
    }
}

impl ReceivedEvent {
    /// The first attribute with this key.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        find(&self.attributes, key)
    }
}

impl ReceivedLink {
    /// The first attribute with this key.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        find(&self.attributes, key)
    }
}

/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK | SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`: known, and remote.
const REMOTE_PARENT: u32 = 0x300;

fn find<'a>(attributes: &'a [(String, Value)], key: &str) -> Option<&'a Value> {
    attributes
        .iter()
        .find(|(name, _)| name == key)
        .map(|(_, value)| value)
}
