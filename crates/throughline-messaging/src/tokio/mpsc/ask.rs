//! Asking: a message that holds the way back, sent and waited for.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::timeout;

use super::{Sender, UnboundedSender};
use crate::envelope::Envelope;
use crate::oneshot;

impl<T> Sender<T> {
    /// Sends the message that `question` makes around the way back, and waits for the reply.
    ///
    /// The receiver knows that the sender waits, so that the handler's span is the sender's child however long the
    /// message is in the channel.
    ///
    /// # Errors
    ///
    /// The channel is closed, or whoever had the message dropped the way back.
    ///
    /// ```
    /// use throughline_messaging::{mpsc, oneshot};
    ///
    /// struct Double(u32, oneshot::Sender<u32>);
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let (tx, mut rx) = mpsc::named::<Double>("doubler", 8);
    /// let handler = async move {
    ///     let delivery = rx.recv().await.unwrap();
    ///     let double = |Double(number, reply)| async move { reply.send(number * 2) };
    ///     delivery.handle(double).await.unwrap();
    /// };
    /// let (answer, ()) = tokio::join!(tx.ask(|reply| Double(21, reply)), handler);
    /// assert_eq!(answer?, 42);
    /// # Ok::<(), mpsc::error::AskError>(())
    /// # }).unwrap();
    /// ```
    pub async fn ask<R>(
        &self,
        question: impl FnOnce(oneshot::Sender<R>) -> T,
    ) -> Result<R, AskError> {
        let (reply, answer) = oneshot::channel();
        let envelope = Envelope::ask(question(reply));
        let sent = self.send_envelope(envelope).await;
        sent.map_err(|_| AskError(Failure::Closed))?;
        answer.await.map_err(|_| AskError(Failure::Unanswered))
    }
}

impl<T> UnboundedSender<T> {
    /// Sends the message that `question` makes around the way back, and waits for the reply, as [`Sender::ask`] does.
    ///
    /// # Errors
    ///
    /// The channel is closed, or whoever had the message dropped the way back.
    pub async fn ask<R>(
        &self,
        question: impl FnOnce(oneshot::Sender<R>) -> T,
    ) -> Result<R, AskError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.send_envelope(Envelope::ask(question(reply)));
        sent.map_err(|_| AskError(Failure::Closed))?;
        answer.await.map_err(|_| AskError(Failure::Unanswered))
    }
}

/// Asks for so long and no longer.
macro_rules! ask_within {
    ($sender:ident) => {
        impl<T> $sender<T> {
            /// Like [`ask`](Self::ask), for so long and no longer: then the question is given up, and whoever handles
            /// it is told that nobody waits.
            ///
            /// A question that is given up is counted ([`ChannelStats::ask_timeouts`](crate::ChannelStats)), is an event
            /// of the current span, and is warned of with the place of this call: the first of a channel, the second,
            /// the fourth, the eighth and so on.
            ///
            /// # Errors
            ///
            /// As for `ask`, or the time is over.
            ///
            /// # Panics
            ///
            /// As Tokio's timers do, in a runtime without time.
            #[track_caller]
            pub fn ask_within<R>(
                &self,
                limit: Duration,
                question: impl FnOnce(oneshot::Sender<R>) -> T,
            ) -> impl Future<Output = Result<R, AskError>> {
                let asker = Location::caller();
                async move {
                    let answer = timeout(limit, self.ask(question)).await;
                    answer.unwrap_or_else(|_| {
                        self.channel().ask_timed_out(limit, asker);
                        Err(AskError(Failure::TimedOut))
                    })
                }
            }
        }
    };
}

ask_within!(Sender);
ask_within!(UnboundedSender);

/// A question was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskError(Failure);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Closed,
    Unanswered,
    TimedOut,
}

impl AskError {
    /// Whether the channel was closed, so that nobody saw the question.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.0, Failure::Closed)
    }

    /// Whether the question was sent, and the way back then dropped without a reply.
    #[must_use]
    pub const fn is_unanswered(&self) -> bool {
        matches!(self.0, Failure::Unanswered)
    }

    /// Whether the time was over, be the question sent by then or not.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self.0, Failure::TimedOut)
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Failure::Closed => "the channel is closed",
            Failure::Unanswered => "the question was dropped without a reply",
            Failure::TimedOut => "the question was not answered in time",
        })
    }
}

impl Error for AskError {}
