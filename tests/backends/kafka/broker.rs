//! A broker of Kafka, and topics of it.

use std::sync::{Arc, Mutex, Weak};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use throughline::testing::{Fault, TcpProxy};
use throughline_tests::support::kafka::{PATIENCE, Place};
use throughline_tests::support::server::{Server, free_ports};

/// A broker that listens on 127.0.0.1.
pub(crate) struct Broker {
    pub(crate) server: Server,
    /// What clients go through, if they do not reach the broker itself.
    proxy: Option<TcpProxy>,
    port: u16,
}

/// A topic of a broker; its consumers are in a group of the same name, which other tests have nothing to do with.
#[derive(Clone)]
pub(crate) struct Topic {
    servers: String,
    name: &'static str,
}

impl Broker {
    /// One broker for all tests that want nothing special of it, as long as any of them runs.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
        // Who could not start it leaves nothing that is broken.
        let mut shared = SHARED.lock().unwrap_or_else(|error| error.into_inner());
        let broker = shared.upgrade().unwrap_or_else(|| Arc::new(Self::own()));
        *shared = Arc::downgrade(&broker);
        broker
    }

    /// A broker of the test's own, to do something to.
    pub(crate) fn own() -> Self {
        let [port] = free_ports();
        Self::start(port, port, None)
    }

    /// A broker of the test's own that clients reach through a proxy only: that is the address it tells them.
    pub(crate) fn behind_a_proxy() -> Self {
        let [port] = free_ports();
        let proxy = TcpProxy::start(([127, 0, 0, 1], port).into()).expect("a proxy");
        Self::start(port, proxy.addr().port(), Some(proxy))
    }

    /// Changes what happens to the connections of a broker behind a proxy.
    pub(crate) fn network(&self, fault: Fault) {
        let proxy = self.proxy.as_ref();
        proxy.expect("it is behind a proxy").set(fault);
    }

    fn start(port: u16, advertised: u16, proxy: Option<TcpProxy>) -> Self {
        let [controller] = free_ports();
        let ports = [("KAFKA_PORT", port), ("KAFKA_CONTROLLER_PORT", controller)];
        let advertised_port = ("KAFKA_ADVERTISED_PORT", advertised.to_string());
        Self {
            server: Server::start("kafka", ports, &[advertised_port]),
            proxy,
            port: advertised,
        }
    }

    /// Makes a topic.
    pub(crate) async fn topic(&self, name: &'static str, partitions: i32) -> Topic {
        let topic = Topic {
            servers: format!("127.0.0.1:{}", self.port),
            name,
        };
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &topic.servers);
        let admin: AdminClient<DefaultClientContext> = config.create().expect("a client");
        let new = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let made = admin.create_topics([&new], &options).await;
        assert_eq!(made.expect("an answer"), [Ok(name.to_owned())]);
        // The controller has it then; the broker learns of it a moment later.
        loop {
            let known = admin.inner().fetch_metadata(Some(name), PATIENCE);
            let known = known.expect("an answer");
            let found = &known.topics()[0];
            if found.error().is_none() && found.partitions().len() == partitions as usize {
                break topic;
            }
        }
    }
}

impl Place for Topic {
    fn servers(&self) -> String {
        self.servers.clone()
    }

    fn topic(&self) -> &str {
        self.name
    }

    fn group(&self) -> &str {
        self.name
    }
}
