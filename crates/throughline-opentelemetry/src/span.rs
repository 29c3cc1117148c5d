//! A span of ours as OpenTelemetry's API sees it.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{self as otel, Status};
use throughline_core::{LiveSpan, SharedSpan, SpanId};

use crate::{convert, open_spans};

/// A span that a [`Tracer`](crate::Tracer) made. It ends at `end`, or when it is dropped.
#[derive(Debug)]
pub struct Span {
    context: otel::SpanContext,
    /// None if nothing records here, also when the span is not sampled.
    shared: Option<SharedSpan>,
}

impl Span {
    /// A span that records nothing and passes on what it was given.
    pub(crate) const fn passing_on(context: otel::SpanContext) -> Self {
        Self {
            context,
            shared: None,
        }
    }

    pub(crate) fn new(context: otel::SpanContext, shared: SharedSpan) -> Self {
        open_spans::insert(&shared);
        Self {
            context,
            shared: Some(shared),
        }
    }

    fn edit(&self, edit: impl FnOnce(&mut LiveSpan)) {
        if let Some(shared) = &self.shared {
            shared.edit(edit);
        }
    }

    fn end_with(&mut self, end: impl FnOnce(&SharedSpan)) {
        if let Some(shared) = &self.shared
            && !shared.is_ended()
        {
            open_spans::remove(shared.context().span_context().span_id());
            end(shared);
        }
    }
}

/// The methods that edit a span, by its method `edit`.
macro_rules! edits {
    () => {
        fn add_event_with_timestamp<T>(
            &mut self,
            name: T,
            timestamp: SystemTime,
            attributes: Vec<KeyValue>,
        ) where
            T: Into<Cow<'static, str>>,
        {
            self.edit(|live| convert::add_event(live, &name.into(), timestamp, &attributes, 0));
        }

        fn set_attribute(&mut self, attribute: KeyValue) {
            self.edit(|live| convert::set_attribute(live, &attribute));
        }

        fn set_status(&mut self, status: Status) {
            self.edit(|live| convert::set_status(live, &status));
        }

        fn update_name<T>(&mut self, new_name: T)
        where
            T: Into<Cow<'static, str>>,
        {
            self.edit(|live| live.update_name(&new_name.into()));
        }

        fn add_link(&mut self, span_context: otel::SpanContext, attributes: Vec<KeyValue>) {
            self.edit(|live| convert::add_link(live, &span_context, &attributes, 0));
        }
    };
}

impl otel::Span for Span {
    edits!();

    fn span_context(&self) -> &otel::SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        self.shared
            .as_ref()
            .is_some_and(|shared| shared.is_sampled() && !shared.is_ended())
    }

    fn end(&mut self) {
        self.end_with(SharedSpan::end);
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.end_with(|shared| shared.end_at(convert::unix_nanos(timestamp)));
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.end_with(SharedSpan::end);
    }
}

/// What stands in an OpenTelemetry context for a span that was entered through Throughline: its ids, and a way to edit
/// it from where it is entered. To end it is its owner's business.
#[derive(Debug)]
pub(crate) struct EnteredSpan {
    context: otel::SpanContext,
    id: SpanId,
}

impl EnteredSpan {
    pub(crate) const fn new(context: otel::SpanContext, id: SpanId) -> Self {
        Self { context, id }
    }

    fn edit<R>(&self, edit: impl FnOnce(&mut LiveSpan) -> R) -> Option<R> {
        match open_spans::find(self.id) {
            Some(shared) => shared.edit(edit),
            None => throughline_core::switch::edit_entered(self.id, edit),
        }
    }
}

impl otel::Span for EnteredSpan {
    edits!();

    fn span_context(&self) -> &otel::SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        self.context.is_sampled() && self.edit(|_| ()).is_some()
    }

    fn end_with_timestamp(&mut self, _timestamp: SystemTime) {}
}
