//! Asking: a message that holds the way back, sent and waited for.

use std::error::Error;
use std::fmt;

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
        sent.map_err(|_| AskError { sent: false })?;
        answer.await.map_err(|_| AskError { sent: true })
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
        sent.map_err(|_| AskError { sent: false })?;
        answer.await.map_err(|_| AskError { sent: true })
    }
}

/// A question was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskError {
    sent: bool,
}

impl AskError {
    /// Whether the channel was closed, so that nobody saw the question.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        !self.sent
    }

    /// Whether the question was sent, and the way back then dropped without a reply.
    #[must_use]
    pub const fn is_unanswered(&self) -> bool {
        self.sent
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.sent {
            "the question was dropped without a reply"
        } else {
            "the channel is closed"
        })
    }
}

impl Error for AskError {}
