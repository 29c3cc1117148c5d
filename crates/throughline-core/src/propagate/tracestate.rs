//! The `tracestate` header: vendors' data that travels with a trace.
//!
//! Owns the rules of [W3C Trace Context level 2 §3.3](https://www.w3.org/TR/trace-context-2/#tracestate-header). The
//! list is kept as the text of the header, so that passing it on copies nothing. All headers are checked and measured
//! before any of them is copied.

use std::fmt;
use std::ops::ControlFlow;

use super::text::{ascii, split_once, trim};

/// The members of a `tracestate`, the most recently changed one first.
///
/// It holds at most 32 members and 512 characters. What is longer loses whole members: the ones of more than 128
/// characters first, then the last ones.
///
/// ```
/// use throughline_core::propagate::TraceState;
///
/// let mut tracestate = TraceState::parse(["a=1, b=2", "c=3"]).unwrap();
/// tracestate.insert("b", "changed")?;
/// assert_eq!(tracestate.as_str(), "b=changed,a=1,c=3");
/// # Ok::<(), throughline_core::propagate::TraceStateError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TraceState(String);

impl TraceState {
    /// A list without members.
    #[must_use]
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// Reads the values of all `tracestate` headers of a message, in order.
    ///
    /// # Errors
    ///
    /// A member breaks the grammar, or there are more than 32. Nothing of such a list is to be passed on.
    pub fn parse<V: AsRef<[u8]>>(
        headers: impl IntoIterator<Item = V, IntoIter: Clone>,
    ) -> Result<Self, TraceStateError> {
        let headers = headers.into_iter();
        Self::parse_visited(|visit| {
            for header in headers.clone() {
                if visit(header.as_ref()).is_break() {
                    return;
                }
            }
        })
    }

    /// Reads what `headers` hands to its argument, which it does twice: once to measure and once to copy.
    pub(super) fn parse_visited(
        headers: impl Fn(&mut dyn FnMut(&[u8]) -> ControlFlow<()>),
    ) -> Result<Self, TraceStateError> {
        let mut sizes = Sizes::default();
        let mut wrong = false;
        headers(&mut |header| {
            let read = members(header, |member| {
                key_of(member).is_some() && sizes.add(member.len())
            });
            wrong |= !read;
            proceed(read)
        });
        if wrong {
            return Err(TraceStateError(()));
        }
        if sizes.count == 0 {
            // As most requests: whoever looks for headers need not look for these once more.
            return Ok(Self::new());
        }
        sizes.shorten();
        let mut list = String::with_capacity(sizes.text());
        let mut at = 0;
        headers(&mut |header| {
            proceed(members(header, |member| {
                // A carrier that hands out something else the second time adds nothing that was not measured.
                let room =
                    list.len() + 1 + member.len() <= MOST_CHARACTERS + usize::from(list.is_empty());
                if let Some(key) = key_of(member)
                    && room
                    && sizes.keeps(at)
                    && find(&list, ascii(key)).is_none()
                {
                    push(&mut list, ascii(member));
                }
                at += 1;
                at < MOST_MEMBERS
            }))
        });
        Ok(Self(list))
    }

    /// The value of the header that passes the list on; empty if there is nothing to pass on.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .split(',')
            .filter_map(|member| member.split_once('='))
    }

    /// The value of that key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// Sets the value of a key and moves it to the front. What there is no room for leaves at the other end.
    ///
    /// # Errors
    ///
    /// The key or the value breaks the grammar, or both are too long for a list of 512 characters. Nothing is changed
    /// then.
    pub fn insert(&mut self, key: &str, value: &str) -> Result<(), TraceStateError> {
        let length = key.len() + 1 + value.len();
        let valid = is_key(key.as_bytes()) && is_value(value.as_bytes());
        if !valid || length > MOST_CHARACTERS {
            return Err(TraceStateError(()));
        }
        let others = || self.iter().filter(|(name, _)| *name != key);
        let mut sizes = Sizes::default();
        // The new one counts as short: it is what the list was changed for.
        sizes.add(length);
        for (name, value) in others() {
            sizes.add(name.len() + 1 + value.len());
        }
        sizes.shorten_keeping_the_first();
        let mut list = String::with_capacity(sizes.text());
        let members = std::iter::once((key, value)).chain(others());
        for (at, (name, value)) in members.enumerate() {
            if sizes.keeps(at) {
                push(&mut list, name);
                list.push('=');
                list.push_str(value);
            }
        }
        self.0 = list;
        Ok(())
    }

    /// Removes a key. Returns whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let Some(start) = find(&self.0, key) else {
            return false;
        };
        match self.0[start..].find(',') {
            Some(length) => self.0.replace_range(start..=start + length, ""),
            None => self.0.truncate(start.saturating_sub(1)),
        }
        true
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A text is not a valid `tracestate`, or a member of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceStateError(());

impl fmt::Display for TraceStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "tracestate breaks the grammar of `key=value` members or has more than 32 of them",
        )
    }
}

impl std::error::Error for TraceStateError {}

/// The sizes of the members, and which of them stay.
#[derive(Default)]
struct Sizes {
    count: usize,
    each: [u16; MOST_MEMBERS],
    dropped: u32,
}

impl Sizes {
    /// Notes a member; `false` if there are too many. The grammar keeps them below 514 characters.
    fn add(&mut self, size: usize) -> bool {
        let Some(place) = self.each.get_mut(self.count) else {
            return false;
        };
        *place = u16::try_from(size).unwrap_or(u16::MAX);
        self.count += 1;
        true
    }

    fn keeps(&self, at: usize) -> bool {
        at < self.count && self.dropped & 1 << at == 0
    }

    /// The length of the list of those that stay.
    fn text(&self) -> usize {
        let kept = (0..self.count).filter(|at| self.keeps(*at));
        let text: usize = kept.map(|at| usize::from(self.each[at]) + 1).sum();
        text.saturating_sub(1)
    }

    fn shorten(&mut self) {
        self.shorten_after(0);
    }

    fn shorten_keeping_the_first(&mut self) {
        self.shorten_after(1);
    }

    fn shorten_after(&mut self, first: usize) {
        for longer_than in [LONG_MEMBER, 0] {
            for at in (first..self.count).rev() {
                if self.text() <= MOST_CHARACTERS {
                    return;
                }
                if self.each[at] > longer_than {
                    self.dropped |= 1 << at;
                }
            }
        }
    }
}

/// Hands the members of a header to `each` until that returns `false`; returns whether it never did.
fn members<'a>(header: &'a [u8], mut each: impl FnMut(&'a [u8]) -> bool) -> bool {
    header
        .split(|byte| *byte == b',')
        .map(trim)
        .filter(|member| !member.is_empty())
        .all(&mut each)
}

const fn proceed(goes_on: bool) -> ControlFlow<()> {
    if goes_on {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

/// The key of a member that keeps to the grammar.
fn key_of(member: &[u8]) -> Option<&[u8]> {
    let (key, value) = split_once(member, b'=')?;
    (is_key(key) && is_value(value)).then_some(key)
}

fn is_key(key: &[u8]) -> bool {
    let inside =
        |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    key.len() <= LONGEST
        && matches!(key.first(), Some(b'a'..=b'z' | b'0'..=b'9'))
        && key.iter().all(inside)
}

fn is_value(value: &[u8]) -> bool {
    let inside = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    value.len() <= LONGEST
        && value.last().is_some_and(|last| *last != b' ')
        && value.iter().all(inside)
}

/// Where the member of that key starts.
fn find(list: &str, key: &str) -> Option<usize> {
    let mut start = 0;
    for member in list.split(',') {
        if member.split_once('=').is_some_and(|(name, _)| name == key) {
            return Some(start);
        }
        start += member.len() + 1;
    }
    None
}

fn push(list: &mut String, member: &str) {
    if !list.is_empty() {
        list.push(',');
    }
    list.push_str(member);
}

const MOST_MEMBERS: usize = 32;
const MOST_CHARACTERS: usize = 512;
/// What a member may have and not be among the first to go.
const LONG_MEMBER: u16 = 128;
/// The most characters of a key, and of a value.
const LONGEST: usize = 256;
