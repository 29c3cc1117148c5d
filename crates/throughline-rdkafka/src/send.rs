//! The span of a record that is sent: what it says at the start, and when the broker has answered.
//!
//! Owns what all producers have in common. When the answer comes is the producer's.

use rdkafka::error::KafkaError;
use rdkafka::message::{OwnedHeaders, ToBytes};
use throughline_core::{Context, LiveSpan, Span, SpanContext, display};
use throughline_messaging::queue::Destination;

use crate::headers::{extract, inject};
use crate::{SYSTEM, keys, outcome};

/// A record that is about to be sent.
pub(crate) struct Outgoing<'a, K: ?Sized, P: ?Sized> {
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<&'a K>,
    pub(crate) payload: Option<&'a P>,
}

impl<K: ToBytes + ?Sized, P: ?Sized> Outgoing<'_, K, P> {
    /// Starts the span, and writes its context to the headers; where there is no span, the current context, so that
    /// what goes along does not depend on what is recorded.
    pub(crate) fn start(
        &self,
        client_id: Option<&str>,
        headers: &mut Option<OwnedHeaders>,
    ) -> Span {
        let destination = Destination::new(SYSTEM, self.topic).client_id(client_id);
        let mut span = destination.send();
        // A record that is sent on, to be tried again or put aside, comes from the span that it names.
        let origin = headers.as_ref().filter(|_| span.is_recording());
        let origin = origin.map(|headers| extract(headers).span_context());
        let context = if span.is_disabled() {
            Context::current()
        } else {
            span.context()
        };
        *headers = inject(&context, headers.take());
        span.edit(|span| {
            if let Some(origin) = origin.filter(SpanContext::is_valid) {
                span.add_link(origin);
            }
            if let Some(key) = self.key {
                key_of(span, key.to_bytes());
            }
            if self.payload.is_none() {
                span.attribute(&keys::TOMBSTONE, true);
            }
            if let Some(partition) = self.partition {
                span.attribute(&keys::PARTITION_ID, display(&partition));
            }
        });
        span
    }
}

/// Records the key of a record, if it is text: other bytes have no form that everybody would choose.
pub(crate) fn key_of(span: &mut LiveSpan, key: &[u8]) {
    if let Ok(key) = std::str::from_utf8(key) {
        span.attribute(&keys::MESSAGE_KEY, key);
    }
}

/// Records where the broker put a record.
pub(crate) fn delivered(span: &mut Span, partition: i32, offset: i64) {
    span.edit(|span| {
        span.set_attribute(keys::PARTITION_ID, display(&partition));
        // Without acknowledgements nobody knows the offset.
        if offset >= 0 {
            span.attribute(&keys::OFFSET, offset);
        }
    });
}

/// Records that the broker, or the client, did not take a record.
pub(crate) fn refused(span: &mut Span, error: &KafkaError) {
    outcome::fail(span, error);
}
