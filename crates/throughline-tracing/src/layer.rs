//! The layer: callbacks of the subscriber to spans of the recorder.
//!
//! Owns the relation between the two lives of a span: which span is its parent, when it is current, when it ends. It
//! must not know what becomes of fields (`span_fields`, `event`) nor who else looks at the subscriber.
//!
//! Each callback looks at the span's extensions once, and lets go of them before anything else is locked.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;

use throughline_core::{SharedSpan, Span};
use tracing::dispatcher::WeakDispatch;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::event::{self, EventOptions, Receiver};
use crate::filter;
use crate::lookup::{self, Recorded};
use crate::recent::{self, SpanKey};
use crate::site::Site;
use crate::span_fields;

/// Makes `tracing` spans and events part of Throughline's traces.
///
/// Every span becomes a span, whichever recorder its trace goes to; every event becomes an event of the span that is
/// current on its thread, of whichever kind that is. What the filter ([`throughline_core::set_filter`]) rejects is not
/// recorded; its children belong to the nearest span that is.
///
/// The fields `otel.name`, `otel.kind`, `otel.status_code` and `otel.status_message` (or `otel.status_description`)
/// say what the span is, whenever they are recorded.
///
/// Put it below a `fmt` layer, so that the line of a span that begins already has its ids; and give it a
/// [`TraceFilter`](crate::TraceFilter), so that what is filtered out costs nothing:
///
/// ```
/// use throughline_tracing::{TraceFilter, TraceLayer};
/// use tracing_subscriber::layer::{Layer, SubscriberExt};
///
/// let subscriber = tracing_subscriber::registry().with(TraceLayer::new().with_filter(TraceFilter::new()));
/// # tracing::subscriber::with_default(subscriber, || tracing::info_span!("work").in_scope(|| ()));
/// ```
#[derive(Debug)]
pub struct TraceLayer {
    /// What tells this layer's spans from those of other subscribers.
    number: u32,
    events: EventOptions,
    /// The subscriber this layer is part of: the way to spans that a filter hides from the layer.
    dispatch: OnceLock<WeakDispatch>,
    /// Whether a layer further down records already. Then this one does nothing.
    is_second: bool,
}

impl TraceLayer {
    /// A layer that records spans and their events.
    #[must_use]
    pub fn new() -> Self {
        Self {
            number: recent::layer_number(),
            events: EventOptions::default(),
            dispatch: OnceLock::new(),
            is_second: false,
        }
    }

    /// Whether events say where they are written, by `code.file.path` and `code.line.number`. Default: no. Spans
    /// always do, at no cost to the thread.
    #[must_use]
    pub const fn with_event_locations(mut self, locations: bool) -> Self {
        self.events.locations = locations;
        self
    }

    /// Whether an event of level `ERROR` sets the status of its span to error, with what it says as the description.
    /// Default: no, since an error that was handled and logged need not make the work fail.
    #[must_use]
    pub const fn with_error_events_as_status(mut self, status: bool) -> Self {
        self.events.errors_fail_spans = status;
        self
    }

    /// The span that records this one, by the registry.
    fn recorded<S>(&self, id: &Id, ctx: &Context<'_, S>) -> Option<SharedSpan>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if self.is_second {
            return None;
        }
        lookup::recorded(&ctx.span(id)?)
    }

    /// Enters or leaves a span that this thread has not had to do with lately.
    #[cold]
    #[inline(never)]
    fn switch_unknown<S>(
        &self,
        key: SpanKey,
        id: &Id,
        ctx: &Context<'_, S>,
        switch: fn(&SharedSpan),
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if let Some(span) = self.recorded(id, ctx) {
            switch(&span);
            recent::remember(key, span);
        }
    }

    /// Ends a span that this thread has not had to do with lately.
    #[cold]
    #[inline(never)]
    fn end_unknown<S>(&self, id: &Id, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if let Some(span) = self.recorded(id, ctx) {
            span.end();
        }
    }

    /// Closes a span whose maker will never hear of it, since a value panicked. It would keep its parent open for good.
    #[cold]
    fn abandon(&self, id: &Id) {
        if let Some(dispatch) = self.dispatch.get().and_then(WeakDispatch::upgrade) {
            dispatch.try_close(id.clone());
        }
    }

    /// Where an event with an explicit parent belongs.
    fn receiver<S>(&self, parent: &Id, ctx: &Context<'_, S>) -> Option<Receiver>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let span = match ctx.span(parent) {
            Some(span) => lookup::nearest(&span),
            None => {
                let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade)?;
                lookup::nearest_unfiltered::<S>(&dispatch, parent)
            }
        };
        span.map(Receiver::Span)
    }
}

impl Default for TraceLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for TraceLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // A layer belongs to one subscriber; a second registration would be of the same.
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        let subscriber: &dyn Subscriber = subscriber;
        self.is_second = subscriber.is::<Self>();
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let site = Site::of(attributes.metadata());
        if self.is_second || !site.callsite.is_enabled() {
            return;
        }
        let Some(registered) = ctx.span(id) else {
            return;
        };
        let mut span = if attributes.is_contextual() {
            Span::start(&site.callsite)
        } else {
            // A parent that is given but not recorded is skipped. If none is left the span starts a trace: `tracing`
            // itself makes a span with a disabled parent a root.
            let given = attributes.parent().and_then(|_| registered.parent());
            let parent = given.and_then(|parent| lookup::nearest(&parent));
            Span::start_with(&site.callsite, parent.map(|parent| parent.context()))
        };
        if span.is_disabled() {
            return;
        }
        let record = || span.edit(|span| span_fields::record_first(span, site, attributes));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(record)) {
            drop(registered);
            self.abandon(id);
            resume_unwind(panic);
        }
        let span = span.share();
        recent::remember(SpanKey::new(self.number, id), span.clone());
        // Nothing is replaced: a span is new once. What would be is dropped when the extensions are free again.
        let replaced = registered.extensions_mut().replace(Recorded::new(span));
        drop(replaced);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = self.recorded(id, &ctx) else {
            return;
        };
        if let Some(metadata) = ctx.metadata(id).filter(|_| span.is_sampled()) {
            span_fields::record_later(&span, Site::of(metadata), values);
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
        let recorded = |id| self.recorded(id, &ctx);
        if let (Some(span), Some(follows)) = (recorded(id), recorded(follows)) {
            span.edit(|span| span.add_link(follows.context().span_context()));
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let site = Site::of(event.metadata());
        if self.is_second || event.is_root() || !filter::lets_pass(site, event) {
            return;
        }
        let receiver = match event.parent() {
            Some(parent) => self.receiver(parent, &ctx),
            None => Some(Receiver::Current),
        };
        if let Some(receiver) = receiver {
            event::record(&receiver, event, site, self.events);
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        let key = SpanKey::new(self.number, id);
        if !recent::enter(key) {
            self.switch_unknown(key, id, &ctx, SharedSpan::enter);
        }
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        let key = SpanKey::new(self.number, id);
        if !recent::exit(key) {
            self.switch_unknown(key, id, &ctx, SharedSpan::exit);
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        // The extension stays until the registry clears it: other layers may still have something to say.
        match recent::forget(SpanKey::new(self.number, &id)) {
            Some(span) => span.end(),
            None => self.end_unknown(&id, &ctx),
        }
    }
}
