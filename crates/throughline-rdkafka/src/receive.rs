//! Receiving, in spans for those who want them.
//!
//! Owns the ways to wait for a record, `recv` and `poll`, and to go through them, `stream` and `iter`. They are the inner
//! consumers' own, and make nothing unless the [`Observer`] was told to.

use std::fmt;
use std::iter;
use std::pin::Pin;
use std::task::{self, Context, ready};

use futures_core::Stream;
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
    /// the span that is current; what handles the record is not in it.
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

    /// [`StreamConsumer::stream`](consumer::StreamConsumer::stream), whose records have the spans that those of
    /// [`recv`](Self::recv) have.
    ///
    /// ```no_run
    /// use futures::StreamExt;
    /// use throughline_rdkafka::StreamConsumer;
    ///
    /// # async fn store(_: &rdkafka::message::BorrowedMessage<'_>) {}
    /// # async fn example(consumer: StreamConsumer) -> Result<(), rdkafka::error::KafkaError> {
    /// let mut stream = consumer.stream();
    /// while let Some(message) = stream.next().await {
    ///     let message = message?;
    ///     consumer.record(&message).process(store(&message)).await;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream(&self) -> MessageStream<'_, C> {
        self.observer().stream(self.inner().stream())
    }
}

impl Observer {
    /// The records of a stream, each with a span `poll {topic}` if this [makes such](Self::receive_spans): also of a
    /// [partition queue](consumer::stream_consumer::StreamPartitionQueue) that was split off.
    ///
    /// The span begins when the stream is first asked for the record, and ends with the record or the error. A wait that
    /// is given up and taken up again, as in an arm of `select!`, is one.
    pub const fn stream<'a, C: ConsumerContext>(
        &'a self,
        stream: consumer::MessageStream<'a, C>,
    ) -> MessageStream<'a, C> {
        MessageStream {
            inner: stream,
            observer: self,
            poll: None,
        }
    }
}

/// [`rdkafka::consumer::MessageStream`] whose records have spans where they are wanted: of
/// [`stream`](Consuming::stream).
#[must_use = "streams do nothing unless polled"]
pub struct MessageStream<'a, C: ConsumerContext> {
    inner: consumer::MessageStream<'a, C>,
    observer: &'a Observer,
    /// The wait for the next record, if somebody waits and it is to have a span.
    poll: Option<Poll>,
}

impl<'a, C: ConsumerContext> Stream for MessageStream<'a, C> {
    type Item = KafkaResult<BorrowedMessage<'a>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> task::Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.poll.is_none() {
            this.poll = this.observer.poll();
        }
        let received = ready!(Pin::new(&mut this.inner).poll_next(cx));
        let poll = this.poll.take();
        if let Some(received) = &received {
            tell(poll, this.observer, received);
        }
        task::Poll::Ready(received)
    }
}

impl<C: ConsumerContext> fmt::Debug for MessageStream<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageStream").finish_non_exhaustive()
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

    /// [`BaseConsumer::iter`](consumer::BaseConsumer::iter), whose records have the spans that those of
    /// [`poll`](Self::poll) have.
    ///
    /// ```no_run
    /// use throughline_rdkafka::BaseConsumer;
    ///
    /// # fn store(_: &rdkafka::message::BorrowedMessage<'_>) {}
    /// # fn example(consumer: BaseConsumer) -> Result<(), rdkafka::error::KafkaError> {
    /// for message in consumer.iter() {
    ///     let message = message?;
    ///     consumer.record(&message).span().in_scope(|| store(&message));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = KafkaResult<BorrowedMessage<'_>>> {
        // A poll without end comes back with nothing when librdkafka had something else to say.
        iter::repeat_with(|| self.poll(Timeout::Never)).flatten()
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
