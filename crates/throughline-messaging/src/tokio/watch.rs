//! [`tokio::sync::watch`] whose value brings the context of its last write along.
//!
//! Writes between two looks are lost by design, so that a look is not the handling of one message: the span of a
//! [`Ref::delivery`] starts a trace with a link to the last writer's, unless its policy says otherwise. A value is no
//! queue either: it has no depth and no wait, and does not show up in [`stats`](crate::stats()).

use std::fmt;
use std::ops::Deref;

use throughline_core::Context;
use tokio::sync::watch;

use self::error::{RecvError, SendError};
use crate::delivery::Delivery;
use crate::envelope::Envelope;
use crate::policy::Policy;
use crate::relation::Relation;

/// The errors of the channel: Tokio's own.
pub mod error {
    pub use tokio::sync::watch::error::{RecvError, SendError};
}

/// A value that is watched: [`tokio::sync::watch::channel`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (tx, mut rx) = throughline_messaging::watch::channel("starting");
/// tx.send("ready").unwrap();
/// rx.changed().await.unwrap();
/// assert_eq!(*rx.borrow_and_update(), "ready");
/// # });
/// ```
#[must_use]
pub fn channel<T>(init: T) -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = watch::channel(Envelope::new(init));
    (Sender(tx), Receiver(rx))
}

/// [`tokio::sync::watch::Sender`] that writes the current context beside the value.
pub struct Sender<T>(watch::Sender<Envelope<T>>);

impl<T> Sender<T> {
    /// The sending side alone: [`tokio::sync::watch::Sender::new`].
    #[must_use]
    pub fn new(init: T) -> Self {
        Self(watch::Sender::new(Envelope::new(init)))
    }

    /// Writes the value.
    ///
    /// # Errors
    ///
    /// Nobody watches; the error has the value.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        let sent = self.0.send(Envelope::new(value));
        sent.map_err(|SendError(envelope)| SendError(envelope.into_message()))
    }

    /// Changes the value in place.
    ///
    /// # Panics
    ///
    /// As Tokio's does, if the closure panics.
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.0.send_modify(|envelope| {
            modify(envelope.message_mut());
            envelope.rewrite();
        });
    }

    /// Changes the value in place; tells watchers if the closure says that it changed.
    ///
    /// # Panics
    ///
    /// As Tokio's does, if the closure panics.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        self.0.send_if_modified(|envelope| {
            let modified = modify(envelope.message_mut());
            if modified {
                envelope.rewrite();
            }
            modified
        })
    }

    /// Writes the value, watched or not; returns the one before.
    pub fn send_replace(&self, value: T) -> T {
        self.0.send_replace(Envelope::new(value)).into_message()
    }

    /// Looks at the value.
    #[must_use]
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.borrow())
    }

    /// Waits until nobody watches.
    pub async fn closed(&self) {
        self.0.closed().await;
    }

    /// Whether nobody watches.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// A receiver that has seen the value as it is.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver(self.0.subscribe())
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.0.receiver_count()
    }

    /// How many senders there are.
    #[must_use]
    pub fn sender_count(&self) -> usize {
        self.0.sender_count()
    }

    /// Whether both write the same value.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// [`tokio::sync::watch::Receiver`] that sees the context of the last write.
pub struct Receiver<T>(watch::Receiver<Envelope<T>>);

impl<T> Receiver<T> {
    /// Looks at the value.
    #[must_use]
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.borrow())
    }

    /// Looks at the value, which counts as seen then.
    #[must_use]
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        Ref(self.0.borrow_and_update())
    }

    /// Whether the value was written since it was seen.
    ///
    /// # Errors
    ///
    /// There is no sender any more.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        self.0.has_changed()
    }

    /// Whether there is no sender any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits until the value was written since it was seen, and takes it for seen.
    ///
    /// # Errors
    ///
    /// There is no sender any more.
    pub async fn changed(&mut self) -> Result<(), RecvError> {
        self.0.changed().await
    }

    /// Waits until the value is one that the closure accepts.
    ///
    /// # Errors
    ///
    /// There is no sender any more.
    pub async fn wait_for(
        &mut self,
        mut accept: impl FnMut(&T) -> bool,
    ) -> Result<Ref<'_, T>, RecvError> {
        let found = self.0.wait_for(|envelope| accept(envelope.message())).await;
        found.map(Ref)
    }

    /// Takes the value for one that was not seen.
    pub fn mark_changed(&mut self) {
        self.0.mark_changed();
    }

    /// Takes the value for one that was seen.
    pub fn mark_unchanged(&mut self) {
        self.0.mark_unchanged();
    }

    /// Whether both watch the same value.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// [`tokio::sync::watch::Ref`]: a look at the value, which nobody writes meanwhile.
pub struct Ref<'a, T>(watch::Ref<'a, Envelope<T>>);

impl<T> Ref<'_, T> {
    /// The context of the last write.
    #[must_use]
    pub fn context(&self) -> &Context {
        self.0.context()
    }

    /// Whether the value was written since it was seen.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.0.has_changed()
    }

    /// A copy of the value, to handle it in a span that links the last writer's.
    pub fn delivery(&self) -> Delivery<T>
    where
        T: Clone,
    {
        Delivery::new((*self.0).clone(), None, Policy::from(Relation::Link))
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.message()
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.message(), f)
    }
}
