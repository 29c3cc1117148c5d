//! A field format around another one: values made visible on their way into a span's text.

use std::error::Error;
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{MakeVisitor, VisitFmt, VisitOutput};

use super::text::{Escaping, Meant};

/// Makes control characters in the fields of spans visible, as [`Correlated`](super::Correlated) does for events.
///
/// A `fmt` layer writes the fields of a span once, when it starts, and [`Correlated`](super::Correlated) meets only
/// the result: there it can tell everything from the layer's own colours but other colours. This closes that gap, for
/// spans whose fields hold text from elsewhere and lines that go to a terminal:
///
/// ```
/// use throughline_tracing::{LayerExt, VisibleFields};
/// use tracing_subscriber::Registry;
/// use tracing_subscriber::fmt::Layer;
///
/// let layer = Layer::<Registry>::default().map_fmt_fields(VisibleFields::new).with_trace_ids();
/// # let _ = layer;
/// ```
///
/// It is for text; JSON needs no such thing.
#[derive(Clone, Debug, Default)]
pub struct VisibleFields<F> {
    inner: F,
}

impl<F> VisibleFields<F> {
    /// Goes around a field format.
    #[must_use]
    pub const fn new(inner: F) -> Self {
        Self { inner }
    }
}

impl<T, F: MakeVisitor<T>> MakeVisitor<T> for VisibleFields<F> {
    type Visitor = VisibleVisitor<F::Visitor>;

    fn make_visitor(&self, target: T) -> Self::Visitor {
        VisibleVisitor {
            inner: self.inner.make_visitor(target),
        }
    }
}

/// The visitor of [`VisibleFields`].
#[derive(Debug)]
pub struct VisibleVisitor<V> {
    inner: V,
}

impl<V: Visit> Visit for VisibleVisitor<V> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.inner.record_f64(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.inner.record_i64(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.inner.record_u64(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.inner.record_i128(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.inner.record_u128(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.inner.record_bool(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            // The format writes it in quotes and escapes it.
            self.inner.record_str(field, value);
        }
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.inner.record_bytes(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.inner.record_debug(field, &Visible(value));
    }
}

impl<V: VisitOutput<O>, O> VisitOutput<O> for VisibleVisitor<V> {
    fn finish(self) -> O {
        self.inner.finish()
    }
}

impl<V: VisitFmt> VisitFmt for VisibleVisitor<V> {
    fn writer(&mut self) -> &mut dyn fmt::Write {
        self.inner.writer()
    }
}

struct Visible<'a>(&'a dyn fmt::Debug);

impl fmt::Debug for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alternate = f.alternate();
        let mut out = Escaping {
            out: f,
            meant: Meant::default(),
        };
        if alternate {
            write!(out, "{:#?}", self.0)
        } else {
            write!(out, "{:?}", self.0)
        }
    }
}
