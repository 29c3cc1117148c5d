//! Events of `tracing` as events of spans.
//!
//! Owns the form an event has in a span: its name and its attributes. It is recorded in two passes: the first formats
//! what runs code of the user, with nothing locked; the second encodes, with the span at hand, and runs none.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::ops::Range;

use throughline_core::{
    AttributeValue, EventFields, LiveSpan, SharedSpan, Status, current, is_suppressed,
};
use tracing::Event;
use tracing::field::{Field, Visit};
use tracing_log::NormalizeEvent;

use crate::keys;
use crate::scratch::{self, Scratch};
use crate::site::{Role, Site};
use crate::values::{Bytes, chain, visit_plain};

/// The span that an event belongs to.
#[derive(Debug)]
pub(crate) enum Receiver {
    /// Whatever span is current on this thread, of whichever kind.
    Current,
    /// The span that the event names as its parent.
    Span(SharedSpan),
}

impl Receiver {
    fn is_recording(&self) -> bool {
        match self {
            Self::Current => current().is_recording(),
            Self::Span(span) => span.is_sampled(),
        }
    }

    fn edit(&self, edit: impl FnOnce(&mut LiveSpan)) {
        match self {
            Self::Current => current().edit(edit),
            Self::Span(span) => span.edit(edit),
        };
    }
}

/// What events become, as far as that is a choice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EventOptions {
    /// Whether events have `code.*` attributes.
    pub(crate) locations: bool,
    /// Whether an event of level `ERROR` makes its span one that failed.
    pub(crate) errors_fail_spans: bool,
}

/// Adds the event to the span, if that records anything.
pub(crate) fn record(
    receiver: &Receiver,
    event: &Event<'_>,
    site: &'static Site,
    options: EventOptions,
) {
    if is_suppressed() || !receiver.is_recording() {
        return;
    }
    scratch::with(|scratch| {
        let mut said = Said {
            site,
            scratch,
            message: None,
            error: None,
            chains: Vec::new(),
            has_typed_error: false,
        };
        event.record(&mut said);
        receiver.edit(|span| said.encode(span, event, options));
    });
}

/// The first pass: what the event says, as text.
struct Said<'a> {
    site: &'static Site,
    /// The texts of all values that run code of the user, and of those that may become the name, in their order.
    scratch: &'a mut Scratch,
    message: Option<Range<usize>>,
    /// The first error.
    error: Option<Range<usize>>,
    /// The sources of each error value.
    chains: Vec<Vec<String>>,
    has_typed_error: bool,
}

impl Said<'_> {
    fn text(&mut self, field: &Field, value: fmt::Arguments<'_>) -> Option<Range<usize>> {
        let role = self.site.role(field);
        if role == Role::Ignored {
            return None;
        }
        let text = &mut self.scratch.text;
        let start = text.len();
        // A value that fails keeps what it wrote, as in a span.
        let _ = text.write_fmt(value);
        let range = start..text.len();
        self.scratch.ends.push(range.end);
        match role {
            Role::Message => self.message = Some(range.clone()),
            Role::Error if self.error.is_none() => self.error = Some(range.clone()),
            _ => {}
        }
        Some(range)
    }

    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        if self.site.role(field) == Role::Message {
            self.text(field, format_args!("{value}"));
        }
    }

    /// The second pass.
    fn encode(&self, span: &mut LiveSpan, event: &Event<'_>, options: EventOptions) {
        let part =
            |range: &Option<Range<usize>>| range.clone().map(|range| &self.scratch.text[range]);
        let (message, error) = (part(&self.message), part(&self.error));
        let metadata = event.metadata();
        let says_nothing = message.is_none() && !self.site.is_named;
        let name = match message {
            Some(message) if !self.site.is_named => message,
            _ if says_nothing && error.is_some() => keys::EXCEPTION,
            _ => metadata.name(),
        };
        let is_error = *metadata.level() == tracing::Level::ERROR;
        span.add_event(name, |fields| {
            self.put_metadata(fields, event, options.locations);
            if let Some(error) = error.filter(|_| says_nothing || self.has_typed_error) {
                fields.attribute(&keys::EXCEPTION_MESSAGE, error);
            }
            let texts = Texts {
                scratch: self.scratch,
                next: 0,
            };
            event.record(&mut Encoder {
                site: self.site,
                fields,
                texts,
                chains: self.chains.iter(),
                error_is_told: says_nothing,
            });
        });
        if is_error && options.errors_fail_spans {
            span.set_status(Status::Error, message.or(error).unwrap_or_default());
        }
    }

    fn put_metadata(&self, fields: &mut EventFields<'_, '_>, event: &Event<'_>, locations: bool) {
        let normalized = if self.site.is_log {
            event.normalized_metadata()
        } else {
            None
        };
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        fields.attribute(&keys::LEVEL, metadata.level().as_str());
        fields.attribute(&keys::TARGET, metadata.target());
        if locations {
            fields.attribute(&keys::FILE, metadata.file());
            fields.attribute(&keys::LINE, metadata.line());
        }
    }
}

impl Visit for Said<'_> {
    visit_plain!();

    fn record_str(&mut self, field: &Field, value: &str) {
        if matches!(self.site.role(field), Role::Message | Role::Error) {
            self.text(field, format_args!("{value}"));
        }
    }

    fn record_bytes(&mut self, _field: &Field, _value: &[u8]) {}

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let Some(range) = self.text(field, format_args!("{value}")) else {
            return;
        };
        self.chains.push(chain(value));
        // An error that says its type tells more than a field that happens to be called `error`.
        if !std::mem::replace(&mut self.has_typed_error, true) {
            self.error = Some(range);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}

/// The texts of the first pass, in their order.
struct Texts<'a> {
    scratch: &'a Scratch,
    next: usize,
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let end = *self.scratch.ends.get(self.next)?;
        let start = self
            .next
            .checked_sub(1)
            .map_or(0, |last| self.scratch.ends[last]);
        self.next += 1;
        Some(&self.scratch.text[start..end])
    }
}

/// The second pass over the fields.
struct Encoder<'a, 'w, 'b> {
    site: &'static Site,
    fields: &'a mut EventFields<'w, 'b>,
    texts: Texts<'a>,
    chains: std::slice::Iter<'a, Vec<String>>,
    /// Whether `exception.message` holds what the field `error` says.
    error_is_told: bool,
}

impl Encoder<'_, '_, '_> {
    fn plain(&mut self, field: &Field, value: impl AttributeValue) {
        match self.site.role(field) {
            Role::Attribute(key) => self.fields.attribute(key, value),
            Role::Error => self.fields.attribute(&ERROR, value),
            Role::Message => self.text(field),
            _ => {}
        }
    }

    fn text(&mut self, field: &Field) {
        let role = self.site.role(field);
        if role == Role::Ignored {
            return;
        }
        let text = self.texts.next();
        match role {
            Role::Attribute(key) => self.fields.attribute(key, text),
            Role::Error if !self.error_is_told => self.fields.attribute(&ERROR, text),
            // It is the name otherwise.
            Role::Message if self.site.is_named => self.fields.attribute(&MESSAGE, text),
            _ => {}
        }
    }
}

impl Visit for Encoder<'_, '_, '_> {
    visit_plain!();

    fn record_str(&mut self, field: &Field, value: &str) {
        match self.site.role(field) {
            Role::Attribute(key) => self.fields.attribute(key, value),
            _ => self.text(field),
        }
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        if let Role::Attribute(key) = self.site.role(field) {
            self.fields.attribute(&key, Bytes(value));
        }
    }

    fn record_error(&mut self, field: &Field, _value: &(dyn Error + 'static)) {
        self.text(field);
        let key = match self.site.role(field) {
            Role::Ignored => return,
            Role::Attribute(key) => key.name(),
            Role::Message => MESSAGE,
            _ => ERROR,
        };
        if let Some(chain) = self.chains.next().filter(|chain| !chain.is_empty()) {
            self.fields
                .attribute(&format!("{key}{}", keys::CHAIN_SUFFIX), chain);
        }
    }

    fn record_debug(&mut self, field: &Field, _value: &dyn fmt::Debug) {
        self.text(field);
    }
}

/// The field of an event that `#[instrument(err)]` makes.
const ERROR: &str = "error";
/// The field that holds the text of a logging macro.
const MESSAGE: &str = "message";
