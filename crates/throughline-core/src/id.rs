//! Trace and span identifiers and the generator that makes them.
//!
//! Owns the 128-bit trace id, the 64-bit span id, the W3C trace flags, and one generator per thread that is seeded by
//! the operating system. It must not know spans, recorders or clocks.

use std::fmt;
use std::str::FromStr;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// A 128-bit trace identifier, shared by all spans of a trace.
///
/// The text form is 32 lower-case hex digits, as in
/// [W3C Trace Context level 2 §2.2.2.3](https://www.w3.org/TR/trace-context-2/#trace-id).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TraceId {
    high: u64,
    low: u64,
}

impl TraceId {
    /// The all-zero identifier, which belongs to no trace.
    pub const INVALID: Self = Self { high: 0, low: 0 };

    /// The identifier made of these bytes, most significant first.
    #[inline]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        Self {
            high: (number >> 64) as u64,
            low: number as u64,
        }
    }

    /// The bytes of the identifier, most significant first.
    #[inline]
    pub const fn to_bytes(self) -> [u8; 16] {
        ((self.high as u128) << 64 | self.low as u128).to_be_bytes()
    }

    /// Whether at least one byte is not zero.
    #[inline]
    pub const fn is_valid(self) -> bool {
        self.high | self.low != 0
    }

    /// The halves as numbers.
    #[inline]
    pub(crate) const fn halves(self) -> [u64; 2] {
        [self.high, self.low]
    }

    /// The inverse of [`halves`](Self::halves).
    pub(crate) const fn from_halves([high, low]: [u64; 2]) -> Self {
        Self { high, low }
    }

    /// The right-most eight bytes as a number.
    #[inline]
    pub(crate) const fn low(self) -> u64 {
        self.low
    }
}

/// A 64-bit span identifier, unique within its trace.
///
/// The text form is 16 lower-case hex digits, as in
/// [W3C Trace Context level 2 §2.2.2.4](https://www.w3.org/TR/trace-context-2/#parent-id).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SpanId(u64);

impl SpanId {
    /// The all-zero identifier, which belongs to no span.
    pub const INVALID: Self = Self(0);

    /// The identifier made of these bytes, most significant first.
    #[inline]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }

    /// The bytes of the identifier, most significant first.
    #[inline]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Whether at least one byte is not zero.
    #[inline]
    pub const fn is_valid(self) -> bool {
        self.0 != 0
    }

    #[inline]
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// The W3C trace flags: one byte that travels with the identifiers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TraceFlags(u8);

impl TraceFlags {
    /// No flag is set: the trace is not sampled.
    pub const NONE: Self = Self(0);
    /// The trace is recorded by at least one party.
    pub const SAMPLED: Self = Self(0x01);
    /// The right-most seven bytes of the trace id are random (level 2).
    pub const RANDOM: Self = Self(0x02);

    /// The flags of a header byte. Bits that level 2 does not define are dropped.
    pub const fn from_u8(bits: u8) -> Self {
        Self(bits & 0x03)
    }

    /// The header byte.
    pub const fn to_u8(self) -> u8 {
        self.0
    }

    /// Whether [`SAMPLED`](Self::SAMPLED) is set.
    pub const fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED.0 != 0
    }

    /// Whether [`RANDOM`](Self::RANDOM) is set.
    pub const fn is_random(self) -> bool {
        self.0 & Self::RANDOM.0 != 0
    }

    /// These flags with the sampled bit set or cleared.
    #[must_use]
    pub const fn with_sampled(self, sampled: bool) -> Self {
        Self(self.0 & !Self::SAMPLED.0 | sampled as u8)
    }
}

/// A text was not an identifier: it must be exactly 32 (trace) or 16 (span) lower-case hex digits, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseIdError(());

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("identifier is not lower-case hex of the right length, or is all zero")
    }
}

impl std::error::Error for ParseIdError {}

/// Decodes lower-case hex of exactly twice the length of the array. Upper case is refused, as W3C requires.
pub(crate) fn decode_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    // Looked at in the end, so that there is no branch for each digit.
    let mut all = 0;
    for (byte, pair) in bytes.iter_mut().zip(text.as_chunks().0) {
        let [high, low] = pair.map(|digit| VALUES[usize::from(digit)]);
        all |= high | low;
        *byte = high << 4 | low;
    }
    (all & NO_DIGIT == 0).then_some(bytes)
}

/// What is no lower-case hex digit.
const NO_DIGIT: u8 = 0xf0;
/// What each byte stands for as a lower-case hex digit.
static VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes the bytes as lower-case hex into `out`, which must hold twice as many.
pub(crate) fn encode_hex(bytes: &[u8], out: &mut [u8]) {
    for (byte, pair) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

fn fmt_hex<const N: usize>(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0; N];
    encode_hex(bytes, &mut text);
    f.pad(std::str::from_utf8(&text).unwrap_or_default())
}

macro_rules! text_forms {
    ($id:ident, $digits:literal) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt_hex::<$digits>(&self.to_bytes(), f)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($id), "({})"), self)
            }
        }

        impl FromStr for $id {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                decode_hex(text.as_bytes())
                    .map(Self::from_bytes)
                    .filter(|id| id.is_valid())
                    .ok_or(ParseIdError(()))
            }
        }
    };
}

text_forms!(TraceId, 32);
text_forms!(SpanId, 16);

impl fmt::Display for TraceFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

impl fmt::Debug for TraceFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceFlags({self})")
    }
}

/// How the ids of new traces are made.
///
/// ```
/// use throughline_core::{IdGenerator, RecorderConfig};
///
/// let mut config = RecorderConfig::default();
/// config.id_generator = IdGenerator::XRay;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdGenerator {
    /// All bits are random, and [`TraceFlags::RANDOM`] says so.
    #[default]
    Random,
    /// The first 32 bits are the time in unix seconds, which AWS X-Ray demanded of every trace id. The random flag is
    /// not set.
    XRay,
}

/// The generator of one thread. Its 256-bit state keeps the full 128 bits of a trace id independent.
#[derive(Debug)]
pub(crate) struct Ids(Xoshiro256PlusPlus);

impl Ids {
    /// A generator seeded by the operating system.
    ///
    /// Where the system refuses to give random bytes (a seccomp filter, an early boot), the seed comes from the
    /// clock, the process and an address instead: identifiers stay distinct and the host program keeps running.
    pub(crate) fn seeded() -> Self {
        let mut seed = [0; 32];
        match getrandom::fill(&mut seed) {
            Ok(()) => Self(Xoshiro256PlusPlus::from_seed(seed)),
            Err(_) => Self(Xoshiro256PlusPlus::seed_from_u64(Self::weak_seed(&seed))),
        }
    }

    fn weak_seed(local: &[u8; 32]) -> u64 {
        let address = std::ptr::from_ref(local).addr() as u64;
        address.rotate_left(32)
            ^ u64::from(std::process::id()).rotate_left(48)
            ^ crate::clock::now().get()
    }

    /// A new, valid trace id with all bits random.
    #[inline]
    pub(crate) fn trace_id(&mut self) -> TraceId {
        loop {
            let id = TraceId {
                high: self.0.next_u64(),
                low: self.0.next_u64(),
            };
            if id.is_valid() {
                return id;
            }
        }
    }

    /// The id and the flags of a new trace.
    #[inline]
    pub(crate) fn start_trace(&mut self, generator: IdGenerator) -> (TraceId, TraceFlags) {
        match generator {
            IdGenerator::Random => (self.trace_id(), TraceFlags::RANDOM),
            IdGenerator::XRay => (self.x_ray_trace_id(), TraceFlags::NONE),
        }
    }

    #[cold]
    fn x_ray_trace_id(&mut self) -> TraceId {
        #[expect(clippy::disallowed_methods, reason = "X-Ray puts the date into the id")]
        let now = std::time::SystemTime::now();
        // A clock that is set before 1970 makes ids of that year's first second.
        let seconds = now
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let random = self.trace_id();
        TraceId {
            high: seconds << 32 | random.high & u64::from(u32::MAX),
            low: random.low.max(1),
        }
    }

    /// A new, valid span id.
    #[inline(always)]
    pub(crate) fn span_id(&mut self) -> SpanId {
        loop {
            let bits = self.0.next_u64();
            if bits != 0 {
                return SpanId(bits);
            }
        }
    }
}

/// The generator of identifiers, which a forked child makes anew.
#[inline(always)]
pub(crate) fn seeded<'a>(
    ids: &'a mut Option<Ids>,
    seeded_in: &mut u32,
    generation: u32,
) -> &'a mut Ids {
    if *seeded_in != generation {
        *seeded_in = generation;
        *ids = None;
    }
    match ids {
        Some(ids) => ids,
        ids => seed(ids),
    }
}

#[cold]
#[inline(never)]
fn seed(ids: &mut Option<Ids>) -> &mut Ids {
    ids.insert(Ids::seeded())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn text_forms_round_trip() {
        let mut ids = Ids::seeded();
        for _ in 0..1000 {
            let (trace, span) = (ids.trace_id(), ids.span_id());
            assert_eq!(trace.to_string().parse(), Ok(trace));
            assert_eq!(span.to_string().parse(), Ok(span));
        }
    }

    #[test]
    fn text_that_is_no_identifier_is_refused() {
        for text in [
            "",
            "0",
            &"0".repeat(32),
            &"A".repeat(32),
            &"a".repeat(31),
            &"a".repeat(33),
            &"g".repeat(32),
        ] {
            assert!(text.parse::<TraceId>().is_err(), "{text}");
            assert!(text.parse::<SpanId>().is_err(), "{text}");
        }
        assert!("+000000000000001".parse::<SpanId>().is_err());
    }

    #[test]
    fn generators_do_not_repeat_each_other() {
        let mut seen = HashSet::new();
        for _ in 0..64 {
            let mut ids = Ids::seeded();
            for _ in 0..100 {
                assert!(seen.insert(ids.trace_id().to_bytes()));
            }
        }
    }

    #[test]
    fn undefined_flag_bits_are_dropped() {
        assert_eq!(TraceFlags::from_u8(0xff).to_u8(), 0x03);
        assert_eq!(TraceFlags::RANDOM.with_sampled(true).to_string(), "03");
        assert_eq!(
            TraceFlags::from_u8(3).with_sampled(false),
            TraceFlags::RANDOM
        );
    }
}
