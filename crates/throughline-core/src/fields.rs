//! The attributes of events and links while they are added, with their limits.

use std::fmt;

use throughline_wire::{self as wire, AsKey};

use crate::value::AttributeValue;

/// The attributes of an event that is being added.
pub struct EventFields<'w, 'b> {
    pub(crate) writer: &'w mut wire::EventWriter<'b>,
    pub(crate) limits: wire::Limits,
    pub(crate) most: u32,
    pub(crate) count: u32,
    pub(crate) dropped: u32,
}

impl EventFields<'_, '_> {
    /// Counts attributes that were left out before they came here.
    pub const fn add_dropped(&mut self, count: u32) {
        self.dropped = self.dropped.saturating_add(count);
    }

    /// Adds an attribute to the event.
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

impl fmt::Debug for EventFields<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventFields")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// The attributes of a link that is being added.
pub struct LinkFields<'w, 'b> {
    pub(crate) writer: &'w mut wire::LinkWriter<'b>,
    pub(crate) limits: wire::Limits,
    pub(crate) most: u32,
    pub(crate) count: u32,
    pub(crate) dropped: u32,
}

impl LinkFields<'_, '_> {
    /// Counts attributes that were left out before they came here.
    pub const fn add_dropped(&mut self, count: u32) {
        self.dropped = self.dropped.saturating_add(count);
    }

    /// Adds an attribute to the link.
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

impl fmt::Debug for LinkFields<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkFields")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
