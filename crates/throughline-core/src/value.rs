//! Attribute values: what a type writes when it is recorded.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use throughline_wire::ValueWriter;

/// A value that an attribute can have.
///
/// Numbers, booleans and strings are written as they are; slices become arrays; `None` is not recorded at all; a
/// [`Duration`] becomes seconds as a double, the unit of the semantic conventions. Everything else is recorded by
/// [`display`] or [`debug`]. An `u64` or `u128` that does not fit OTLP's signed 64 bits becomes its decimal text.
///
/// Implement it for your own types by handing the writer on:
///
/// ```
/// use throughline_core::{AttributeValue, ValueWriter};
///
/// struct OrderId(u64);
///
/// impl AttributeValue for OrderId {
///     fn write(&self, writer: ValueWriter<'_>) {
///         self.0.write(writer);
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a value that an attribute can have",
    label = "not an attribute value",
    note = "record its `Display` form with `key = %value`, its `Debug` form with `key = ?value`, or implement `throughline::core::AttributeValue`"
)]
pub trait AttributeValue {
    /// Writes the value, by calling one method of `writer`; if none is called, the attribute is left out.
    fn write(&self, writer: ValueWriter<'_>);
}

/// Records a value by its `Display` form, formatted straight into the span.
pub const fn display<T: fmt::Display + ?Sized>(value: &T) -> DisplayValue<'_, T> {
    DisplayValue(value)
}

/// Records a value by its `Debug` form, formatted straight into the span.
pub const fn debug<T: fmt::Debug + ?Sized>(value: &T) -> DebugValue<'_, T> {
    DebugValue(value)
}

/// What [`display`] returns.
#[derive(Debug)]
pub struct DisplayValue<'a, T: ?Sized>(&'a T);

/// What [`debug`] returns.
#[derive(Debug)]
pub struct DebugValue<'a, T: ?Sized>(&'a T);

impl<T: fmt::Display + ?Sized> AttributeValue for DisplayValue<'_, T> {
    #[inline(always)]
    fn write(&self, writer: ValueWriter<'_>) {
        writer.formatted(format_args!("{}", self.0));
    }
}

impl<T: fmt::Debug + ?Sized> AttributeValue for DebugValue<'_, T> {
    #[inline(always)]
    fn write(&self, writer: ValueWriter<'_>) {
        writer.formatted(format_args!("{:?}", self.0));
    }
}

macro_rules! written_as {
    ($($type:ty => $method:ident as $as:ty),* $(,)?) => {$(
        impl AttributeValue for $type {
            #[inline(always)]
            fn write(&self, writer: ValueWriter<'_>) {
                writer.$method(<$as>::from(*self));
            }
        }
    )*};
}

written_as! {
    bool => bool as bool,
    i8 => i64 as i64, i16 => i64 as i64, i32 => i64 as i64, i64 => i64 as i64,
    u8 => i64 as i64, u16 => i64 as i64, u32 => i64 as i64, u64 => u64 as u64,
    f32 => f64 as f64, f64 => f64 as f64,
}

macro_rules! written_if_it_fits {
    ($($type:ty),*) => {$(
        impl AttributeValue for $type {
            #[inline(always)]
            fn write(&self, writer: ValueWriter<'_>) {
                match i64::try_from(*self) {
                    Ok(value) => writer.i64(value),
                    Err(_) => writer.display(self),
                }
            }
        }
    )*};
}

written_if_it_fits!(isize, usize, i128, u128);

impl AttributeValue for str {
    #[inline(always)]
    fn write(&self, writer: ValueWriter<'_>) {
        writer.str(self);
    }
}

impl AttributeValue for String {
    #[inline(always)]
    fn write(&self, writer: ValueWriter<'_>) {
        writer.str(self);
    }
}

impl AttributeValue for char {
    fn write(&self, writer: ValueWriter<'_>) {
        writer.str(self.encode_utf8(&mut [0; 4]));
    }
}

impl AttributeValue for Duration {
    fn write(&self, writer: ValueWriter<'_>) {
        writer.f64(self.as_secs_f64());
    }
}

impl AttributeValue for fmt::Arguments<'_> {
    #[inline(always)]
    fn write(&self, writer: ValueWriter<'_>) {
        writer.formatted(*self);
    }
}

impl<T: AttributeValue> AttributeValue for Option<T> {
    #[inline(always)]
    fn write(&self, writer: ValueWriter<'_>) {
        if let Some(value) = self {
            value.write(writer);
        }
    }
}

impl<T: AttributeValue> AttributeValue for [T] {
    fn write(&self, writer: ValueWriter<'_>) {
        writer.array(|array| {
            self.iter()
                .for_each(|value| array.value(|writer| value.write(writer)));
        });
    }
}

impl<T: AttributeValue, const N: usize> AttributeValue for [T; N] {
    fn write(&self, writer: ValueWriter<'_>) {
        self.as_slice().write(writer);
    }
}

impl<T: AttributeValue> AttributeValue for Vec<T> {
    fn write(&self, writer: ValueWriter<'_>) {
        self.as_slice().write(writer);
    }
}

impl<T: AttributeValue + ToOwned + ?Sized> AttributeValue for Cow<'_, T> {
    #[inline(always)]
    fn write(&self, writer: ValueWriter<'_>) {
        self.as_ref().write(writer);
    }
}

macro_rules! written_through {
    ($($pointer:ty),*) => {$(
        impl<T: AttributeValue + ?Sized> AttributeValue for $pointer {
            #[inline(always)]
            fn write(&self, writer: ValueWriter<'_>) {
                (**self).write(writer);
            }
        }
    )*};
}

written_through!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);
