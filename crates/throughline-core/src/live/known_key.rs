//! Keys that are met once per callsite and recorded with every span: what is worked out of a key is worked out once.

use throughline_wire::{AsKey, Key, KeyRef};

use super::{LiveSpan, mark_of};
use crate::value::AttributeValue;

/// A key that an integration keeps for as long as it records, made where it first meets the key.
///
/// ```
/// use throughline_core::KnownKey;
/// use throughline_wire::key;
///
/// const ORDER_ID: KnownKey = KnownKey::new(key!("order.id"));
/// assert_eq!(ORDER_ID.key().name(), "order.id");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownKey {
    key: Key,
    mark: u64,
}

impl KnownKey {
    /// The key, ready to be recorded.
    #[must_use]
    pub const fn new(key: Key) -> Self {
        Self {
            mark: mark_of(key.name().as_bytes()),
            key,
        }
    }

    /// The key itself.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }
}

impl AsKey for KnownKey {
    #[inline]
    fn as_key(&self) -> KeyRef<'_> {
        self.key.as_key()
    }
}

impl LiveSpan {
    /// As [`attribute`](Self::attribute), for a key that is not constant where it is recorded.
    ///
    /// ```
    /// use throughline_core::{Callsite, KnownKey, Span, callsite};
    /// use throughline_wire::key;
    ///
    /// static CHARGE: Callsite = callsite!("charge", Internal);
    /// static ORDER_ID: KnownKey = KnownKey::new(key!("order.id"));
    ///
    /// let mut span = Span::start(&CHARGE);
    /// span.edit(|span| span.known_attribute(&ORDER_ID, 42));
    /// ```
    #[inline(always)]
    pub fn known_attribute(&mut self, key: &KnownKey, value: impl AttributeValue) {
        self.put_attribute(&key.key, value, || key.mark);
    }
}
