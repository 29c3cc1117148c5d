//! Owns the choice between the real concurrency primitives and the model checker's,
//! for what a destination is made of: `--cfg throughline_loom` checks the very code
//! that ships.

#[cfg(not(throughline_loom))]
mod real {
    pub(crate) use std::sync::{Mutex, MutexGuard};
    pub(crate) use tokio::sync::Notify;
}

#[cfg(throughline_loom)]
mod model {
    use std::future::poll_fn;
    use std::sync::PoisonError;
    use std::task::{Poll, Waker};

    pub(crate) use loom::sync::{Mutex, MutexGuard};

    /// The contract of Tokio's, for one waiter: a notification that nobody waits for
    /// is kept, and several of them are one.
    pub(crate) struct Notify(Mutex<(bool, Option<Waker>)>);

    impl Notify {
        pub(crate) fn new() -> Self {
            Self(Mutex::new((false, None)))
        }

        pub(crate) fn notify_one(&self) {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 = true;
            let waker = state.1.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }

        pub(crate) async fn notified(&self) {
            poll_fn(|context| {
                let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if std::mem::take(&mut state.0) {
                    return Poll::Ready(());
                }
                state.1 = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
        }
    }
}

#[cfg(throughline_loom)]
pub(crate) use model::*;
#[cfg(not(throughline_loom))]
pub(crate) use real::*;
