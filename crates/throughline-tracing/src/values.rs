//! Values of fields as values of attributes.
//!
//! Owns the forms that `tracing` hands over and the core does not know; must not know which field they belong to.

use std::error::Error;
use std::fmt;

use throughline_core::{AttributeValue, ValueWriter};

/// A value by its `Debug` form, which is its `Display` form if the field was given with `%`.
pub(crate) struct DebugText<'a>(pub(crate) &'a dyn fmt::Debug);

impl AttributeValue for DebugText<'_> {
    #[inline]
    fn write(&self, writer: ValueWriter<'_>) {
        writer.debug(self.0);
    }
}

impl fmt::Display for DebugText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An error by its message.
pub(crate) struct ErrorText<'a>(pub(crate) &'a (dyn Error + 'static));

impl AttributeValue for ErrorText<'_> {
    fn write(&self, writer: ValueWriter<'_>) {
        writer.display(&self.0);
    }
}

impl fmt::Display for ErrorText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)
    }
}

/// Bytes that are recorded as bytes.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl AttributeValue for Bytes<'_> {
    fn write(&self, writer: ValueWriter<'_>) {
        writer.bytes(self.0);
    }
}

/// The messages of the errors below `error`.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let sources = std::iter::successors(error.source(), |&error| error.source());
    sources
        .take(MOST_SOURCES)
        .map(ToString::to_string)
        .collect()
}

/// The most sources of an error that are recorded: a chain that leads back to itself must end here.
const MOST_SOURCES: usize = 64;

/// The methods of a `Visit` for values that are neither text nor run code of the user: each hands its value to the
/// visitor's method `plain`.
macro_rules! visit_plain {
    () => {
        visit_plain! {
            record_f64: f64,
            record_i64: i64,
            record_u64: u64,
            record_i128: i128,
            record_u128: u128,
            record_bool: bool,
        }
    };
    ($($record:ident: $value:ty,)*) => {
        $(
            #[inline]
            fn $record(&mut self, field: &tracing::field::Field, value: $value) {
                self.plain(field, value);
            }
        )*
    };
}

pub(crate) use visit_plain;
