//! The immutable identity of a span, and its W3C `traceparent` text.
//!
//! Owns what crosses process borders: identifiers, flags and whether they came from elsewhere. It must not know which
//! recorder a span belongs to (that is [`Context`](crate::Context)).

use std::fmt;

use crate::id::{SpanId, TraceFlags, TraceId, decode_hex, encode_hex};

/// The identity of a span: trace id, span id, flags, and whether it came from another process.
///
/// See the OpenTelemetry specification, [trace API § SpanContext](https://opentelemetry.io/docs/specs/otel/trace/api/#spancontext).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct SpanContext {
    trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
    remote: bool,
}

impl SpanContext {
    /// The context of no span.
    pub const INVALID: Self = Self {
        trace_id: TraceId::INVALID,
        span_id: SpanId::INVALID,
        flags: TraceFlags::NONE,
        remote: false,
    };

    /// A context of these parts.
    pub const fn new(trace_id: TraceId, span_id: SpanId, flags: TraceFlags, remote: bool) -> Self {
        Self {
            trace_id,
            span_id,
            flags,
            remote,
        }
    }

    /// The trace the span belongs to.
    #[inline]
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span itself.
    #[inline]
    pub const fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// The flags that travel with the trace.
    #[inline]
    pub const fn trace_flags(&self) -> TraceFlags {
        self.flags
    }

    /// Whether the span runs in another process.
    #[inline]
    pub const fn is_remote(&self) -> bool {
        self.remote
    }

    /// Whether both identifiers are valid.
    #[inline]
    pub fn is_valid(&self) -> bool {
        self.trace_id.is_valid() && self.span_id.is_valid()
    }

    /// Whether the span is valid and sampled.
    #[inline]
    pub fn is_sampled(&self) -> bool {
        self.flags.is_sampled() && self.is_valid()
    }

    /// Reads a `traceparent` header value; the result [is remote](Self::is_remote).
    ///
    /// Follows [W3C Trace Context level 2 §2.2](https://www.w3.org/TR/trace-context-2/#traceparent-header): surrounding
    /// spaces and tabs are ignored, versions above `00` are read as far as `00` defines them.
    ///
    /// # Errors
    ///
    /// The text is not a valid header of any known form; the caller starts a new trace then.
    ///
    /// ```
    /// use throughline_core::SpanContext;
    ///
    /// let parent = SpanContext::parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")?;
    /// assert!(parent.is_remote() && parent.is_sampled());
    /// # Ok::<(), throughline_core::TraceparentError>(())
    /// ```
    pub fn parse_traceparent(text: &str) -> Result<Self, TraceparentError> {
        let bytes = text.trim_matches([' ', '\t']).as_bytes();
        parse(bytes).ok_or(TraceparentError(()))
    }

    /// The `traceparent` header value (version `00`) that names this span as the parent.
    pub fn to_traceparent(&self) -> Traceparent {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        encode_hex(&self.trace_id.to_bytes(), &mut text[3..35]);
        encode_hex(&self.span_id.to_bytes(), &mut text[36..52]);
        encode_hex(&[self.flags.to_u8()], &mut text[53..55]);
        Traceparent(text)
    }
}

/// Reads a header value that no space surrounds.
pub(crate) fn parse(bytes: &[u8]) -> Option<SpanContext> {
    let (fields, rest) = bytes.split_at_checked(TRACEPARENT_LEN)?;
    if fields[2] != b'-' || fields[35] != b'-' || fields[52] != b'-' {
        return None;
    }
    let [version] = decode_hex::<1>(&fields[..2])?;
    let well_ended = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest[0] == b'-',
    };
    let trace_id = TraceId::from_bytes(decode_hex(&fields[3..35])?);
    let span_id = SpanId::from_bytes(decode_hex(&fields[36..52])?);
    let [flags] = decode_hex::<1>(&fields[53..])?;
    let context = SpanContext::new(trace_id, span_id, TraceFlags::from_u8(flags), true);
    (well_ended && context.is_valid()).then_some(context)
}

const TRACEPARENT_LEN: usize = 55;

/// The text of a `traceparent` header, made without allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Traceparent([u8; TRACEPARENT_LEN]);

impl Traceparent {
    /// The header value.
    pub fn as_str(&self) -> &str {
        // Only hex digits and dashes are ever written, so the default is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A text was not a valid `traceparent` header value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceparentError(());

impl fmt::Display for TraceparentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("traceparent is not `version-traceid-parentid-flags` in lower-case hex with identifiers that are not zero")
    }
}

impl std::error::Error for TraceparentError {}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_header_round_trips() {
        let context = SpanContext::parse_traceparent(VALID).expect("valid");
        assert_eq!(context.to_traceparent().as_str(), VALID);
        assert_eq!(
            SpanContext::parse_traceparent(&format!(" \t{VALID}\t ")),
            Ok(context)
        );
    }

    #[test]
    fn higher_versions_are_read_as_far_as_they_are_known() {
        for text in [
            VALID.replacen("00", "cc", 1),
            VALID.replacen("00", "cc", 1) + "-what-the-future-holds",
        ] {
            assert!(SpanContext::parse_traceparent(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn every_broken_header_is_refused() {
        let replaced = |at: usize, with: char| {
            let mut text: Vec<char> = VALID.chars().collect();
            text[at] = with;
            text.into_iter().collect::<String>()
        };
        let mut broken = vec![
            String::new(),
            VALID.replacen("00", "ff", 1),
            VALID.replacen("00", "000", 1),
            VALID.replacen("00", "0", 1),
            VALID.to_owned() + "-extra",
            VALID.to_owned() + "1",
            VALID.replacen("00", "cc", 1) + ".what",
            VALID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            VALID.replace("b7ad6b7169203331", &"0".repeat(16)),
            VALID.to_uppercase(),
            VALID[..54].to_owned(),
            "é".repeat(28),
        ];
        broken.extend((0..VALID.len()).map(|at| replaced(at, '.')));
        broken.extend([0, 3, 36, 53].map(|at| replaced(at, '+')));
        for text in broken {
            assert!(SpanContext::parse_traceparent(&text).is_err(), "{text}");
        }
    }
}
