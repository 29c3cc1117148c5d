//! The attributes that every span of a callsite has: what an open span has to know of them.
//!
//! They are encoded at compile time and join the span when it is exported. Where that is not enough, since a value is
//! longer than the limit, or the program sets another one, the span takes them over as attributes of its own.

use throughline_wire::{self as wire, Buffer, EncodedAttribute, Key, attribute_at};

use crate::callsite::Callsite;

/// A digest of the encoded attributes of a callsite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    /// The marks of the keys: a key whose mark is missing is not there.
    pub(crate) keys: u64,
    /// How many there are without those that say where the callsite is (`code.*`): these are no matter of limits.
    pub(crate) attributes: u32,
    /// Bytes of the longest string, without those.
    pub(crate) longest: u32,
    /// Where the first attributes stand, so that nobody has to look for them while spans are open.
    first: [Place; FIRST],
    /// How many places are known.
    known: u8,
}

/// Where an attribute stands in the run that it belongs to; a few bytes, since each callsite has some of them.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The number of the bit that is the key's mark.
    mark: u8,
    start: u16,
    key: u16,
    key_end: u16,
    end: u16,
}

impl Summary {
    pub(crate) const fn of(fields: &[u8]) -> Self {
        let mut summary = Self {
            keys: 0,
            attributes: 0,
            longest: 0,
            first: [Place::NONE; FIRST],
            known: 0,
        };
        let mut at = 0;
        let mut count = 0;
        while let Some(attribute) = attribute_at(fields, at) {
            let key = bytes_between(fields, attribute.key.0, attribute.key.1);
            summary.keys |= Key::mark_of(key);
            if count < FIRST && attribute.end <= u16::MAX as usize {
                summary.first[count] = Place::of(fields, at, &attribute);
                summary.known += 1;
            }
            count += 1;
            if !is_code(fields, &attribute) {
                summary.attributes += 1;
                if let Some((start, end)) = attribute.text
                    && summary.longest < (end - start) as u32
                {
                    summary.longest = (end - start) as u32;
                }
            }
            at = attribute.end;
        }
        summary
    }

    /// The attributes whose places are known.
    #[inline]
    fn known(&self) -> &[Place] {
        &self.first[..usize::from(self.known).min(FIRST)]
    }
}

impl Place {
    const NONE: Self = Self {
        mark: 0,
        start: 0,
        key: 0,
        key_end: 0,
        end: 0,
    };

    const fn of(fields: &[u8], start: usize, attribute: &EncodedAttribute) -> Self {
        let key = bytes_between(fields, attribute.key.0, attribute.key.1);
        Self {
            mark: Key::mark_of(key).trailing_zeros() as u8,
            start: start as u16,
            key: attribute.key.0 as u16,
            key_end: attribute.key.1 as u16,
            end: attribute.end as u16,
        }
    }
}

/// Which attributes of the callsite before a span keeps when it becomes another callsite's: those that the other does not
/// have, without where the first one is. In a word, to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The number of the callsite before, plus one; zero for none.
    before: u32,
    /// A bit for each.
    attributes: u32,
}

impl Kept {
    #[cold]
    #[inline(never)]
    pub(crate) fn compute(before: &Callsite, now: &Callsite) -> Self {
        let mut kept = 0;
        let (fields, summary) = (before.static_fields(), before.summary());
        for (at, attribute) in attributes(fields, summary).enumerate().take(KEPT) {
            let is_there = has_key(now.static_fields(), now.summary(), attribute.key);
            kept |= u32::from(!is_there && !attribute.is_code()) << at;
        }
        Self {
            before: before.number() + 1,
            attributes: kept,
        }
    }

    #[inline]
    pub(crate) const fn is_of(self, before: u32) -> bool {
        self.before == before + 1
    }

    #[inline]
    pub(crate) const fn to_word(self) -> u64 {
        (self.before as u64) << 32 | self.attributes as u64
    }

    #[inline]
    pub(crate) const fn from_word(word: u64) -> Self {
        Self {
            before: (word >> 32) as u32,
            attributes: word as u32,
        }
    }

    /// Calls `keep` with the attributes, out of those of the callsite before.
    #[inline]
    pub(crate) fn each_of(
        self,
        fields: &[u8],
        summary: &Summary,
        mut keep: impl FnMut(Attribute<'_>),
    ) {
        let known = summary.known();
        let mut left = self.attributes;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            let Some(place) = known.get(at) else {
                return each_past(left, fields, summary, keep);
            };
            if let Some(attribute) = Attribute::at(fields, *place) {
                keep(attribute);
            }
            left &= left - 1;
        }
    }
}

/// Those whose places are not known: as a rule there is none.
#[cold]
#[inline(never)]
fn each_past(left: u32, fields: &[u8], summary: &Summary, mut keep: impl FnMut(Attribute<'_>)) {
    for (at, attribute) in attributes(fields, summary).enumerate().take(KEPT) {
        if left >> at & 1 == 1 {
            keep(attribute);
        }
    }
}

/// Attributes that never change, encoded at compile time: to record them is to copy them.
///
/// ```
/// use throughline_core::{Callsite, Span, StaticAttributes, callsite};
///
/// static CHECKOUT: Callsite = callsite!("checkout", Internal);
/// static GUEST: StaticAttributes = StaticAttributes::new(throughline_wire::static_fields![
///     "user.kind" = ("guest"),
///     "user.known" = bool (false),
/// ]);
///
/// let mut span = Span::start(&CHECKOUT);
/// span.edit(|span| span.add_static(&GUEST));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StaticAttributes {
    pub(crate) fields: &'static [u8],
    pub(crate) summary: Summary,
}

impl StaticAttributes {
    /// The attributes of these `Span.attributes` fields (`throughline_wire::static_fields!`).
    pub const fn new(fields: &'static [u8]) -> Self {
        Self {
            fields,
            summary: Summary::of(fields),
        }
    }
}

/// One attribute in a run of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    /// The mark of its key.
    pub(crate) mark: u64,
    pub(crate) key: &'a [u8],
    /// All of it, encoded.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Attribute<'a> {
    #[inline]
    fn at(fields: &'a [u8], place: Place) -> Option<Self> {
        Some(Self {
            mark: 1 << place.mark,
            key: fields.get(usize::from(place.key)..usize::from(place.key_end))?,
            bytes: fields.get(usize::from(place.start)..usize::from(place.end))?,
        })
    }

    /// Reads the attribute that begins there.
    fn read(fields: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let EncodedAttribute { key, end, .. } = attribute_at(fields, at)?;
        let key = fields.get(key.0..key.1)?;
        let bytes = fields.get(at..end)?;
        let mark = Key::mark_of(key);
        Some((Self { mark, key, bytes }, end))
    }

    pub(crate) fn is_code(&self) -> bool {
        self.key.starts_with(CODE)
    }

    /// The key and the value, if that is a text.
    fn text(&self) -> Option<(&'a str, &'a str)> {
        let EncodedAttribute { key, text, .. } = attribute_at(self.bytes, 0)?;
        let between = |(start, end)| std::str::from_utf8(self.bytes.get(start..end)?).ok();
        Some((between(key)?, between(text?)?))
    }
}

/// The attributes of a run whose digest that is.
#[inline]
pub(crate) fn attributes<'a>(
    fields: &'a [u8],
    summary: &'a Summary,
) -> impl Iterator<Item = Attribute<'a>> {
    let known = summary.known();
    let mut at = known.last().map_or(0, |place| usize::from(place.end));
    let rest = std::iter::from_fn(move || {
        let (attribute, end) = Attribute::read(fields, at)?;
        at = end;
        Some(attribute)
    });
    let known = known
        .iter()
        .filter_map(|place| Attribute::at(fields, *place));
    known.chain(rest)
}

/// Whether one of the attributes has that key.
#[inline]
pub(crate) fn has_key(fields: &[u8], summary: &Summary, key: &[u8]) -> bool {
    let mark = Key::mark_of(key);
    summary.keys & mark != 0
        && attributes(fields, summary)
            .any(|attribute| attribute.mark == mark && attribute.key == key)
}

/// Appends the attributes as a span has those of its own: no more than `room`, and none longer than the limit. Returns
/// how many were appended, and how many left out; `code.*` does not count.
pub(crate) fn put_within(
    fields: &[u8],
    summary: &Summary,
    room: u32,
    limits: wire::Limits,
    out: &mut Buffer,
) -> (u32, u32) {
    let (mut put, mut left_out) = (0, 0);
    for attribute in attributes(fields, summary) {
        if attribute.is_code() {
            out.extend_from_slice(attribute.bytes);
        } else if put == room {
            left_out += 1;
        } else {
            put += 1;
            match attribute.text() {
                None => out.extend_from_slice(attribute.bytes),
                Some((key, value)) => {
                    let field = wire::AttributeField::Span;
                    wire::put_attribute(out, field, &key, limits, |out| out.str(value));
                }
            }
        }
    }
    (put, left_out)
}

const fn is_code(fields: &[u8], attribute: &EncodedAttribute) -> bool {
    let (start, end) = attribute.key;
    let mut at = 0;
    while at < CODE.len() {
        if start + at >= end || fields[start + at] != CODE[at] {
            return false;
        }
        at += 1;
    }
    true
}

const fn bytes_between(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    bytes.split_at(start).1.split_at(end - start).0
}

const CODE: &[u8] = b"code.";
/// Attributes whose places are known: those that say where a callsite is, and as many that a role has.
const FIRST: usize = 8;
/// Attributes of a callsite that an adopted span may keep.
const KEPT: usize = u32::BITS as usize;

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[u8] = throughline_wire::static_fields![
        "code.file.path" = ("src/a/long/path.rs"),
        "method" = ("DELETE"),
        "line" = int(7),
    ];

    #[test]
    fn a_summary_leaves_the_place_in_the_source_out() {
        let summary = Summary::of(FIELDS);
        assert_eq!((summary.attributes, summary.longest), (2, 6));
        for key in ["code.file.path", "method", "line"] {
            assert_ne!(summary.keys & Key::mark_of(key.as_bytes()), 0, "{key}");
            assert!(has_key(FIELDS, &summary, key.as_bytes()));
        }
        assert!(!has_key(FIELDS, &summary, b"meth"));
    }

    #[test]
    fn what_is_past_the_known_places_is_found() {
        const MANY: &[u8] = throughline_wire::static_fields![
            "a" = int(1),
            "b" = int(1),
            "c" = int(1),
            "d" = int(1),
            "e" = int(1),
            "f" = int(1),
            "g" = int(1),
            "h" = int(1),
            "i" = int(1),
            "j" = int(1),
        ];
        let summary = Summary::of(MANY);
        let keys = attributes(MANY, &summary).map(|attribute| char::from(attribute.key[0]));
        assert_eq!(keys.collect::<String>(), "abcdefghij");
        assert!(has_key(MANY, &summary, b"j") && !has_key(MANY, &summary, b"k"));
    }

    #[test]
    fn limits_hold_for_all_but_the_place_in_the_source() {
        let put = |room, value_chars| {
            let mut out = Buffer::new();
            let limits = wire::Limits {
                value_chars,
                ..wire::Limits::default()
            };
            let counts = put_within(FIELDS, &Summary::of(FIELDS), room, limits, &mut out);
            let texts: Vec<_> = attributes(&out, &Summary::of(&out))
                .filter_map(|attribute| attribute.text())
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            (texts, counts)
        };
        let path = ("code.file.path".to_owned(), "src/a/long/path.rs".to_owned());
        let method = ("method".to_owned(), "DEL".to_owned());
        assert_eq!(put(1, 3), (vec![path.clone(), method], (1, 1)));
        assert_eq!(put(0, 3), (vec![path], (0, 2)));
    }
}
