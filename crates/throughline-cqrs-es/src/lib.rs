//! Spans for the commands, queries and replays of [`cqrs_es`] 0.5.
//!
//! A command is a span, the events it stores bring its context along in their metadata, and whoever projects them has a
//! span that links it. What is wrapped are the traits of the host, so that any store that implements them serves: the host's own
//! `MemStore`, its `PersistedEventStore` with the repository of `postgres-es`, or another.
//!
//! | the host's | here | what it does |
//! |---|---|---|
//! | `CqrsFramework` | [`TracedCqrs`] | a span `execute {aggregate type}` per command; contains a [`TracedStore`] |
//! | an `EventStore` | [`TracedStore`] | puts context and time into the metadata of what it commits, and tells its [`Head`] |
//! | a `Query` | [`TracedQuery`] | a span `project {projection} {event type}` per event, or one per commit of several |
//! | an error handler | [`error_handler`] | makes the span an error before it hands the error on |
//! | `QueryReplay` | [`TracedReplay`] | one span per page of events, and nothing else |
//!
//! ```
//! use cqrs_es::doc::{MyAggregate, MyCommands, MyQuery, MyService};
//! use cqrs_es::mem_store::MemStore;
//! use throughline_cqrs_es::{Projection, TracedCqrs};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = MemStore::<MyAggregate>::default();
//! let cqrs = TracedCqrs::new(store, vec![], MyService) // was: CqrsFramework::new(store, vec![Box::new(MyQuery)], MyService)
//!     .project(Projection::new("my_view"), MyQuery);
//! cqrs.execute("aggregate-7", MyCommands::DoSomething).await?;
//! # Ok::<(), cqrs_es::AggregateError<cqrs_es::doc::MyUserError>>(())
//! # }).unwrap();
//! ```
//!
//! # Metadata
//!
//! Events get the headers of the [propagator of the process](throughline_core::propagate::global), `traceparent` as a
//! rule, and [`STORED_AT`], from which the lag is known. What the metadata has already stays as it is.
#![forbid(unsafe_code)]

mod command;
mod failure;
mod keys;
mod query;
mod replay;
mod store;

pub use command::TracedCqrs;
pub use failure::error_handler;
pub use query::TracedQuery;
pub use replay::TracedReplay;
pub use store::{STORED_AT, TracedStore};
pub use throughline_messaging::{Head, Policy, Projection, Relation};
