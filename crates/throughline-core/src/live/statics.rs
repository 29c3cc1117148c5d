//! An open span and its callsite: taking the callsite's attributes over, and becoming another callsite's.

use throughline_wire::{self as wire, Key};

use super::{LiveSpan, NAME};
use crate::callsite::Callsite;
use crate::record::Marks;
use crate::statics::{self, StaticAttributes, Summary};

impl LiveSpan {
    /// Adds attributes whose keys the span does not have yet, as [`attribute`](Self::attribute) does: one copy.
    #[inline]
    pub fn add_static(&mut self, statics: &StaticAttributes) {
        let summary = &statics.summary;
        self.attributes.mark(summary.keys);
        let attributes = self.attributes.count() + summary.attributes;
        if attributes <= self.limits.attribute_count
            && summary.longest <= self.limits.attribute_value_length
        {
            self.attributes.set_count(attributes);
            self.body.extend_from_slice(statics.fields);
        } else {
            self.add_within(statics.fields, summary);
        }
    }

    /// Makes this a span of another callsite, if that is enabled: with its name, kind, scope and attributes. What was
    /// recorded stays, and of the callsite before what this one does not say.
    pub fn adopt(&mut self, callsite: &'static Callsite) {
        // A callsite has a number once it was asked.
        if !callsite.is_enabled() {
            return;
        }
        if self.facts.marks.has(Marks::RENAMED) {
            wire::remove_fields(&mut self.body, NAME);
            self.facts.marks.clear(Marks::RENAMED);
        }
        let before = std::mem::replace(&mut self.callsite, callsite);
        self.facts.kind = callsite.kind();
        if callsite.summary().keys & self.attributes.marks() != 0 {
            self.make_way_for(callsite);
        }
        if self.facts.marks.has(Marks::OWN_STATICS) {
            self.facts.marks.clear(Marks::OWN_STATICS);
        } else {
            self.keep_statics(before);
        }
        self.take_up_callsite();
    }

    /// Removes what was recorded and the callsite says too.
    #[inline(never)]
    fn make_way_for(&mut self, callsite: &'static Callsite) {
        for attribute in statics::attributes(callsite.static_fields(), callsite.summary()) {
            if self.attributes.marks() & attribute.mark != 0 {
                let key = std::str::from_utf8(attribute.key).unwrap_or_default();
                let removed = wire::remove_attribute(&mut self.body, key);
                self.forget(u32::from(removed));
            }
        }
    }

    /// Records the attributes of the callsite before that the callsite of now does not have.
    fn keep_statics(&mut self, before: &'static Callsite) {
        let summary = before.summary();
        self.forget(summary.attributes);
        let kept = self.callsite.keeps_of(before);
        kept.each_of(before.static_fields(), summary, |attribute| {
            self.attributes.add(true, attribute.mark);
            self.body.extend_from_slice(attribute.bytes);
        });
    }

    /// Accounts for the attributes of the callsite; where they are beyond a limit, they become the span's own.
    #[inline(always)]
    pub(super) fn take_up_callsite(&mut self) {
        let summary = self.callsite.summary();
        let attributes = self.attributes.count() + summary.attributes;
        if attributes > self.limits.attribute_count
            || summary.longest > self.limits.attribute_value_length
        {
            self.own_statics();
        } else {
            self.attributes.set_count(attributes);
        }
    }

    /// Makes the callsite's attributes the span's own, within the limits.
    #[cold]
    #[inline(never)]
    fn own_statics(&mut self) {
        self.facts.marks.set(Marks::OWN_STATICS);
        self.attributes.mark(self.callsite.summary().keys);
        self.add_within(self.callsite.static_fields(), self.callsite.summary());
    }

    /// Adds encoded attributes, as far as the limits let them.
    #[cold]
    #[inline(never)]
    fn add_within(&mut self, fields: &[u8], summary: &Summary) {
        let count = self.attributes.count();
        let room = self.limits.attribute_count.saturating_sub(count);
        let (put, left_out) =
            statics::put_within(fields, summary, room, self.limits.values(), &mut self.body);
        self.attributes.set_count(count + put);
        if left_out > 0 {
            let course = self.course();
            course.dropped.attributes += left_out;
            course.unusual = true;
        }
    }

    /// Removes the attribute of that key, if there is one, be it the callsite's.
    #[inline]
    pub(super) fn remove_attribute(&mut self, key: &str) {
        let mark = Key::mark_of(key.as_bytes());
        let summary = self.callsite.summary();
        if summary.keys & mark != 0
            && !self.facts.marks.has(Marks::OWN_STATICS)
            && statics::has_key(self.callsite.static_fields(), summary, key.as_bytes())
        {
            self.forget(summary.attributes);
            self.own_statics();
        }
        // Most attributes are set once, and to look for one takes longer than to write it.
        if self.attributes.marks() & mark != 0 && wire::remove_attribute(&mut self.body, key) {
            self.forget(1);
        }
    }

    /// Counts fewer attributes.
    const fn forget(&mut self, attributes: u32) {
        let count = self.attributes.count().saturating_sub(attributes);
        self.attributes.set_count(count);
    }
}
