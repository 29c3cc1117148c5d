//! The role of those who send to a broker and take from it: the spans of the messaging conventions.
//!
//! Owns the kinds, names and attributes that are the same for every broker (OpenTelemetry's semantic conventions,
//! v1.44). How a handler relates to its sender is the [`Arrival`]'s; what only one broker has, such as an offset, the
//! integration adds to the span it gets.

use std::collections::HashSet;

use throughline_core::clock::{self, Ticks};
use throughline_core::{Callsite, LiveSpan, Span, SpanContext, callsite};

use crate::arrival::Arrival;
use crate::keys;
use crate::policy::Policy;
use crate::selection::Subject;

/// A topic or queue at a broker, as the spans of those who work with it tell it.
///
/// It starts the span of each operation: the program is current while it sends, and the context that is current becomes
/// the parent; only [`process`](Self::process) relates to a sender. The spans are called by the operation and the
/// destination, as in `send orders`: by its [template](Self::template) if it has one, else by its name, unless that is
/// [temporary](Self::temporary) or [anonymous](Self::anonymous), else by the [server](Self::server).
///
/// ```
/// use throughline_core::{Context, propagate};
/// use throughline_messaging::{Arrival, Operation, Policy, observe, queue::Destination};
///
/// # async fn store(_: &str) {}
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let orders = Destination::new("mybroker", "orders");
///
/// let span = orders.send();
/// let mut headers = Vec::<(String, String)>::new();
/// propagate::inject(&span.context(), &mut headers);
/// span.end(); // when the broker has it
///
/// let sender = propagate::extract(&headers);
/// let arrival = Arrival::new(&sender, Operation::Record);
/// let span = orders.consumer_group(Some("billing")).process(&arrival, &Policy::new());
/// observe(span, store("order 7")).await;
/// orders.settle("ack").end();
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    system: &'static str,
    name: Option<&'a str>,
    template: Option<&'a str>,
    subscription: Option<&'a str>,
    is_temporary: bool,
    is_anonymous: bool,
    server: Option<(&'a str, Option<u16>)>,
    consumer_group: Option<&'a str>,
    client_id: Option<&'a str>,
    message_id: Option<&'a str>,
    conversation_id: Option<&'a str>,
    messages: Option<usize>,
}

impl<'a> Destination<'a> {
    /// The destination of that name; `system` is the broker's kind, by the list of the conventions where it is in it.
    #[must_use]
    pub const fn new(system: &'static str, name: &'a str) -> Self {
        Self::of(system, Some(name))
    }

    /// What an operation works on that has no destination, or several: a batch from two topics.
    #[must_use]
    pub const fn of(system: &'static str, name: Option<&'a str>) -> Self {
        Self {
            system,
            name,
            template: None,
            subscription: None,
            is_temporary: false,
            is_anonymous: false,
            server: None,
            consumer_group: None,
            client_id: None,
            message_id: None,
            conversation_id: None,
            messages: None,
        }
    }

    /// What the name has in common with those of many other destinations, such as `customers/{id}/orders`: there are few
    /// of these, so that spans can be called by it, and metrics told apart.
    ///
    /// ```
    /// use throughline_messaging::queue::Destination;
    ///
    /// let orders = Destination::new("mybroker", "customers/7/orders").template(Some("customers/{id}/orders"));
    /// orders.send().end(); // `send customers/{id}/orders`
    /// ```
    #[must_use]
    pub const fn template(mut self, template: Option<&'a str>) -> Self {
        self.template = template;
        self
    }

    /// The subscription to the topic that messages come from, if the broker has such.
    #[must_use]
    pub const fn subscription(mut self, name: Option<&'a str>) -> Self {
        self.subscription = name;
        self
    }

    /// It goes when nobody uses it any more, such as a queue for replies: its name says nothing to others.
    #[must_use]
    pub const fn temporary(mut self) -> Self {
        self.is_temporary = true;
        self
    }

    /// The broker made its name up.
    #[must_use]
    pub const fn anonymous(mut self) -> Self {
        self.is_anonymous = true;
        self
    }

    /// The broker, by its host, or the path of its socket, and its port.
    #[must_use]
    pub const fn server(mut self, address: &'a str, port: Option<u16>) -> Self {
        self.server = Some((address, port));
        self
    }

    /// The group that the consumer is one of, if it is in one.
    #[must_use]
    pub const fn consumer_group(mut self, name: Option<&'a str>) -> Self {
        self.consumer_group = name;
        self
    }

    /// The client that sends or receives, if it has a name.
    #[must_use]
    pub const fn client_id(mut self, id: Option<&'a str>) -> Self {
        self.client_id = id;
        self
    }

    /// The message that the operation is about, if the broker or the sender gave it an identifier. Not for several.
    #[must_use]
    pub const fn message_id(mut self, id: Option<&'a str>) -> Self {
        self.message_id = id;
        self
    }

    /// What the message belongs to together with others, such as the question that it answers: a correlation id.
    #[must_use]
    pub const fn conversation_id(mut self, id: Option<&'a str>) -> Self {
        self.conversation_id = id;
        self
    }

    /// The operation takes so many messages at once. For operations on single messages nothing is said.
    #[must_use]
    pub const fn batch_of(mut self, messages: usize) -> Self {
        self.messages = Some(messages);
        self
    }

    /// Starts the span of a message that is made now and sent later, perhaps with others: its context goes along.
    pub fn create(&self) -> Span {
        self.tell(Span::start(&CREATE), CREATE.name(), CREATE.name())
    }

    /// Starts the span of sending, which ends when the broker has taken the message, or refused it.
    ///
    /// Its context goes along with the message. Where the context of a [`create`](Self::create) span does, it is
    /// [`send_created`](Self::send_created).
    pub fn send(&self) -> Span {
        self.start(&SEND, SEND.name())
    }

    /// Starts the span of sending messages that have contexts already: of their [`create`](Self::create) spans, or those
    /// they came with. It is of kind client, and links each context once.
    ///
    /// ```
    /// use throughline_messaging::queue::Destination;
    ///
    /// let orders = Destination::new("mybroker", "orders");
    /// let created = [orders.create(), orders.create()].map(|span| span.context().span_context());
    /// // What goes along with each message is its own context.
    /// orders.batch_of(2).send_created(created).end();
    /// ```
    pub fn send_created(&self, contexts: impl IntoIterator<Item = SpanContext>) -> Span {
        let mut span = self.start(&SEND_CREATED, SEND_CREATED.name());
        link_each_once(&mut span, contexts);
        span
    }

    /// Starts the span of taking messages from the broker, `operation` being the client's word for it, such as `poll`.
    ///
    /// A poll that brings nothing should make none: [`Poll`] makes it when it is known what came.
    pub fn receive(&self, operation: &str) -> Span {
        self.start(&RECEIVE, operation)
    }

    /// Starts the span of a handler, whose parent and links are the arrival's and the policy's.
    pub fn process(&self, arrival: &Arrival<'_>, policy: &Policy) -> Span {
        let subject = Subject::new().destination(self.name);
        let mut span = arrival.span_of(&subject, &PROCESS, policy);
        self.label(&mut span, PROCESS.name(), None);
        self.tell(span, PROCESS.name(), "process")
    }

    /// Starts the span of telling the broker what became of messages, `operation` being the client's word for it, such
    /// as `ack` or `commit`.
    pub fn settle(&self, operation: &str) -> Span {
        self.start(&SETTLE, operation)
    }

    fn start(&self, callsite: &'static Callsite, operation: &str) -> Span {
        let mut span = Span::start(callsite);
        span.operates(callsite);
        self.label(&mut span, operation, Some(callsite.name()));
        self.tell(span, operation, callsite.name())
    }

    /// What metrics say of it.
    fn label(&self, span: &mut Span, operation: &str, kind: Option<&str>) {
        span.label(|| {
            [
                (keys::SYSTEM.name(), Some(self.system)),
                (keys::OPERATION_NAME.name(), Some(operation)),
                (keys::OPERATION_TYPE.name(), kind),
                (keys::DESTINATION_NAME.name(), self.lasting_name()),
                (keys::DESTINATION_TEMPLATE.name(), self.template),
                (keys::SUBSCRIPTION_NAME.name(), self.subscription),
                (keys::CONSUMER_GROUP_NAME.name(), self.consumer_group),
            ]
        });
        if let Some(messages) = self.messages {
            span.takes(messages);
        }
    }

    fn tell(&self, mut span: Span, operation: &str, kind: &str) -> Span {
        span.edit(|span| {
            span.attribute(&keys::SYSTEM, self.system);
            span.attribute(&keys::OPERATION_NAME, operation);
            span.attribute(&keys::OPERATION_TYPE, kind);
            self.call(span, operation, kind);
            let told = [
                (&keys::DESTINATION_NAME, self.name),
                (&keys::DESTINATION_TEMPLATE, self.template),
                (&keys::SUBSCRIPTION_NAME, self.subscription),
                (&keys::CONSUMER_GROUP_NAME, self.consumer_group),
                (&keys::CLIENT_ID, self.client_id),
                (&keys::MESSAGE_ID, self.message_id),
                (&keys::CONVERSATION_ID, self.conversation_id),
            ];
            for (key, value) in told {
                if let Some(value) = value {
                    span.attribute(key, value);
                }
            }
            if self.is_temporary {
                span.attribute(&keys::DESTINATION_TEMPORARY, true);
            }
            if self.is_anonymous {
                span.attribute(&keys::DESTINATION_ANONYMOUS, true);
            }
            if let Some((address, port)) = self.server {
                span.attribute(&keys::SERVER_ADDRESS, address);
                span.attribute(&keys::SERVER_PORT, port);
            }
            if let Some(messages) = self.messages {
                let messages = i64::try_from(messages).unwrap_or(i64::MAX);
                span.attribute(&keys::BATCH_MESSAGE_COUNT, messages);
            }
        });
        span
    }

    /// The name, if others know it.
    fn lasting_name(&self) -> Option<&'a str> {
        self.name
            .filter(|_| !self.is_temporary && !self.is_anonymous)
    }

    /// Calls the span by the operation and what it works on, unless its callsite does.
    fn call(&self, span: &mut LiveSpan, operation: &str, kind: &str) {
        match (self.template.or_else(|| self.lasting_name()), self.server) {
            (Some(name), _) => span.update_name_parts(&[operation, " ", name]),
            (None, Some((address, Some(port)))) => {
                span.update_name(&format!("{operation} {address}:{port}"));
            }
            (None, Some((address, None))) => span.update_name_parts(&[operation, " ", address]),
            (None, None) if operation != kind => span.update_name(operation),
            (None, None) => (),
        }
    }
}

/// A poll that goes on: there will be a span of it if it brings something.
///
/// Receive spans are for those who want them: where messages come one at a time, each doubles what the span of its handler
/// says.
///
/// ```
/// use throughline_core::{Context, propagate};
/// use throughline_messaging::queue::{Destination, Poll};
///
/// # let poll_broker = || Vec::<Vec<(String, String)>>::new();
/// let orders = Destination::new("mybroker", "orders");
/// let poll = Poll::begin();
/// let messages = poll_broker();
/// if !messages.is_empty() {
///     let senders = messages.iter().map(|headers| propagate::extract(headers).span_context());
///     poll.brought(&orders.batch_of(messages.len()), "poll", senders).end();
/// }
/// ```
#[derive(Debug)]
#[must_use = "a poll is there to bring something"]
pub struct Poll {
    began: Ticks,
}

impl Poll {
    /// A poll that begins now.
    pub fn begin() -> Self {
        Self {
            began: clock::now(),
        }
    }

    /// Makes the [span](Destination::receive) of the poll, which began when the poll did and ends when it is dropped. It
    /// is a child of the span that is current, and links each sender once.
    pub fn brought(
        self,
        destination: &Destination<'_>,
        operation: &str,
        senders: impl IntoIterator<Item = SpanContext>,
    ) -> Span {
        let mut span = destination.receive(operation);
        span.since(self.began);
        link_each_once(&mut span, senders);
        span
    }
}

fn link_each_once(span: &mut Span, contexts: impl IntoIterator<Item = SpanContext>) {
    span.edit(|span| {
        let mut linked = HashSet::new();
        for context in contexts {
            if context.is_valid() && linked.insert(context.span_id()) {
                span.add_link(context);
            }
        }
    });
}

/// Says on the span of a handler how many messages were behind the one that it handles, when the broker told last.
pub fn behind(span: &mut Span, messages: u64) {
    let messages = i64::try_from(messages).unwrap_or(i64::MAX);
    span.attribute(&keys::QUEUE_LAG_MESSAGES, messages);
}

static CREATE: Callsite = callsite!("create", Producer);
static SEND: Callsite = callsite!("send", Producer);
static SEND_CREATED: Callsite = callsite!("send", Client);
static RECEIVE: Callsite = callsite!("receive", Client);
static PROCESS: Callsite = callsite!("process", Consumer);
static SETTLE: Callsite = callsite!("settle", Client);

#[cfg(test)]
mod tests {
    use throughline_core::Context;
    use throughline_testing::Capture;

    use super::*;
    use crate::relation::Operation;

    #[test]
    fn a_poll_has_a_span_from_its_begin_if_it_brings_something() {
        let capture = Capture::start();
        let _here = capture.attach();
        let orders = Destination::new("mybroker", "orders");
        let sent = [orders.send(), orders.send()].map(|span| span.context().span_context());
        let poll = Poll::begin();
        drop(Poll::begin());
        let senders = [sent[0], sent[1], SpanContext::INVALID, sent[0]];
        poll.brought(&orders, "poll", senders).end();
        let spans = capture.spans();
        let [first, second, receive] = spans.as_slice() else {
            panic!("{spans:?}");
        };
        let links: Vec<_> = receive.links.iter().map(|link| link.span_id).collect();
        assert_eq!(links, [first.span_id, second.span_id]);
        assert_eq!(receive.name, "poll orders");
        assert!(receive.start_unix_nano >= second.end_unix_nano);
        assert!(receive.start_unix_nano <= receive.end_unix_nano);
    }

    #[test]
    fn every_operation_has_its_kind_and_name() {
        let capture = Capture::start();
        let _here = capture.attach();
        let orders = Destination::new("mybroker", "orders").client_id(Some("shop-1"));
        orders.create().end();
        orders.send().end();
        orders.batch_of(3).receive("poll").end();
        let nobody = Context::current();
        let arrival = Arrival::new(&nobody, Operation::Record);
        let orders = orders.consumer_group(Some("billing"));
        orders.process(&arrival, &Policy::new()).end();
        Destination::of("mybroker", None).settle("ack").end();
        let expected = r#"
create orders [producer] {messaging.system="mybroker", messaging.operation.name="create", messaging.operation.type="create", messaging.destination.name="orders", messaging.client.id="shop-1"}
send orders [producer] {messaging.system="mybroker", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="orders", messaging.client.id="shop-1"}
poll orders [client] {messaging.system="mybroker", messaging.operation.name="poll", messaging.operation.type="receive", messaging.destination.name="orders", messaging.client.id="shop-1", messaging.batch.message_count=3}
process orders [consumer] {trace.relation="root", trace.relation.reason="no_sender", messaging.system="mybroker", messaging.operation.name="process", messaging.operation.type="process", messaging.destination.name="orders", messaging.consumer.group.name="billing", messaging.client.id="shop-1"}
ack [client] {messaging.system="mybroker", messaging.operation.name="ack", messaging.operation.type="settle"}
"#;
        assert_eq!(capture.tree().trim(), expected.trim());
    }

    #[test]
    fn spans_are_called_by_what_there_are_few_of() {
        let capture = Capture::start();
        let _here = capture.attach();
        let replies = Destination::new("mybroker", "amq.gen-7");
        let server = |destination: Destination<'_>| {
            let destination = destination.server("broker.example", Some(5672));
            destination.send().end();
        };
        server(replies.template(Some("replies/{id}")).temporary());
        server(replies.temporary());
        server(replies.anonymous().subscription(Some("billing")));
        replies
            .anonymous()
            .server("/run/broker", None)
            .settle("ack")
            .end();
        replies
            .anonymous()
            .message_id(Some("m-1"))
            .conversation_id(Some("c-1"))
            .send()
            .end();
        let expected = r#"
send replies/{id} [producer] {messaging.system="mybroker", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="amq.gen-7", messaging.destination.template="replies/{id}", messaging.destination.temporary=true, server.address="broker.example", server.port=5672}
send broker.example:5672 [producer] {messaging.system="mybroker", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="amq.gen-7", messaging.destination.temporary=true, server.address="broker.example", server.port=5672}
send broker.example:5672 [producer] {messaging.system="mybroker", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="amq.gen-7", messaging.destination.subscription.name="billing", messaging.destination.anonymous=true, server.address="broker.example", server.port=5672}
ack /run/broker [client] {messaging.system="mybroker", messaging.operation.name="ack", messaging.operation.type="settle", messaging.destination.name="amq.gen-7", messaging.destination.anonymous=true, server.address="/run/broker"}
send [producer] {messaging.system="mybroker", messaging.operation.name="send", messaging.operation.type="send", messaging.destination.name="amq.gen-7", messaging.message.id="m-1", messaging.message.conversation_id="c-1", messaging.destination.anonymous=true}
"#;
        assert_eq!(capture.tree().trim(), expected.trim());
    }
}
