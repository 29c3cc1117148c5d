//! The attributes of events and links while they are added, with their limits.

use std::fmt;

use throughline_wire::{self as wire, AsKey};

use crate::value::AttributeValue;

/// What adds attributes to one kind of thing. A macro, since the writers of both kinds have
/// nothing but their methods in common.
macro_rules! fields {
    ($(#[$docs:meta])* $name:ident, $writer:ident) => {
        $(#[$docs])*
        pub struct $name<'w, 'b> {
            writer: &'w mut wire::$writer<'b>,
            limits: wire::Limits,
            most: u32,
            count: u32,
            dropped: u32,
        }

        impl<'w, 'b> $name<'w, 'b> {
            /// Writes the attributes that `fill` adds, up to so many, and how many more there were.
            #[inline]
            pub(crate) fn write(
                writer: &'w mut wire::$writer<'b>,
                limits: wire::Limits,
                most: u32,
                fill: impl FnOnce(&mut $name<'_, '_>),
            ) {
                let mut fields = $name {
                    writer,
                    limits,
                    most,
                    count: 0,
                    dropped: 0,
                };
                fill(&mut fields);
                if fields.dropped > 0 {
                    fields.writer.dropped_attributes(fields.dropped);
                }
            }

            /// Counts attributes that were left out before they came here.
            pub const fn add_dropped(&mut self, count: u32) {
                self.dropped = self.dropped.saturating_add(count);
            }

            /// Adds an attribute.
            pub fn attribute(&mut self, key: &impl AsKey, value: impl AttributeValue) {
                if self.count >= self.most || key.name().is_empty() {
                    self.dropped += 1;
                    return;
                }
                self.count += 1;
                self.writer
                    .attribute(key, self.limits, |writer| value.write(writer));
            }
        }

        impl fmt::Debug for $name<'_, '_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("count", &self.count)
                    .finish_non_exhaustive()
            }
        }
    };
}

fields!(
    /// The attributes of an event that is being added.
    EventFields,
    EventWriter
);

fields!(
    /// The attributes of a link that is being added.
    LinkFields,
    LinkWriter
);
