//! The callsites of actors' handlers: one for each type of messages that a type of actors handles, told or asked.
//!
//! Their spans have the name and the types already, encoded once. A thread finds those that it had to do with lately by
//! the addresses of the names, without a lock; there are a few times as many as the program has such pairs of types.

use std::cell::Cell;
use std::collections::HashMap;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use throughline_core::{Callsite, CallsiteSpec, short_type_name};
use throughline_wire::{AttributeField, Buffer, Key, Limits, put_attribute};

use crate::keys;
use crate::relation::Operation;

/// What tells one callsite from another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    /// What the callsites of a library have in common.
    pub(super) library: &'static Callsite,
    pub(super) system: &'static str,
    /// The name of the type.
    pub(super) actor: &'static str,
    /// The name of the type.
    pub(super) message: &'static str,
    pub(super) operation: Operation,
}

impl Site {
    /// The callsite; the library's own where there are too many.
    pub(super) fn callsite(self) -> &'static Callsite {
        let slot = self.slot();
        match RECENT.with(|recent| recent[slot].get()) {
            Some((site, callsite)) if site.is(&self) => callsite,
            _ => self.find(slot),
        }
    }

    #[cold]
    #[inline(never)]
    fn find(self, slot: usize) -> &'static Callsite {
        let key = (
            ptr::from_ref(self.library).addr(),
            self.system,
            self.actor,
            self.message,
            self.operation,
        );
        let mut sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
        let sites = sites.get_or_insert_default();
        let callsite = match sites.get(&key) {
            Some(callsite) => callsite,
            None if sites.len() >= MAX_SITES => self.library,
            None => sites.entry(key).or_insert(Box::leak(self.make())),
        };
        RECENT.with(|recent| recent[slot].set(Some((self, callsite))));
        callsite
    }

    fn make(self) -> Box<Callsite> {
        let [actor, message] = [self.actor, self.message].map(short_type_name);
        let (scope_name, scope_version) = self.library.scope();
        let said: [(&Key, &str); 4] = [
            (&keys::ACTOR_SYSTEM, self.system),
            (&keys::ACTOR_TYPE, actor),
            (&keys::MESSAGE_TYPE, message),
            (&keys::MESSAGE_OPERATION, self.operation.name()),
        ];
        let mut fields = Buffer::new();
        for (key, value) in said {
            let field = AttributeField::Span;
            put_attribute(&mut fields, field, key, Limits::default(), |out| {
                out.str(value);
            });
        }
        Box::new(Callsite::new(CallsiteSpec {
            name: format!("{actor} {message}").leak(),
            kind: self.library.kind(),
            level: self.library.level(),
            target: self.library.target(),
            scope_name,
            scope_version,
            static_fields: fields.into_vec().leak(),
        }))
    }

    /// Whether it is the same, by the addresses of everything: they are static.
    fn is(&self, other: &Self) -> bool {
        ptr::eq(self.library, other.library)
            && ptr::eq(self.system, other.system)
            && ptr::eq(self.actor, other.actor)
            && ptr::eq(self.message, other.message)
            && self.operation == other.operation
    }

    /// Spreads addresses over the slots: Fibonacci hashing.
    fn slot(&self) -> usize {
        let addresses = self.actor.as_ptr().addr() ^ self.message.as_ptr().addr().rotate_left(17);
        let spread = (addresses as u64 ^ self.operation as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (spread >> (u64::BITS - SLOTS.ilog2())) as usize
    }
}

/// Callsites that there may be.
const MAX_SITES: usize = 4096;
/// Callsites that a thread finds without a lock; a power of two.
const SLOTS: usize = 64;

/// The address of the library's callsite, the names, and what the sender does.
type Known = (usize, &'static str, &'static str, &'static str, Operation);

static SITES: Mutex<Option<HashMap<Known, &'static Callsite>>> = Mutex::new(None);

thread_local! {
    static RECENT: [Cell<Option<(Site, &'static Callsite)>>; SLOTS] =
        const { [const { Cell::new(None) }; SLOTS] };
}
