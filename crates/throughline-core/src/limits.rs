//! Bounds on what one span may hold.

/// Limits of a span, with the defaults of OpenTelemetry's
/// [span limits](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-limits).
///
/// What goes beyond a limit is left out and counted in the span's dropped counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanLimits {
    /// Attributes per span (128, at most 65 535). Those that say where the callsite is (`code.*`) do not count.
    pub attribute_count: u32,
    /// Characters per string value, bytes per byte array (`u32::MAX`: no limit).
    pub attribute_value_length: u32,
    /// Events per span (128).
    pub event_count: u32,
    /// Links per span (128).
    pub link_count: u32,
    /// Attributes per event (128).
    pub event_attribute_count: u32,
    /// Attributes per link (128).
    pub link_attribute_count: u32,
}

impl SpanLimits {
    /// The limits of the specification.
    pub const DEFAULT: Self = Self {
        attribute_count: 128,
        attribute_value_length: u32::MAX,
        event_count: 128,
        link_count: 128,
        event_attribute_count: 128,
        link_attribute_count: 128,
    };

    pub(crate) const fn values(&self) -> throughline_wire::Limits {
        throughline_wire::Limits {
            value_chars: self.attribute_value_length,
            depth: VALUE_DEPTH,
        }
    }
}

impl Default for SpanLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How deep arrays and maps may nest (OpenTelemetry's AttributeValueDepthLimit); deeper ones become empty.
const VALUE_DEPTH: u8 = 64;
