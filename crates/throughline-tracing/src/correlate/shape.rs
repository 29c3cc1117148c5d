//! What the lines of a format look like, so that something can be added to them.
//!
//! Owns the knowledge about formats of `tracing-subscriber`, and the trait by which other formats tell the same.

use tracing_subscriber::fmt::format::{Compact, Format, Full, Json, Pretty};

/// How a format lays out an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// One line of text.
    Line,
    /// Several lines of text.
    Block,
    /// One JSON object.
    Json,
}

/// An event format whose shape is known: those of `tracing-subscriber`, and any that implements this.
///
/// ```
/// use throughline_tracing::{LogFormat, Shape};
///
/// #[derive(Clone)]
/// struct OneLine;
///
/// impl LogFormat for OneLine {
///     const SHAPE: Shape = Shape::Line;
/// }
/// ```
pub trait LogFormat: Sized {
    /// How events are laid out.
    const SHAPE: Shape;

    /// The same format with colours, for where the output has them; `None` if it has no colours.
    ///
    /// A format cannot learn from its writer whether to use colours here, as it otherwise does: lines are formatted
    /// into a buffer first.
    fn coloured(&self) -> Option<Self> {
        None
    }
}

macro_rules! formats_of_tracing_subscriber {
    ($($format:ty => $shape:ident),*) => {$(
        impl<T: Clone> LogFormat for Format<$format, T> {
            const SHAPE: Shape = Shape::$shape;

            fn coloured(&self) -> Option<Self> {
                Some(self.clone().with_ansi(true))
            }
        }
    )*};
}

formats_of_tracing_subscriber!(Full => Line, Compact => Line, Pretty => Block);

impl<T> LogFormat for Format<Json, T> {
    const SHAPE: Shape = Shape::Json;
}
