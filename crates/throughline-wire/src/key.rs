//! Owns attribute keys: encoded at compile time ([`Key`]) or taken as a string at run time
//! ([`AsKey`]). Does not know what stands around a key.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::buffer::Buffer;
use crate::varint::{ConstWriter, len_field_len, len_tag, put_len_field};

/// An attribute key as the bytes of `KeyValue.key`, made at compile time by [`key!`](crate::key!).
///
/// Writing it is one copy from constant memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    name: &'static str,
    encoded: &'static [u8],
    mark: u64,
}

impl Key {
    /// The key's text.
    #[inline]
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The encoded field: tag `0x0A`, length, text.
    #[inline]
    #[must_use]
    pub const fn encoded(&self) -> &'static [u8] {
        self.encoded
    }

    /// One of the [`MARKS`](Self::MARKS), by the key's text.
    ///
    /// Who keeps the marks of keys in a word knows of most others, without a look at a text, that they are not among them.
    #[inline]
    #[must_use]
    pub const fn mark(&self) -> u64 {
        self.mark
    }

    /// The [mark](Self::mark) of a key of that text.
    ///
    /// ```
    /// use throughline_wire::{Key, key};
    ///
    /// const ORDER_ID: Key = key!("order.id");
    /// assert_eq!(Key::mark_of(b"order.id"), ORDER_ID.mark());
    /// assert_eq!((ORDER_ID.mark() & Key::MARKS).count_ones(), 1);
    /// assert_eq!((Key::mark_of(b"") & Key::MARKS).count_ones(), 1);
    /// ```
    #[inline]
    #[must_use]
    pub const fn mark_of(name: &[u8]) -> u64 {
        let number = match name.last() {
            Some(last) => {
                let middle = name[name.len() / 2] as usize;
                name.len() * 5 + *last as usize + middle * 3
            }
            None => 0,
        };
        let first = Self::MARKS.trailing_zeros() as usize;
        1 << (first + number % (u64::BITS as usize - first))
    }

    /// The bits of which a key has one as its [mark](Self::mark): all but the lowest sixteen, in which something else may
    /// be kept beside.
    pub const MARKS: u64 = !0xFFFF;

    /// A key that is known at run time only, encoded once for as long as the process runs: what it
    /// takes is never given back. For what is met as often as there are places in the program.
    ///
    /// ```
    /// use throughline_wire::Key;
    ///
    /// let key = Key::leak("order.id");
    /// assert_eq!((key.name(), key.encoded()), ("order.id", &b"\x0A\x08order.id"[..]));
    /// ```
    #[must_use]
    pub fn leak(name: &'static str) -> &'static Self {
        let mut encoded = Buffer::new();
        KeyRef::Name(name).put(&mut encoded);
        Box::leak(Box::new(Self {
            name,
            encoded: encoded.into_vec().leak(),
            mark: Self::mark_of(name.as_bytes()),
        }))
    }

    /// For the expansion of [`key!`](crate::key!) only: nothing else makes `encoded` fit `name`.
    #[doc(hidden)]
    #[must_use]
    pub const fn __new(name: &'static str, encoded: &'static [u8]) -> Self {
        assert!(encoded.len() == encoded_key_len(name));
        Self {
            name,
            encoded,
            mark: Self::mark_of(name.as_bytes()),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}

/// What can stand as an attribute's key: a [`Key`], or a string that is encoded on the spot.
pub trait AsKey {
    /// The key, in whichever of the two forms it has.
    fn as_key(&self) -> KeyRef<'_>;

    /// Appends the encoded field `KeyValue.key`.
    #[inline]
    fn put_key(&self, buf: &mut Buffer) {
        self.as_key().put(buf);
    }

    /// The key's text.
    #[inline]
    fn name(&self) -> &str {
        self.as_key().name()
    }

    /// The key's [mark](Key::mark).
    #[inline]
    fn mark(&self) -> u64 {
        self.as_key().mark()
    }

    /// The number of bytes that [`put_key`](Self::put_key) appends.
    #[inline]
    fn encoded_len(&self) -> usize {
        self.as_key().encoded_len()
    }
}

/// A borrowed key in one of its two forms.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum KeyRef<'a> {
    /// Encoded already.
    Encoded(&'a Key),
    /// To be encoded.
    Name(&'a str),
}

impl<'a> KeyRef<'a> {
    #[inline]
    pub(crate) fn put(self, buf: &mut Buffer) {
        match self {
            Self::Encoded(key) => buf.extend_from_slice(key.encoded),
            Self::Name(name) => put_len_field(buf, KEY_TAG, name.as_bytes()),
        }
    }

    /// Writes the field to `slot`, which is as long as it, and the length of the field is below 128.
    #[inline(always)]
    pub(crate) fn put_short(self, slot: &mut [u8]) {
        match self {
            Self::Encoded(key) => slot.copy_from_slice(key.encoded),
            Self::Name(name) => {
                let (head, text) = slot.split_at_mut(2);
                head.copy_from_slice(&[KEY_TAG, name.len() as u8]);
                text.copy_from_slice(name.as_bytes());
            }
        }
    }

    #[inline]
    fn name(self) -> &'a str {
        match self {
            Self::Encoded(key) => key.name,
            Self::Name(name) => name,
        }
    }

    #[inline]
    const fn mark(self) -> u64 {
        match self {
            Self::Encoded(key) => key.mark,
            Self::Name(name) => Key::mark_of(name.as_bytes()),
        }
    }

    #[inline]
    pub(crate) const fn encoded_len(self) -> usize {
        match self {
            Self::Encoded(key) => key.encoded.len(),
            Self::Name(name) => encoded_key_len(name),
        }
    }
}

impl AsKey for Key {
    #[inline]
    fn as_key(&self) -> KeyRef<'_> {
        KeyRef::Encoded(self)
    }
}

impl AsKey for str {
    #[inline]
    fn as_key(&self) -> KeyRef<'_> {
        KeyRef::Name(self)
    }
}

impl AsKey for String {
    #[inline]
    fn as_key(&self) -> KeyRef<'_> {
        KeyRef::Name(self)
    }
}

impl AsKey for Cow<'_, str> {
    #[inline]
    fn as_key(&self) -> KeyRef<'_> {
        KeyRef::Name(self)
    }
}

impl<T: AsKey + ?Sized> AsKey for &T {
    #[inline]
    fn as_key(&self) -> KeyRef<'_> {
        (**self).as_key()
    }
}

/// Encodes an attribute key at compile time and yields a [`Key`].
///
/// Takes any constant `&str` expression and works in constants, statics and functions alike.
/// The names that it needs are absolute, so it can be used through a re-export of this crate.
///
/// ```
/// use throughline_wire::{Key, key};
///
/// const PREFIX: &str = "order.id";
/// const ORDER_ID: Key = key!(PREFIX);
/// assert_eq!(ORDER_ID.name(), "order.id");
/// assert_eq!(ORDER_ID.encoded(), b"\x0A\x08order.id");
/// ```
#[macro_export]
macro_rules! key {
    ($name:expr $(,)?) => {{
        const __THROUGHLINE_KEY_NAME: &$crate::__macro::core::primitive::str = $name;
        const __THROUGHLINE_KEY_BYTES: &[$crate::__macro::core::primitive::u8] =
            &$crate::__macro::encode_key::<
                { $crate::__macro::encoded_key_len(__THROUGHLINE_KEY_NAME) },
            >(__THROUGHLINE_KEY_NAME);
        const __THROUGHLINE_KEY: $crate::Key =
            $crate::Key::__new(__THROUGHLINE_KEY_NAME, __THROUGHLINE_KEY_BYTES);
        __THROUGHLINE_KEY
    }};
}

/// The length of the field `KeyValue.key` for a key of this name.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn encoded_key_len(name: &str) -> usize {
    len_field_len(name.len())
}

/// The field `KeyValue.key` as an array of [`encoded_key_len`] bytes.
#[doc(hidden)]
#[must_use]
pub const fn encode_key<const N: usize>(name: &str) -> [u8; N] {
    let mut writer = ConstWriter::new();
    writer.len_field(KEY_TAG, name.as_bytes());
    writer.finish()
}

/// `KeyValue.key`.
pub(crate) const KEY_TAG: u8 = len_tag(1);
