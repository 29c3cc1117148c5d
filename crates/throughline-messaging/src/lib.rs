//! Channels whose messages bring their sender's context along, and spans for those who handle them.
//!
//! A message in a mailbox, a channel or a queue is the same thing to a trace: something was enqueued under a context,
//! waits, is handled by a future, and has an outcome. An [`Envelope`] is the message with its context; a [`Policy`]
//! decides how the handler's span [relates](Relation) to the sender's; a [`Delivery`] starts that span. Where the queue
//! is not one of this crate, an [`Arrival`] does, and [`observe`] runs the handler in it.
//!
//! # Replacing a channel
//!
//! [`mpsc`], [`broadcast`], [`watch`] and [`oneshot`] have Tokio's names and signatures; `flume` and `async_channel`,
//! behind features, those of the crates. What changes for a program is one thing: a receiver hands out a
//! [`Delivery<T>`] in place of the `T`. It derefs to the message, so that a loop which borrows messages stays as it
//! is; one that takes them apart calls [`into_inner`](Delivery::into_inner), or lets
//! [`handle`](Delivery::handle) do it and gets a span per message:
//!
//! ```
//! use throughline_messaging::mpsc; // was: use tokio::sync::mpsc;
//!
//! # async fn work(_: u32) {}
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let (tx, mut rx) = mpsc::channel::<u32>(16);
//! tx.send(7).await.unwrap();
//! drop(tx);
//! while let Some(delivery) = rx.recv().await {
//!     delivery.handle(|message| work(message)).await; // was: work(message).await;
//! }
//! # });
//! ```
//!
//! Channels made by `channel(…)` are counted under the place they are made at; `named(name, …)` gives them a name.
//! [`stats`] has the counts.
//!
//! A loop that is an actor's takes `#[throughline::actor]` instead, and stays as it is: each message is a span of that actor.
//! [`actor::Lifecycle`] runs it with spans for its start, its restarts after panics, and its stop.
//!
//! # What is traced
//!
//! Everything, and every message may start a trace, unless a [`Selection`] says otherwise; a receiver's [`Policy`] says
//! how its messages relate to their senders.
//!
//! # Stored events
//!
//! A [`Projection`] starts the spans of whoever handles [events](StoredEvent) that a store kept, with the context that was
//! kept beside them: one span per event, per page of events, or per page of a [replay](Projection::replay_page). One that
//! [follows](Projection::follow) the [`Head`] of what is written knows how far it is behind.
//!
//! # A host of your own
//!
//! A library that keeps messages by itself needs two things: the sender's context has to travel with the message, and the
//! handler has to run in the span of an [`Arrival`]. This is all of it for a queue of jobs that has headers:
//!
//! ```
//! use std::collections::{HashMap, VecDeque};
//! use std::fmt::Display;
//!
//! use throughline_core::{Callsite, Context, callsite, propagate};
//! use throughline_messaging::{Arrival, Operation, Policy, try_observe};
//!
//! // The library's: what it stores and hands out.
//! struct Job {
//!     payload: String,
//!     headers: HashMap<String, String>,
//!     attempt: u32,
//! }
//!
//! // The glue.
//! static PROCESS: Callsite = callsite!("process jobs", Consumer);
//!
//! fn job(payload: &str) -> Job {
//!     let mut headers = HashMap::new();
//!     propagate::inject(&Context::current(), &mut headers);
//!     Job { payload: payload.to_owned(), headers, attempt: 1 }
//! }
//!
//! async fn process<F, E: Display>(job: &Job, handler: impl FnOnce(String) -> F) -> Result<(), E>
//! where
//!     F: Future<Output = Result<(), E>>,
//! {
//!     let here = Context::current().without_span();
//!     let sender = propagate::global().extract_onto(here, &job.headers);
//!     let arrival = Arrival::new(&sender, Operation::Record).attempt(job.attempt);
//!     let span = arrival.span(&PROCESS, &Policy::new());
//!     let payload = job.payload.clone();
//!     try_observe(span, async move { handler(payload).await }).await
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! // What a program does with both.
//! let mut queue = VecDeque::from([job("resize"), job("")]);
//! while let Some(mut job) = queue.pop_front() {
//!     let done = process(&job, |payload| async move {
//!         if payload.is_empty() { Err("nothing to do") } else { Ok(()) }
//!     });
//!     if done.await.is_err() && job.attempt < 3 {
//!         job.attempt += 1; // The next span has no parent and links the sender: `retry`.
//!         queue.push_back(job);
//!     }
//! }
//! # });
//! ```
//!
//! [`actor`] has the names and attributes of actors and of their lives, [`queue`] those of OpenTelemetry's messaging
//! conventions for brokers, [`Projection`] those of projections; `#[throughline::actor]` and its siblings, on the handler, give the span its name.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `tokio` | yes | [`mpsc`], [`broadcast`], [`watch`], [`oneshot`] |
//! | `flume` | no | the module `flume` |
//! | `async-channel` | no | the module `async_channel` |
#![forbid(unsafe_code)]
#![cfg_attr(
    not(any(feature = "async-channel", feature = "flume", feature = "tokio")),
    expect(dead_code, reason = "channels count their messages, and there is none")
)]

pub mod actor;
mod arrival;
mod behind;
mod budget;
mod called;
mod delivery;
mod envelope;
#[doc(hidden)]
pub mod expansion;
mod handled;
#[cfg(any(feature = "async-channel", feature = "flume", feature = "tokio"))]
#[macro_use]
mod handles;
mod keys;
mod lag;
mod names;
mod observe;
mod policy;
#[cfg(feature = "tokio")]
mod polled;
mod projection;
pub mod queue;
mod queued;
mod relation;
mod rules;
mod selection;
mod standing;
mod stats;
mod stored;
mod swapped;
mod tally;
mod told;

#[cfg(feature = "async-channel")]
pub mod async_channel;
#[cfg(feature = "tokio")]
#[path = "tokio/broadcast.rs"]
pub mod broadcast;
#[cfg(feature = "flume")]
pub mod flume;
#[cfg(feature = "tokio")]
#[path = "tokio/mpsc/mod.rs"]
pub mod mpsc;
#[cfg(feature = "tokio")]
#[path = "tokio/oneshot.rs"]
pub mod oneshot;
#[cfg(feature = "tokio")]
#[path = "tokio/watch.rs"]
pub mod watch;

pub use arrival::{Arrival, Handler};
pub use delivery::Delivery;
pub use envelope::Envelope;
pub use handled::Handled;
pub use lag::{Head, ProjectionLag, projection_lags};
pub use observe::{Observed, join, observe, observe_with, try_observe};
pub use policy::{Policy, Situation};
pub use projection::{Projection, event_failed};
pub use relation::{Decision, Operation, Reason, Redelivery, Relation, Starts};
pub use selection::{Selection, SelectionError, Subject};
pub use standing::{ProjectionStats, projection_stats};
pub use stats::{ChannelStats, stats};
pub use stored::StoredEvent;
pub use throughline_core::short_type_name;
