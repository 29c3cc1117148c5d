//! Owns the choice between the real concurrency primitives and the model checker's,
//! for what destinations and the pipeline's lifecycle are made of: `--cfg
//! throughline_loom` checks the very code that ships.

#[cfg(not(throughline_loom))]
mod real {
    pub(crate) use crate::bell::Bell;
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use tokio::sync::Notify;
}

/// Waits without an end: whoever waits for something that nobody tells waits for ever,
/// which the checker finds.
#[cfg(throughline_loom)]
mod model {
    use std::sync::PoisonError;
    use std::time::Duration;

    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};

    /// The contract of Tokio's, for one waiter: a notification that nobody waits for
    /// is kept, and several of them are one.
    #[derive(Debug, Default)]
    pub(crate) struct Notify {
        notified: Mutex<bool>,
        changed: Condvar,
    }

    impl Notify {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn notify_one(&self) {
            *self.notified.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.changed.notify_one();
        }

        /// Blocks the thread instead of being pending, which is the same to a thread
        /// that does nothing else.
        pub(crate) async fn notified(&self) {
            self.wait();
        }

        fn wait(&self) {
            let mut notified = self.notified.lock().unwrap_or_else(PoisonError::into_inner);
            while !std::mem::take(&mut *notified) {
                notified = self
                    .changed
                    .wait(notified)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// The contract of the one that ships, which is the same again.
    #[derive(Debug, Default)]
    pub(crate) struct Bell(Notify);

    impl Bell {
        pub(crate) fn listen(&self) {}

        pub(crate) fn ring(&self) {
            self.0.notify_one();
        }

        pub(crate) fn wait(&self, _timeout: Duration) -> bool {
            self.0.wait();
            true
        }
    }
}

#[cfg(throughline_loom)]
pub(crate) use model::*;
#[cfg(not(throughline_loom))]
pub(crate) use real::*;
