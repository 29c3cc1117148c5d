//! The receiving sides, which differ in what they hold only.

use std::fmt;
use std::future::{Future, poll_fn};
use std::task::{Context as TaskContext, Poll, ready};

use tokio::sync::mpsc;

use super::error::TryRecvError;
use crate::delivery::Delivery;
use crate::policy::Policy;
use crate::polled::Polled;
use crate::queued::Queued;
use crate::stats::Channel;

/// The methods that both receivers have.
macro_rules! receiver {
    ($(#[$doc:meta])* $name:ident, $inner:literal) => {
        $(#[$doc])*
        ///
        /// Dropping it, or closing it and dropping it before it is empty, counts what is left as undelivered.
        pub struct $name<T> {
            inner: mpsc::$name<Queued<T>>,
            channel: &'static Channel,
            policy: Policy,
            /// Where several messages lie between the inner buffer and the user's; empty outside of a call.
            several: Vec<Queued<T>>,
        }

        impl<T> $name<T> {
            pub(super) const fn new(
                inner: mpsc::$name<Queued<T>>,
                channel: &'static Channel,
            ) -> Self {
                Self {
                    inner,
                    channel,
                    policy: Policy::new(),
                    several: Vec::new(),
                }
            }

            /// Gives everything received from now on this policy.
            #[must_use]
            pub fn with_policy(mut self, policy: impl Into<Policy>) -> Self {
                self.policy = policy.into();
                self
            }

            #[doc = concat!("The next message; none once the channel is closed and empty: [`tokio::sync::mpsc::", $inner, "::recv`]. As that, it is cancel safe.")]
            #[inline]
            pub fn recv(&mut self) -> impl Future<Output = Option<Delivery<T>>> {
                // It has no state but the receiver: each state around another costs copies of the message.
                Polled(|cx: &mut TaskContext<'_>| self.poll_recv(cx))
            }

            #[doc = concat!("Adds up to `limit` messages to the buffer, waiting for the first: [`tokio::sync::mpsc::", $inner, "::recv_many`]. As that, it is cancel safe.")]
            pub async fn recv_many(
                &mut self,
                buffer: &mut Vec<Delivery<T>>,
                limit: usize,
            ) -> usize {
                poll_fn(|cx| self.poll_recv_many(cx, buffer, limit)).await
            }

            /// The next message, if it is there.
            ///
            /// # Errors
            ///
            /// The channel is empty, or closed and empty.
            pub fn try_recv(&mut self) -> Result<Delivery<T>, TryRecvError> {
                let queued = self.inner.try_recv()?;
                Ok(queued.receive(self.policy))
            }

            /// Blocks until the next message comes; none once the channel is closed and empty.
            ///
            /// # Panics
            ///
            /// As Tokio's does, within an asynchronous context.
            #[track_caller]
            pub fn blocking_recv(&mut self) -> Option<Delivery<T>> {
                let queued = self.inner.blocking_recv()?;
                Some(queued.receive(self.policy))
            }

            /// Adds up to `limit` messages to the buffer, blocking until the first comes.
            ///
            /// # Panics
            ///
            /// As Tokio's does, within an asynchronous context.
            #[track_caller]
            pub fn blocking_recv_many(
                &mut self,
                buffer: &mut Vec<Delivery<T>>,
                limit: usize,
            ) -> usize {
                let count = self.inner.blocking_recv_many(&mut self.several, limit);
                self.hand_out(buffer);
                count
            }

            /// Polls for the next message.
            #[inline(always)]
            pub fn poll_recv(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Delivery<T>>> {
                let queued = ready!(self.inner.poll_recv(cx));
                Poll::Ready(queued.map(|queued| queued.receive(self.policy)))
            }

            /// Polls for up to `limit` messages.
            pub fn poll_recv_many(
                &mut self,
                cx: &mut TaskContext<'_>,
                buffer: &mut Vec<Delivery<T>>,
                limit: usize,
            ) -> Poll<usize> {
                let count = ready!(self.inner.poll_recv_many(cx, &mut self.several, limit));
                self.hand_out(buffer);
                Poll::Ready(count)
            }

            fn hand_out(&mut self, buffer: &mut Vec<Delivery<T>>) {
                let policy = self.policy;
                buffer.extend(self.several.drain(..).map(|queued| queued.receive(policy)));
            }

            /// Lets nobody send any more; what is in the channel can still be received.
            pub fn close(&mut self) {
                self.inner.close();
            }

            /// Whether the channel is closed.
            #[must_use]
            pub fn is_closed(&self) -> bool {
                self.inner.is_closed()
            }

            /// Whether the channel is empty.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.inner.is_empty()
            }

            /// How many messages are in the channel.
            #[must_use]
            pub fn len(&self) -> usize {
                self.inner.len()
            }

            /// How many senders keep the channel open.
            #[must_use]
            pub fn sender_strong_count(&self) -> usize {
                self.inner.sender_strong_count()
            }

            /// How many senders do not.
            #[must_use]
            pub fn sender_weak_count(&self) -> usize {
                self.inner.sender_weak_count()
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple($inner).field(&self.channel.name()).finish()
            }
        }
    };
}

receiver! {
    /// [`tokio::sync::mpsc::Receiver`] that hands out messages with their contexts.
    Receiver, "Receiver"
}

receiver! {
    /// [`tokio::sync::mpsc::UnboundedReceiver`] that hands out messages with their contexts.
    UnboundedReceiver, "UnboundedReceiver"
}

impl<T> Receiver<T> {
    /// How many messages there is room for now.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.inner.capacity()
    }

    /// How many messages there is room for in the empty channel.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.inner.max_capacity()
    }
}
