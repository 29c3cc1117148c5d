//! Values made visible before a format sees them.
//!
//! Owns the copy of an event whose values hold no control characters, so that whatever a format writes of its own
//! (colours above all) can be told from what the values bring. Each value is formatted once, here.

use std::error::Error;
use std::fmt::{self, Write as _};

use tracing::Event;
use tracing::field::{DebugValue, Field, Value, Visit, debug};

use super::text::{Escaping, Meant};

/// Hands `f` an event that says the same as `event`, visibly.
pub(super) fn with<R>(event: &Event<'_>, meant: Meant, f: impl FnOnce(&Event<'_>) -> R) -> R {
    let metadata = event.metadata();
    let fields = metadata.fields();
    let mut kept = Kept {
        values: fields.iter().map(|_| None).collect(),
        meant,
    };
    event.record(&mut kept);
    let values: Vec<Option<&dyn Value>> =
        kept.values.iter().map(|value| value.as_deref()).collect();
    let values = fields.value_set_all(&values);
    if event.is_contextual() {
        return f(&Event::new(metadata, &values));
    }
    f(&Event::new_child_of(
        event.parent().cloned(),
        metadata,
        &values,
    ))
}

/// The values of an event, by the indices of their fields.
struct Kept {
    values: Vec<Option<Box<dyn Value>>>,
    meant: Meant,
}

impl Kept {
    fn keep(&mut self, field: &Field, value: impl Value + 'static) {
        if let Some(place) = self.values.get_mut(field.index()) {
            *place = Some(Box::new(value));
        }
    }

    fn visible(&self, value: fmt::Arguments<'_>) -> String {
        let mut text = String::new();
        // A value that fails keeps what it wrote.
        let _ = Escaping {
            out: &mut text,
            meant: self.meant,
        }
        .write_fmt(value);
        text
    }

    fn text(&self, value: fmt::Arguments<'_>) -> DebugValue<Text> {
        debug(Text(self.visible(value)))
    }

    fn error(&self, error: &(dyn Error + 'static), most_sources: usize) -> VisibleError {
        let source = error.source().filter(|_| most_sources > 0);
        VisibleError {
            message: self.visible(format_args!("{error}")),
            source: source.map(|source| Box::new(self.error(source, most_sources - 1))),
        }
    }
}

impl Visit for Kept {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.keep(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.keep(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.keep(field, self.visible(format_args!("{value}")));
        } else {
            // Formats write it in quotes and escape it: doing so twice would change it.
            self.keep(field, value.to_owned());
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let error: Box<dyn Error> = Box::new(self.error(value, MOST_SOURCES));
        self.keep(field, error);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, self.text(format_args!("{value:?}")));
    }
}

/// Text that was formatted already.
struct Text(String);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error and its sources, as far as a format can see them.
#[derive(Debug)]
struct VisibleError {
    message: String,
    source: Option<Box<Self>>,
}

impl fmt::Display for VisibleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for VisibleError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

/// The most sources of an error that are shown: a chain that leads back to itself must end here.
const MOST_SOURCES: usize = 64;
