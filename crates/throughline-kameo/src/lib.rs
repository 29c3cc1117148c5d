//! Spans for the messages and the lifecycle of kameo actors. For kameo 0.22, from 0.22.2.
//!
//! An actor stays as it is; one line beside it lets it take messages that bring their sender's context along, and who
//! sends says so:
//!
//! ```
//! use kameo::prelude::*;
//! use throughline_kameo::{ActorRefExt, traced_actor};
//!
//! #[derive(Actor)]
//! struct Account {
//!     balance: i64,
//! }
//!
//! struct Deposit(i64);
//! struct Withdraw(i64);
//!
//! #[derive(Debug, PartialEq)]
//! struct Overdrawn;
//!
//! impl Message<Deposit> for Account {
//!     type Reply = ();
//!
//!     async fn handle(&mut self, Deposit(amount): Deposit, _: &mut Context<Self, ()>) {
//!         self.balance += amount;
//!     }
//! }
//!
//! impl Message<Withdraw> for Account {
//!     type Reply = Result<i64, Overdrawn>;
//!
//!     async fn handle(&mut self, Withdraw(amount): Withdraw, _: &mut Context<Self, Self::Reply>) -> Self::Reply {
//!         if amount > self.balance {
//!             return Err(Overdrawn);
//!         }
//!         self.balance -= amount;
//!         Ok(self.balance)
//!     }
//! }
//!
//! traced_actor!(Account); // once for the actor, whatever messages it takes
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let account = Account::spawn(Account { balance: 0 });
//! account.tell_traced(Deposit(100)).await?; // was: account.tell(Deposit(100)).await?;
//! // The span `Account Withdraw` is a child of the span that asks.
//! let left = account.ask_traced(Withdraw(30)).await;
//! assert_eq!(left.ok(), Some(70));
//! // This one has the error `Overdrawn`.
//! assert!(account.ask_traced(Withdraw(100)).await.is_err());
//! # Ok::<(), SendError<throughline_kameo::Traced<Deposit>>>(())
//! # }).map_err(drop).unwrap();
//! ```
//!
//! # The span of a message
//!
//! It is called `{actor type} {message type}` and has `actor.system`, `actor.type`, `actor.id`, `actor.message.type`,
//! `actor.message.operation`, the wait in the mailbox, and the relation to the sender's span with its reason, as the
//! actor's [`Policy`] decides. The sender's span ends when the sender is done, not when the message is.
//!
//! | what happens | the span |
//! |---|---|
//! | the handler replies `Err` | has the error, in its `Debug` form; also where the asker gets it |
//! | the handler panics | panicked |
//! | the actor is killed while it handles | cancelled |
//! | the asker is gone before the handler starts | abandoned, for an actor with [`on_message`] |
//! | the actor stops and the message is left | undelivered |
//! | the handler delegates its reply or sends the message on | ends with the handler; a future given to [`Context::spawn`] continues the trace [in the current context](throughline_core::FutureExt::in_current_context) |
//!
//! A message sent by kameo's own `tell` and `ask` is handled as ever, without a span. A mailbox that is full refuses a
//! [`Traced`] message as any other.
//!
//! What kameo does not show is not on the span: that the asker goes while the handler runs, that a forward failed, the
//! error in a reply that is delegated. Items that kameo's own [`attach_stream`] sends have no context, those of
//! [`attach_stream_traced`] have; the messages of remote actors are kameo's, and so without one. A pool and a publisher of
//! `kameo_actors` pass on what they are given: give them a [`Traced`] message.
//!
//! # The lifecycle
//!
//! [`on_start`], [`on_panic`] and [`on_stop`] run the bodies of kameo's hooks in short spans, each of a trace of its own
//! and linked to what led to it: [the spawn](SpawnExt), the message that failed.
//!
//! # kameo's own spans
//!
//! kameo's feature `tracing`, which is on by default, makes a `tracing` span of its own for each message and one that
//! lives as long as the actor, and keeps the sender's `tracing` span open as long as the message waits. Switch it off
//! where the program allows it: `kameo = { version = "0.22", default-features = false, features = ["macros"] }`. Where
//! another crate switches it on, reject its spans in the filter of traces, so that one span per message remains:
//! `kameo::actor=off`, as in `THROUGHLINE_FILTER=info,kameo::actor=off`.
//!
//! [`attach_stream`]: kameo::actor::ActorRef::attach_stream
//! [`attach_stream_traced`]: ActorRefExt::attach_stream_traced
//! [`Context::spawn`]: kameo::message::Context::spawn
//! [`Policy`]: throughline_messaging::Policy
#![forbid(unsafe_code)]

mod handle;
mod id;
mod lifecycle;
mod macros;
mod send;
mod traced;

#[doc(hidden)]
pub mod __private {
    //! What [`traced_actor!`](crate::traced_actor!) prints paths to.

    pub use core::future::Future;
    pub use core::marker::Send;

    pub use kameo::message::{Context, Message};
    pub use throughline_messaging::Policy;

    pub use crate::handle::handle;
}

pub use handle::on_message;
pub use lifecycle::{SpawnExt, on_panic, on_start, on_stop, spawned_here};
pub use send::ActorRefExt;
pub use traced::Traced;

/// What spans call the library whose actors these are.
const SYSTEM: &str = "kameo";
