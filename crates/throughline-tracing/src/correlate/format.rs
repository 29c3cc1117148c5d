//! The event format that goes around another one.

use std::fmt;

use throughline_core::{Context, SpanContext};
use tracing::dispatcher;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{
    self as fmt_layer, FmtContext, FormatEvent, FormatFields, MakeWriter,
};
use tracing_subscriber::registry::LookupSpan;

use super::ids::LogIds;
use super::shape::{LogFormat, Shape};
use super::text::Meant;
use super::{json, text, visible};
use crate::lookup;
use crate::scratch;

/// Puts the ids of the span into every line of `format`, by the names of OpenTelemetry.
///
/// For a whole layer there is [`LayerExt::with_trace_ids`], which chooses the right fields for JSON as well:
///
/// ```
/// use throughline_tracing::correlate;
/// use tracing_subscriber::fmt::format::{self, JsonFields};
///
/// let text = tracing_subscriber::fmt().event_format(correlate(format::format().compact()));
/// let json = tracing_subscriber::fmt().fmt_fields(JsonFields::new()).event_format(correlate(format::json()));
/// # let _ = (text.finish(), json.finish());
/// ```
#[must_use]
pub fn correlate<F: LogFormat>(format: F) -> Correlated<F> {
    Correlated::new(format)
}

/// A format whose lines carry the trace id and the span id of the span they were written in.
///
/// JSON lines get them as members at the top level. Lines of text get them at the end:
///
/// ```text
/// 2026-11-20T10:00:00.000000Z  INFO shop: charged amount=3 trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331 trace_flags=01
/// ```
///
/// The span is the event's explicit parent if it has one, else whatever span is current on the thread, of whichever
/// kind. Where there is none, the line has no ids.
///
/// Control characters in messages and fields are made visible (`\u{1b}`, `\n`), so that a value can neither talk to
/// the terminal nor pretend to be another line; the colours of the format stay. Colours are chosen by the layer
/// (`with_ansi`), and so is it to leave values as they are (`with_ansi_sanitization(false)`).
#[derive(Clone, Debug)]
pub struct Correlated<F> {
    plain: F,
    coloured: Option<F>,
    shape: Shape,
    ids: LogIds,
    newlines: bool,
}

impl<F> Correlated<F> {
    /// Goes around a format that tells its shape.
    #[must_use]
    pub fn new(format: F) -> Self
    where
        F: LogFormat,
    {
        let coloured = format.coloured();
        Self {
            coloured,
            ..Self::with_shape(format, F::SHAPE)
        }
    }

    /// Goes around any format, of this shape. Its lines have no colours.
    #[must_use]
    pub fn with_shape(format: F, shape: Shape) -> Self {
        Self {
            plain: format,
            coloured: None,
            shape,
            ids: LogIds::otel(),
            newlines: false,
        }
    }

    /// Which ids, under which names.
    #[must_use]
    pub fn ids(mut self, ids: LogIds) -> Self {
        self.ids = ids;
        self
    }

    /// Whether newlines in messages and fields of text stay newlines. Default: no, so that an event is one line and
    /// no value can forge another.
    #[must_use]
    pub const fn keep_newlines(mut self, keep: bool) -> Self {
        self.newlines = keep;
        self
    }
}

impl<S, N, F> FormatEvent<S, N> for Correlated<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let ids = span_of(ctx, event).map(|span| (&self.ids, span));
        let colours = writer.has_ansi_escapes();
        let format = self
            .coloured
            .as_ref()
            .filter(|_| colours)
            .unwrap_or(&self.plain);
        scratch::with(|scratch| {
            let line = &mut scratch.text;
            if self.shape == Shape::Json {
                format.format_event(ctx, Writer::new(line), event)?;
                return json::write(&mut writer, line, ids);
            }
            if !writer.sanitizes_ansi_escapes() {
                format.format_event(ctx, Writer::new(line), event)?;
                let everything = Meant {
                    newlines: true,
                    colours: true,
                };
                return text::write(&mut writer, line, self.shape, everything, ids);
            }
            let in_values = Meant {
                newlines: self.newlines,
                colours: false,
            };
            visible::with(event, in_values, |event| {
                format.format_event(ctx, Writer::new(line), event)
            })?;
            let newlines = self.newlines || self.shape == Shape::Block;
            text::write(
                &mut writer,
                line,
                self.shape,
                Meant { newlines, colours },
                ids,
            )
        })
    }
}

/// Puts trace ids into the lines of a `fmt` layer.
///
/// ```
/// use throughline_tracing::{LayerExt, LogIds, TraceLayer};
/// use tracing_subscriber::fmt;
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let subscriber = tracing_subscriber::registry()
///     .with(TraceLayer::new())
///     .with(fmt::layer().json().with_trace_ids_as(LogIds::datadog()));
/// # let _ = subscriber;
/// ```
pub trait LayerExt: Sized {
    /// The layer with ids in its lines.
    type WithIds;

    /// Puts the ids of the span into each line, under these names.
    fn with_trace_ids_as(self, ids: LogIds) -> Self::WithIds;

    /// Puts `trace_id`, `span_id` and `trace_flags` into each line.
    fn with_trace_ids(self) -> Self::WithIds {
        self.with_trace_ids_as(LogIds::otel())
    }
}

impl<S, N, E, W> LayerExt for fmt_layer::Layer<S, N, E, W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    E: LogFormat + FormatEvent<S, N> + 'static,
    W: for<'a> MakeWriter<'a> + 'static,
{
    type WithIds = fmt_layer::Layer<S, N, Correlated<E>, W>;

    fn with_trace_ids_as(self, ids: LogIds) -> Self::WithIds {
        self.map_event_format(|format| correlate(format).ids(ids))
    }
}

/// The span that an event happened in.
fn span_of<S, N>(ctx: &FmtContext<'_, S, N>, event: &Event<'_>) -> Option<SpanContext>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let context = match event.parent() {
        None if event.is_root() => return None,
        None => Context::current(),
        Some(id) => {
            let span = match ctx.span(id) {
                Some(span) => lookup::nearest(&span),
                // The layer's own filter hides the span from it; not from the subscriber.
                None => dispatcher::get_default(|all| lookup::nearest_unfiltered::<S>(all, id)),
            };
            span?.context()
        }
    };
    Some(context.span_context()).filter(SpanContext::is_valid)
}
