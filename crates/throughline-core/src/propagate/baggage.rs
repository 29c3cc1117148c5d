//! Baggage: names and values that the application sends along with its requests.
//!
//! Owns the list, and the header of [W3C Baggage](https://www.w3.org/TR/baggage/). What leaves the process is decided
//! by the [`Propagator`](super::Propagator), not here.

use std::fmt;
use std::ops::ControlFlow;

use super::text::{ascii, split_once, trim};

/// Names with values and, rarely, metadata. Names are unique.
///
/// It holds at most 64 members, which take at most 8192 bytes in a header. `Debug` shows names only, for values may be
/// secrets.
///
/// ```
/// use throughline_core::propagate::Baggage;
///
/// let baggage = Baggage::parse(["tenant=blue;public, user=Am%C3%A9lie"]);
/// assert_eq!(baggage.get("user"), Some("Amélie"));
/// assert_eq!(baggage.metadata("tenant"), Some("public"));
/// assert_eq!(baggage.to_header(|name| name == "user").as_deref(), Some("user=Am%C3%A9lie"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Baggage {
    members: Vec<Member>,
}

#[derive(Clone, PartialEq, Eq)]
struct Member {
    name: Box<str>,
    value: Box<str>,
    metadata: Box<str>,
}

impl Baggage {
    /// Baggage without members.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            members: Vec::new(),
        }
    }

    /// Reads the values of all `baggage` headers of a message, in order.
    ///
    /// A member that breaks the grammar is left out. Reading stops, at a whole member, after 64 of them or 8192 bytes,
    /// all headers together. Of two members with one name the later one counts.
    #[must_use]
    pub fn parse<V: AsRef<[u8]>>(headers: impl IntoIterator<Item = V>) -> Self {
        let mut baggage = Self::new();
        let mut budget = Budget::new();
        for header in headers {
            if baggage.read(header.as_ref(), &mut budget).is_break() {
                break;
            }
        }
        baggage
    }

    /// Reads one of several headers; breaks when the budget of all is spent.
    pub(super) fn read(&mut self, header: &[u8], budget: &mut Budget) -> ControlFlow<()> {
        let cut = header.len() > budget.bytes;
        let mut header = header;
        if cut {
            // The member that crosses the limit is not one, unless the limit falls on its end.
            let ends = header[budget.bytes] == b',';
            header = &header[..budget.bytes];
            if !ends {
                let end = header.iter().rposition(|byte| *byte == b',').unwrap_or(0);
                header = &header[..end];
            }
        }
        budget.bytes = budget.bytes.saturating_sub(header.len() + 1);
        for member in header.split(|byte| *byte == b',').map(trim) {
            if member.is_empty() {
                continue;
            }
            if budget.members == 0 {
                return ControlFlow::Break(());
            }
            budget.members -= 1;
            self.read_member(member);
        }
        if cut || budget.bytes == 0 {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn read_member(&mut self, member: &[u8]) {
        let (pair, properties) = split_once(member, b';').unwrap_or((member, &[]));
        let Some((name, value)) = split_once(pair, b'=') else {
            return;
        };
        let (name, value) = (trim(name), trim(value));
        if !is_token(name) || !value.iter().all(is_baggage_octet) {
            return;
        }
        self.put(Member {
            name: ascii(name).into(),
            value: percent_decode(ascii(value)),
            metadata: properties_of(properties),
        });
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The value of that name. Names differ by case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).map(|at| &*self.members[at].value)
    }

    /// The metadata of that name, in the form of the header: properties with `;` between them. Empty if it has none.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.find(name).map(|at| &*self.members[at].metadata)
    }

    /// The names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members
            .iter()
            .map(|member| (&*member.name, &*member.value))
    }

    /// Sets the value of a name and drops its metadata. Any characters are allowed in a value.
    ///
    /// # Errors
    ///
    /// The name is empty or has characters that a header's name may not have, or there is no room. Nothing is changed
    /// then.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), BaggageError> {
        self.insert_with_metadata(name, value, "")
    }

    /// Like [`insert`](Self::insert), with properties in the form of the header: `public;ttl=30`. Those that break the
    /// grammar are left out.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_with_metadata(
        &mut self,
        name: &str,
        value: &str,
        metadata: &str,
    ) -> Result<(), BaggageError> {
        if !is_token(name.as_bytes()) {
            return Err(BaggageError("the name is not a token of HTTP"));
        }
        let member = Member {
            name: name.into(),
            value: value.into(),
            metadata: properties_of(metadata.as_bytes()),
        };
        let others = self.members.iter().filter(|other| *other.name != *name);
        let (mut count, mut bytes) = (1, member.header_len());
        for other in others {
            count += 1;
            bytes += 1 + other.header_len();
        }
        if count > MOST_MEMBERS || bytes > MOST_BYTES {
            return Err(BaggageError("there is room for 64 members and 8192 bytes"));
        }
        self.put(member);
        Ok(())
    }

    /// Removes a name. Returns its value.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.find(name)
            .map(|at| self.members.remove(at).value.into())
    }

    /// Removes all members.
    pub fn clear(&mut self) {
        self.members.clear();
    }

    /// The value of the header that sends those members whose name is allowed; `None` if none is.
    #[must_use]
    pub fn to_header(&self, mut allowed: impl FnMut(&str) -> bool) -> Option<String> {
        let mut header = String::new();
        for member in self.members.iter().filter(|member| allowed(&member.name)) {
            // What was read from a header can take more room than it did there.
            if header.len() + 1 + member.header_len() > MOST_BYTES + usize::from(header.is_empty())
            {
                continue;
            }
            if !header.is_empty() {
                header.push(',');
            }
            header.push_str(&member.name);
            header.push('=');
            percent_encode(&member.value, &mut header);
            if !member.metadata.is_empty() {
                header.push(';');
                header.push_str(&member.metadata);
            }
        }
        (!header.is_empty()).then_some(header)
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| *member.name == *name)
    }

    fn put(&mut self, member: Member) {
        match self.find(&member.name) {
            Some(at) => self.members[at] = member,
            None => self.members.push(member),
        }
    }
}

impl fmt::Debug for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Member {
    fn header_len(&self) -> usize {
        let value: usize = self.value.bytes().map(encoded_len).sum();
        let metadata = self.metadata.len() + usize::from(!self.metadata.is_empty());
        self.name.len() + 1 + value + metadata
    }
}

/// A member could not be put into baggage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaggageError(&'static str);

impl fmt::Display for BaggageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the member was not added to the baggage: {}", self.0)
    }
}

impl std::error::Error for BaggageError {}

/// What may still be read of the headers of one message.
pub(super) struct Budget {
    bytes: usize,
    members: usize,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self {
            bytes: MOST_BYTES,
            members: MOST_MEMBERS,
        }
    }
}

/// The properties that keep to the grammar, without the white space between them.
fn properties_of(text: &[u8]) -> Box<str> {
    let mut kept = String::new();
    for property in text.split(|byte| *byte == b';').map(trim) {
        let (key, value) = match split_once(property, b'=') {
            Some((key, value)) => (trim(key), Some(trim(value))),
            None => (property, None),
        };
        if !is_token(key) || !value.unwrap_or_default().iter().all(is_baggage_octet) {
            continue;
        }
        if kept.is_empty() {
            kept.reserve_exact(text.len());
        } else {
            kept.push(';');
        }
        kept.push_str(ascii(key));
        if let Some(value) = value {
            kept.push('=');
            kept.push_str(ascii(value));
        }
    }
    kept.into()
}

/// A token of RFC 9110.
pub(super) fn is_token(name: &[u8]) -> bool {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(inside)
}

fn is_baggage_octet(byte: &u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

fn encoded_len(byte: u8) -> usize {
    if is_baggage_octet(&byte) && byte != b'%' {
        1
    } else {
        3
    }
}

pub(super) fn percent_encode(value: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if encoded_len(byte) == 1 {
            out.push(char::from(byte));
        } else {
            let (high, low) = (
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            );
            out.extend(['%', char::from(high), char::from(low)]);
        }
    }
}

/// Decodes `%xx`; a `%` that no two digits follow stands for itself. What is not UTF-8 becomes U+FFFD.
pub(super) fn percent_decode(text: &str) -> Box<str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let escaped = (*byte == b'%').then(|| digit(0).zip(digit(1))).flatten();
        match escaped.and_then(|(high, low)| u8::try_from(high << 4 | low).ok()) {
            Some(escaped) => {
                decoded.push(escaped);
                rest = &after[2..];
            }
            None => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    match String::from_utf8(decoded) {
        Ok(decoded) => decoded.into(),
        Err(error) => replace_broken(error.as_bytes(), text.len()).into(),
    }
}

/// Puts U+FFFD in the place of what is not UTF-8. It takes as many bytes as an escape, so that the result is no longer
/// than the text that was decoded.
fn replace_broken(bytes: &[u8], most: usize) -> String {
    let mut text = String::with_capacity(most);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

const MOST_MEMBERS: usize = 64;
const MOST_BYTES: usize = 8192;
