//! OTLP trace encoding without an intermediate model.
//!
//! Protobuf fields may come in any order and repeated fields may interleave, so a span can be
//! written in its final form while it is still running. This crate has the primitives for that:
//! what is known at compile time is encoded at compile time ([`key!`], [`static_fields!`]), and
//! everything else is appended to a [`Buffer`] ([`put_attribute`], [`put_event`],
//! [`put_link`]). The envelope ([`put_span`], [`put_request`]) is put around finished bytes
//! later, by another thread.
//!
//! It knows the messages of `opentelemetry.proto.trace.v1`, and of metrics what a pipeline says
//! about itself ([`put_sum`], [`put_histogram`]), and nothing else: no clock, no context, no
//! thread, no transport. It depends on `core` and `alloc` only.
//!
//! What every function keeps true:
//!
//! 1. The buffer is valid protobuf before and after each call, also when a closure or a
//!    `Display` implementation of the caller panics: what it had begun is taken back.
//! 2. Strings are valid UTF-8, also when a limit cuts them.
//! 3. Lengths are minimal varints. A length that is not known beforehand takes one byte, and
//!    content moves only if it turns out to be 128 bytes or more.
//! 4. Nothing allocates but the growth of the caller's buffer.
//! 5. A whole request nests at most 100 messages, the most that protobuf decoders accept by
//!    default (see [`Limits::depth`]).
//!
//! # Example
//!
//! ```
//! use throughline_wire::{AttributeField, Buffer, Key, Limits, SpanHead, key, put_attribute, put_span};
//!
//! const ORDER_ID: Key = key!("order.id");
//!
//! let mut body = Buffer::new();
//! put_attribute(&mut body, AttributeField::Span, &ORDER_ID, Limits::default(), |value| {
//!     value.i64(42);
//! });
//!
//! let mut spans = Vec::new();
//! put_span(&mut spans, &SpanHead {
//!     trace_id: [1; 16],
//!     span_id: [2; 8],
//!     name: Some("place_order"),
//!     body: &body,
//!     ..SpanHead::default()
//! });
//! assert_eq!(spans[0], 0x12, "a span is field 2 of ScopeSpans");
//! ```

#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;

mod buffer;
mod container;
mod edit;
mod envelope;
mod frame;
mod key;
mod metrics;
pub mod read;
mod span;
mod static_fields;
mod static_read;
mod text;
mod value;
mod varint;

pub use buffer::Buffer;
pub use container::{ArrayWriter, MapWriter};
pub use edit::{patch_event_times, remove_attribute, remove_fields};
pub use envelope::{
    Scope, SpanHead, put_request, put_scope, put_span, request_head_room, wrap_request,
};
pub use key::{AsKey, Key, KeyRef};
pub use metrics::{HistogramPoint, MetricHead, NumberPoint, put_histogram, put_sum};
pub use span::{
    EventWriter, LinkWriter, put_dropped_counts, put_event, put_link, put_name, put_name_parts,
    put_status, put_tracestate,
};
pub use static_read::{EncodedAttribute, attribute_at};
pub use value::{AttributeField, Limits, ValueWriter, put_attribute, put_resource_attribute};
pub use varint::varint_len;

/// What the expansions of this crate's macros name; not for use by hand.
#[doc(hidden)]
pub mod __macro {
    pub use core;

    pub use crate::key::{encode_key, encoded_key_len};
    pub use crate::static_fields::{
        StaticField, StaticValue, encode_static_fields, static_fields_len,
    };
}
