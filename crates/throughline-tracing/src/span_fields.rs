//! The fields of `tracing` spans: attributes, and the `otel.*` fields that say what the span is.
//!
//! Owns what a field of a span becomes. Values go straight into the span while it starts, since nobody else knows it
//! yet. Later the span is shared and locked for every edit: then whatever runs code of the user is formatted first.

use std::error::Error;
use std::fmt;
use std::fmt::Write as _;

use throughline_core::{AttributeValue, Key, LiveSpan, SharedSpan, SpanKind, Status};
use tracing::field::{Field, Visit};

use crate::keys;
use crate::scratch;
use crate::site::{Role, Site};
use crate::values::{Bytes, DebugText, ErrorText, chain, visit_plain};

/// Records the fields that a span starts with.
pub(crate) fn record_first(
    span: &mut LiveSpan,
    site: &'static Site,
    fields: &tracing::span::Attributes<'_>,
) {
    fields.record(&mut SpanFields {
        target: span,
        site,
        has_exception: false,
    });
}

/// Records fields of a span that is shared.
pub(crate) fn record_later(
    span: &SharedSpan,
    site: &'static Site,
    fields: &tracing::span::Record<'_>,
) {
    fields.record(&mut SpanFields {
        target: span,
        site,
        has_exception: false,
    });
}

/// A span that takes values: alone, or shared with others.
trait Target {
    /// Edits the span; runs no code of the user.
    fn edit(&mut self, edit: impl FnOnce(&mut LiveSpan));

    /// Records a value that runs no code of the user.
    fn put(&mut self, key: &Key, value: impl AttributeValue);

    /// The same, by a key that is made as it is needed.
    fn put_as(&mut self, key: &str, value: impl AttributeValue);

    /// Records a value that does.
    fn put_formatted(&mut self, key: &Key, value: impl AttributeValue + fmt::Display);
}

impl Target for &mut LiveSpan {
    #[inline]
    fn edit(&mut self, edit: impl FnOnce(&mut LiveSpan)) {
        edit(self);
    }

    #[inline]
    fn put(&mut self, key: &Key, value: impl AttributeValue) {
        // The macros of `tracing` give each field one value.
        self.attribute(key, value);
    }

    fn put_as(&mut self, key: &str, value: impl AttributeValue) {
        self.attribute(&key, value);
    }

    #[inline]
    fn put_formatted(&mut self, key: &Key, value: impl AttributeValue + fmt::Display) {
        self.attribute(key, value);
    }
}

impl Target for &SharedSpan {
    fn edit(&mut self, edit: impl FnOnce(&mut LiveSpan)) {
        SharedSpan::edit(self, edit);
    }

    fn put(&mut self, key: &Key, value: impl AttributeValue) {
        SharedSpan::edit(self, |span| span.set_attribute(key, value));
    }

    fn put_as(&mut self, key: &str, value: impl AttributeValue) {
        SharedSpan::edit(self, |span| span.set_attribute(key, value));
    }

    fn put_formatted(&mut self, key: &Key, value: impl AttributeValue + fmt::Display) {
        with_text(value, |text| self.put(key, text));
    }
}

struct SpanFields<T> {
    target: T,
    site: &'static Site,
    has_exception: bool,
}

impl<T: Target> SpanFields<T> {
    #[inline]
    fn plain(&mut self, field: &Field, value: impl AttributeValue + fmt::Display) {
        match self.site.role(field) {
            Role::Attribute(key) => self.target.put(key, value),
            role => self.describe(role, value),
        }
    }

    #[inline]
    fn formatted(&mut self, field: &Field, value: impl AttributeValue + fmt::Display) {
        match self.site.role(field) {
            Role::Attribute(key) => self.target.put_formatted(key, value),
            role => self.describe(role, value),
        }
    }

    #[cold]
    fn describe(&mut self, role: Role, value: impl fmt::Display) {
        with_text(value, |text| {
            self.target.edit(|span| describe(span, role, text));
        });
    }
}

impl<T: Target> Visit for SpanFields<T> {
    visit_plain!();

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        self.plain(field, value);
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        if let Role::Attribute(key) = self.site.role(field) {
            self.target.put(key, Bytes(value));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.formatted(field, ErrorText(value));
        let Role::Attribute(key) = self.site.role(field) else {
            return;
        };
        let chain = chain(value);
        if !chain.is_empty() {
            self.target
                .put_as(&format!("{}{}", key.name(), keys::CHAIN_SUFFIX), chain);
        }
        // A span has one set of `exception.*` attributes: they describe the first error.
        if !std::mem::replace(&mut self.has_exception, true) {
            self.target
                .put_formatted(&keys::EXCEPTION_MESSAGE, ErrorText(value));
        }
    }

    #[inline]
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.formatted(field, DebugText(value));
    }
}

/// What the `otel.*` fields do. A value that means nothing is left out: it would be no attribute of anything.
fn describe(span: &mut LiveSpan, role: Role, value: &str) {
    match role {
        Role::Name if !value.is_empty() => span.update_name(value),
        Role::Kind => {
            if let Some(kind) = SpanKind::from_name(value) {
                span.set_kind(kind);
            }
        }
        Role::StatusCode if value.eq_ignore_ascii_case("ok") => span.set_status(Status::Ok, ""),
        // The description may have come first; it stays.
        Role::StatusCode
            if value.eq_ignore_ascii_case("error") && span.status() != Status::Error =>
        {
            span.set_status(Status::Error, "");
        }
        // A description alone means an error: no other status has one.
        Role::StatusMessage => span.set_status(Status::Error, value),
        _ => {}
    }
}

/// Formats a value and hands out the text. A value that fails keeps what it wrote, as in a span.
fn with_text<R>(value: impl fmt::Display, f: impl FnOnce(&str) -> R) -> R {
    scratch::with(|scratch| {
        let _ = write!(scratch.text, "{value}");
        f(&scratch.text)
    })
}
