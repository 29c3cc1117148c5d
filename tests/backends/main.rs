//! Real servers: what receivers hold is what was sent, span by span and field by field, and what applications do with
//! brokers is drawn as it is in memory.
//!
//! Every test installs and starts a server, so all are ignored unless asked for; see `README.md`.

mod agreement; // two receivers have the same spans
mod collector; // what comes out of a Collector
mod exchange; // applications in other languages
mod http; // requests to the servers' own interfaces
mod jaeger; // what Jaeger's query API tells
mod job; // the example `goals` as a child process
mod kafka; // records through a broker of Kafka
mod rotel; // what rotel counts and hands on
mod zipkin; // what Zipkin's query API tells
