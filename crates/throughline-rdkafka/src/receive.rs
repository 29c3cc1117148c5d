//! Receiving, in spans for those who want them.
//!
//! Owns the two ways to wait for a record, `recv` and `poll`. They are the inner consumers' own, and make nothing unless
//! the [`Observer`] was told to.

use rdkafka::consumer::{self, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::util::Timeout;
use throughline_core::display;
use throughline_messaging::queue::Poll;

use crate::consumer::Consuming;
use crate::record::{Observer, context_of};
use crate::{keys, outcome};

impl<C, R> Consuming<consumer::StreamConsumer<C, R>>
where
    C: ConsumerContext + 'static,
{
    /// [`StreamConsumer::recv`](consumer::StreamConsumer::recv), in a span `poll {topic}` if the
    /// [observer](Observer::receive_spans) makes such.
    ///
    /// The span begins with the call, ends with the record or the error, and links the record's sender. It is a child of
    /// the span that is current; what handles the record is not in it. Records that come through a
    /// [stream](consumer::StreamConsumer::stream) have none.
    ///
    /// # Errors
    ///
    /// As the inner method's, which the span has too.
    pub async fn recv(&self) -> KafkaResult<BorrowedMessage<'_>> {
        let poll = self.observer().poll();
        let received = self.inner().recv().await;
        tell(poll, self.observer(), &received);
        received
    }
}

impl<C: ConsumerContext> Consuming<consumer::BaseConsumer<C>> {
    /// [`BaseConsumer::poll`](consumer::BaseConsumer::poll), in a span `poll {topic}` if the
    /// [observer](Observer::receive_spans) makes such: from the call to the record or the error. A poll that brings
    /// nothing has none.
    pub fn poll<T: Into<Timeout>>(&self, timeout: T) -> Option<KafkaResult<BorrowedMessage<'_>>> {
        let poll = self.observer().poll();
        let received = self.inner().poll(timeout)?;
        tell(poll, self.observer(), &received);
        Some(received)
    }
}

/// Makes the span of a poll that brought something, if one is wanted.
fn tell(poll: Option<Poll>, observer: &Observer, received: &KafkaResult<BorrowedMessage<'_>>) {
    let Some(poll) = poll else {
        return;
    };
    match received {
        Ok(message) => {
            let destination = observer.destination(Some(message.topic()));
            let sender = context_of(message).span_context();
            let mut span = poll.brought(&destination, POLL, [sender]);
            span.edit(|span| {
                span.attribute(&keys::PARTITION_ID, display(&message.partition()));
                span.attribute(&keys::OFFSET, message.offset());
            });
        }
        // There is nothing more, which is as good as nothing.
        Err(KafkaError::PartitionEOF(_)) => {}
        Err(error) => {
            let destination = observer.destination(None);
            let mut span = poll.brought(&destination, POLL, []);
            outcome::fail(&mut span, error);
        }
    }
}

/// What Kafka calls it.
const POLL: &str = "poll";
